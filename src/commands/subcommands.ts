import { type ServerAddress, ServerError } from '../client/mlflow-server.ts';
import type { NamedScope } from '../client/scope.ts';
import { ConfigError } from '../config.ts';
import { readConnection } from './connect.ts';
import { readFlags } from './flags.ts';
import { untilStopped } from './open.ts';
import { readOutput } from './output.ts';

type Option = { kind: 'value' | 'switch' | 'list'; letter?: string; usage?: string; help: string };

/** Every option that subcommands have, as their help tells it. One with a letter can be written `-n` too. */
const KNOWN = {
  name: { kind: 'value', letter: 'n', usage: 'NAME', help: 'The name, or an azureml:// URI.' },
  version: { kind: 'value', letter: 'v', usage: 'N', help: 'The version: a whole number.' },
  label: { kind: 'value', letter: 'l', usage: 'ALIAS', help: 'Instead of --version: what this alias points to, or latest.' },
  path: {
    kind: 'value',
    usage: 'PATH',
    help: 'What the version is made of: a local folder or file, which is uploaded; runs:/RUN/PATH or azureml://jobs/RUN/outputs/artifacts/paths/PATH;\n      models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-ID or azureml://.../models/NAME/versions/N.',
  },
  file: { kind: 'value', letter: 'f', usage: 'FILE', help: 'A YAML file with the same fields as the options (docs/command-line.md).' },
  set: { kind: 'list', usage: 'FIELD=VALUE...', help: 'Overrides fields of the file: --set version=3 tags.owner=me.' },
  description: { kind: 'value', letter: 'd', usage: 'TEXT', help: 'A description.' },
  'display-name': { kind: 'value', usage: 'TEXT', help: 'A name for people.' },
  visibility: { kind: 'value', usage: 'WHO', help: 'PRIVATE, ORGANIZATION (the default) or PUBLIC.' },
  tags: { kind: 'list', usage: 'KEY=VALUE...', help: 'Tags.' },
  stage: { kind: 'value', letter: 's', usage: 'STAGE', help: "MLflow's stage: None, Staging, Production or Archived." },
  type: {
    kind: 'value',
    letter: 't',
    usage: 'TYPE',
    help: 'mlflow_model: a local folder must have an MLmodel file; custom_model: any files.',
  },
  'max-results': { kind: 'value', usage: 'N', help: 'At most so many. Default: all.' },
  'include-archived': { kind: 'switch', help: 'Lists what is archived, too.' },
  'archived-only': { kind: 'switch', help: 'Lists only what is archived.' },
  'share-with-name': { kind: 'value', usage: 'NAME', help: 'The name in the registry. Default: the same.' },
  'share-with-version': {
    kind: 'value',
    usage: 'N',
    help: 'The version in the registry, or next for the next free one. Default: the same.',
  },
  'set-alias': { kind: 'list', usage: 'ALIAS...', help: 'Aliases that point to the shared version from then on.' },
  reason: { kind: 'value', usage: 'TEXT', help: 'Kept with the promotion.' },
  'dry-run': { kind: 'switch', help: 'Says what would be, and changes nothing.' },
  'download-path': { kind: 'value', usage: 'FOLDER', help: 'Where the files go. Default: NAME-VERSION in this folder.' },
  force: { kind: 'switch', help: 'Makes the registry even if models of workspaces have names that begin with its name and a dot.' },
  yes: { kind: 'switch', letter: 'y', help: 'Deletes a model with all its versions.' },
  'registry-name': { kind: 'value', usage: 'NAME', help: 'The registry. Without it, the workspace.' },
  'workspace-name': {
    kind: 'value',
    letter: 'w',
    usage: 'NAME',
    help: 'The workspace; with --registry-name the one whose runs and uploads are meant. Default: MLFLOW_WORKSPACE, or default.',
  },
  server: {
    kind: 'value',
    usage: 'URL',
    help: 'The server. Default: MLFLOW_TRACKING_URI, or http://127.0.0.1:5000. MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or\n      MLFLOW_TRACKING_TOKEN, sign in.',
  },
  query: {
    kind: 'value',
    usage: 'JMESPATH',
    help: 'Prints only what this chooses of the result: [].id, [?version==`"3"`] and so on (jmespath.org).',
  },
  output: { kind: 'value', letter: 'o', usage: 'FORMAT', help: 'json (the default), yaml, table or tsv.' },
  help: { kind: 'switch', letter: 'h', help: 'Prints this.' },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof KNOWN;
const OPTIONS: Record<OptionName, Option> = KNOWN;
const COMMON: OptionName[] = ['server', 'query', 'output', 'help'];

/** What was given to a subcommand. `lists` are key=value pairs as they were written. */
export type Given = {
  options: Partial<Record<OptionName, string>>;
  lists: Partial<Record<OptionName, string[]>>;
  server: ServerAddress;
  /** What --registry-name, --workspace-name, the base path of the server's address or MLFLOW_WORKSPACE name. */
  scope: NamedScope;
  /** The workspace of the caller, where runs and uploads are; what `server` names, or else the default one. */
  workspace: string;
};

/** `run` gives what is to be printed; undefined prints nothing. */
export type Subcommand = { summary: string; details?: string; options: OptionName[]; run(given: Given): Promise<unknown> };

/** Runs `model-commons GROUP SUBCOMMAND ...` and gives the exit code. Throws ConfigError for a bad use. */
export async function runSubcommand(
  group: string,
  summary: string,
  subcommands: Record<string, Subcommand>,
  arguments_: string[],
): Promise<number> {
  const [name = '--help', ...rest] = arguments_;
  const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (!subcommand) {
    if (!['--help', '-h'].includes(name))
      throw new ConfigError(`${group} ${name}: not a known command. See model-commons ${group} --help.`);
    process.stdout.write(helpOfGroup(group, summary, subcommands));
    return arguments_.length > 0 ? 0 : 2;
  }
  const known = [...subcommand.options, ...COMMON];
  const help = `See model-commons ${group} ${name} --help.`;
  const given = readFlags(rest.map(longOf(known)), Object.fromEntries(known.map((option) => [option, OPTIONS[option].kind])));
  const options: Given['options'] = given.options;
  if ('help' in options) {
    process.stdout.write(helpOf(group, name, subcommand, known));
    return 0;
  }
  const unknown = given.settings[0]?.split('=')[0] ?? given.rest[0];
  if (unknown !== undefined) throw new ConfigError(`${unknown}: not a known option of ${group} ${name}. ${help}`);
  const print = readOutput(options.output, options.query);
  const { server, scope } = readConnection('--server', options.server, options['workspace-name']);
  const workspace = options['workspace-name'] ?? (scope?.kind === 'workspace' ? scope.name : server.workspace);
  const registry =
    options['registry-name'] ?? (options['workspace-name'] === undefined && scope?.kind === 'registry' ? scope.name : undefined);
  return untilStopped(async (signal) => {
    const result = await subcommand
      .run({
        options,
        lists: given.lists,
        server: { ...server, workspace, signal },
        scope: registry === undefined ? { kind: 'workspace', name: workspace ?? 'default' } : { kind: 'registry', name: registry },
        workspace: workspace ?? 'default',
      })
      .catch((error: unknown) => {
        throw error instanceof ServerError && error.code !== null ? new Error(`${error.code}: ${error.message}`) : error;
      });
    if (result !== undefined) process.stdout.write(print(result));
    return 0;
  });
}

const longOf = (known: OptionName[]) => (argument: string) => {
  const [, letter, rest = ''] = /^-([a-z])(=.*)?$/s.exec(argument) ?? [];
  const option = known.find((name) => letter !== undefined && OPTIONS[name].letter === letter);
  return option === undefined ? argument : `--${option}${rest}`;
};

function helpOf(group: string, name: string, { summary, details }: Subcommand, known: OptionName[]): string {
  const options = known.map((option) => {
    const { usage, letter, help } = OPTIONS[option];
    return `  --${option}${letter === undefined ? '' : `, -${letter}`}${usage === undefined ? '' : ` ${usage}`}\n      ${help}\n`;
  });
  return `${summary}\n\nUsage: model-commons ${group} ${name} [options]\n\n${details === undefined ? '' : `${details}\n\n`}${options.join('')}
Exit codes: 0 done, 1 something failed or it was stopped, 2 bad usage.
`;
}

function helpOfGroup(group: string, summary: string, subcommands: Record<string, Subcommand>): string {
  const width = Math.max(...Object.keys(subcommands).map((name) => name.length));
  const lines = Object.entries(subcommands).map(([name, subcommand]) => `  ${name.padEnd(width)}  ${subcommand.summary}\n`);
  return `${summary}\n\nUsage: model-commons ${group} COMMAND [options]\n\nCommands; each has its own --help:\n${lines.join('')}`;
}
