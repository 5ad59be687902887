#!/usr/bin/env node
import { ConfigError, readConfig, settingsHelp } from './config.ts';
import { serve } from './main.ts';
import { InUseError } from './platform/db/embedded.ts';

const HELP = `Model Commons: a model registry that every stock MLflow client uses unchanged.

Usage: model-commons [serve] [options]
       model-commons COMMAND [options]

Commands; each has its own --help:
  serve             Runs the server. The default.
  gc                Removes for good what was deleted, and the bytes nothing refers to.
  verify            Reads stored files and compares them with their checksums.
  import-artifacts  Takes over the files of an existing MLflow artifact root.
  audit             Proves that the audit is as it was written.
  download          Downloads a registered model version from a server, and checks it.
  registry          Makes, lists, shows, changes and removes registries of a server.
  model             Makes, lists, shows, shares, archives, restores and downloads models of a server.

Settings, as an option or as an environment variable [default]:
${settingsHelp()}
  --help
      Prints this.
`;

// Each is loaded only when it is used: the server starts without them.
const COMMANDS: Record<string, (arguments_: string[]) => Promise<number>> = {
  gc: async (arguments_) => (await import('./commands/gc.ts')).gc(arguments_),
  verify: async (arguments_) => (await import('./commands/verify.ts')).verify(arguments_),
  'import-artifacts': async (arguments_) => (await import('./commands/import-artifacts.ts')).importCommand(arguments_),
  audit: async (arguments_) => (await import('./commands/audit.ts')).audit(arguments_),
  download: async (arguments_) => (await import('./commands/download.ts')).download(arguments_),
  registry: async (arguments_) => (await import('./commands/registry.ts')).registry(arguments_),
  model: async (arguments_) => (await import('./commands/model.ts')).model(arguments_),
};

/**
 * Runs a command. What the user can mend is told in one sentence without a stack; exit code 2 for bad usage or a bad setting, 1 for anything else that
 * went wrong.
 */
async function main(arguments_: string[]): Promise<void> {
  const [command = '', ...flags] = arguments_[0]?.startsWith('-') === false ? arguments_ : ['serve', ...arguments_];
  const runCommand = COMMANDS[command];
  if (runCommand) process.exit(await runCommand(flags));
  if (arguments_.includes('--help') || arguments_.includes('-h')) {
    process.stdout.write(HELP);
    return;
  }
  if (command !== 'serve') throw new ConfigError(`${command}: not a known command. See --help.`);
  await serve(readConfig(flags));
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`model-commons: ${error.message}${error.cause instanceof Error ? ` (${error.cause.message})` : ''}\n`);
  process.exit(error instanceof ConfigError || error instanceof InUseError ? 2 : 1);
});
