import { ConfigError } from '../config.ts';
import { type CollectionReport, collect, countCollection } from '../registry/collect.ts';
import { type Options, readDuration, readFlags, readList } from './flags.ts';
import { SETTINGS_HELP, withServerData } from './open.ts';
import { formatBytes, openProgress, plural } from './progress.ts';

const HELP = `Removes for good what was deleted, and the bytes that nothing refers to any more.

Usage: model-commons gc [--delete] [options]

Without --delete it only says what it would remove. It removes:
  - runs, logged models and experiments that were deleted longer ago than --older-than, with their files
  - the files of registered versions that were deleted longer ago
  - uploads that broke off, stored content that no path and no version refers to, and bytes nothing knows of, all older than --min-age
The files of a registered version are never touched, also when its run goes.

  --delete
      Removes. Without it nothing is changed.
  --older-than TIME [30d]
      How long deleted things are kept: 30d, 12h, 1d2h3m; 0s removes all.
  --min-age TIME [24h]
      Younger bytes and uploads stay, since a server may be about to use them. Less than a minute is for tests.
  --run-ids, --experiment-ids, --logged-model-ids a,b,c
      Of the deleted runs, experiments and logged models only these.
  -o json
      Prints the result as JSON.
  --help
      Prints this.

${SETTINGS_HELP}
Exit codes: 0 done, 1 something failed or it was stopped, 2 bad usage.
`;

const OPTIONS = {
  help: 'switch',
  h: 'switch',
  delete: 'switch',
  'older-than': 'value',
  'min-age': 'value',
  'run-ids': 'value',
  'experiment-ids': 'value',
  'logged-model-ids': 'value',
  o: 'value',
  output: 'value',
} as const satisfies Options<string>;

/** `model-commons gc`: gives the exit code. */
export async function gc(arguments_: string[]): Promise<number> {
  const { options, settings, rest } = readFlags(arguments_, OPTIONS);
  if ('help' in options || 'h' in options) {
    process.stdout.write(HELP);
    return 0;
  }
  if (rest.length > 0) throw new ConfigError(`${rest[0]}: gc takes options only. See model-commons gc --help.`);
  const format = options.o ?? options.output ?? 'text';
  if (!['text', 'json'].includes(format)) throw new ConfigError(`-o: must be text or json (it is ${JSON.stringify(format)}).`);
  const ageMs = readDuration('--older-than', options['older-than'] ?? '30d');
  const minAgeMs = readDuration('--min-age', options['min-age'] ?? '24h');
  const only = readChoice(options);
  const removes = 'delete' in options;

  return withServerData(settings, async ({ db, blobs, signal }) => {
    const progress = openProgress('gc');
    const onProgress = (_: string, { count, bytes }: { count: number; bytes: number }) => progress.add(bytes, count);
    const report = await (removes ? collect : countCollection)(db, blobs, { ageMs, minAgeMs, only, signal, onProgress });
    progress.end();
    process.stdout.write(format === 'json' ? `${JSON.stringify({ deleted: removes, ...report })}\n` : describe(report, removes));
    return 0;
  });
}

function readChoice(options: Partial<Record<keyof typeof OPTIONS, string>>) {
  const [runIds, modelIds, experimentIds] = (['run-ids', 'logged-model-ids', 'experiment-ids'] as const).map((name) =>
    readList(options[name]),
  ) as [string[], string[], string[]];
  const wrong = experimentIds.find((id) => !/^\d{1,18}$/.test(id));
  if (wrong !== undefined) throw new ConfigError(`--experiment-ids: must be numbers (one is ${JSON.stringify(wrong)}). See --help.`);
  return runIds.length + modelIds.length + experimentIds.length > 0 ? { runIds, modelIds, experimentIds } : null;
}

const SHOWN = 20;

function describe(report: CollectionReport, removed: boolean): string {
  const withFiles = ({ files, bytes }: { files: number; bytes: number }) =>
    files > 0 ? ` (${plural(files, 'file')}, ${formatBytes(bytes)})` : '';
  const { runs, logged_models, experiments, deleted_versions, uploads, blobs, strays, still_read } = report;
  const lines = [
    removed ? 'Removed:' : 'Would be removed (run it with --delete to do it):',
    `  ${plural(runs.count, 'deleted run')}${withFiles(runs)}`,
    `  ${plural(logged_models.count, 'deleted logged model')}${withFiles(logged_models)}`,
    `  ${plural(experiments.count, 'deleted experiment')}`,
    `  ${plural(deleted_versions.count, 'deleted version')}${withFiles(deleted_versions)}`,
    `  ${plural(uploads.count, 'abandoned upload')}`,
    `  ${plural(blobs.count, 'unused content')} (${formatBytes(blobs.bytes)})`,
    ...(strays ? [`  ${plural(strays.count, 'leftover')} in the artifact store (${formatBytes(strays.bytes)})`] : []),
    `${removed ? 'Freed' : 'Frees'} ${formatBytes(blobs.bytes + (strays?.bytes ?? 0))}.`,
  ];
  if (!strays)
    lines.push(
      'The artifact store holds bytes, but none this database knows: they were left alone. Are DATABASE_URL and ARTIFACTS_URL right?',
    );
  if (still_read.length > 0) {
    lines.push(`Kept, since a registered version without files of its own still reads them: ${plural(still_read.length, 'item')}`);
    lines.push(...still_read.slice(0, SHOWN).map(({ kind, id }) => `  ${kind} ${id}`));
    if (still_read.length > SHOWN) lines.push(`  and ${still_read.length - SHOWN} more`);
  }
  return `${lines.join('\n')}\n`;
}
