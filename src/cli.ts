#!/usr/bin/env node
import { ConfigError, readConfig, settingsHelp } from './config.ts';
import { serve } from './main.ts';
import { InUseError } from './platform/db/embedded.ts';

const HELP = `Model Commons: a model registry that every stock MLflow client uses unchanged.

Usage: model-commons [serve] [options]

Settings, as an option or as an environment variable [default]:
${settingsHelp()}
  --help
      Prints this.
`;

/** Runs a command. What the user can mend is told in one sentence without a stack; exit code 2 for a bad setting, 1 for a failed start. */
async function main(arguments_: string[]): Promise<void> {
  if (arguments_.includes('--help') || arguments_.includes('-h')) {
    process.stdout.write(HELP);
    return;
  }
  const [command, ...flags] = arguments_[0]?.startsWith('-') === false ? arguments_ : ['serve', ...arguments_];
  if (command !== 'serve') throw new ConfigError(`${command}: not a known command. See --help.`);
  await serve(readConfig(flags));
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`model-commons: ${error.message}\n`);
  process.exit(error instanceof ConfigError || error instanceof InUseError ? 2 : 1);
});
