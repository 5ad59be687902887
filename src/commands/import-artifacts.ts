import fs from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ANYBODY } from '../access/caller.ts';
import { parseArtifactPath } from '../artifacts/artifact-path.ts';
import { type ImportOptions, type ImportOutcome, type ImportSource, importArtifacts } from '../artifacts/import-artifacts.ts';
import { openFolderSource } from '../artifacts/import-folder.ts';
import { type Config, ConfigError } from '../config.ts';
import { getNamedScope } from '../scopes/store.ts';
import { type Options, readFlags } from './flags.ts';
import { SETTINGS_HELP, withServerData } from './open.ts';
import { formatBytes, openProgress, plural } from './progress.ts';

const HELP = `Makes the files of an existing MLflow artifact root this server's, at the same paths.

Usage: model-commons import-artifacts SOURCE [options]

SOURCE is what \`mlflow server --artifacts-destination\` named: a folder, file:///folder or s3://bucket/prefix. Afterwards
mlflow-artifacts:/<experiment>/<run>/artifacts/... is found here. Nothing that is here already is replaced: a path with another file is reported. An
import that broke off goes on where it was when it is run again.

  --to PATH
      The folder in this server's artifacts below which the files go. Default: the root.
  --workspace NAME
      The workspace that gets them. Default: the default one; workspaces/<name>/... goes to the workspace of that name.
  --in-place
      Links each file into the artifact store: no bytes are copied, both names mean the same file. Needs a store on the same file system, and nobody
      may write to the old root any more. The default where it is possible.
  --copy
      Copies each file.
  --check
      Compares the content, not only the size, of files that are here already.
  --help
      Prints this.

${SETTINGS_HELP}
Exit codes: 0 all files are here, 1 some were refused, or it failed or was stopped, 2 bad usage.
`;

const OPTIONS = {
  help: 'switch',
  h: 'switch',
  to: 'value',
  workspace: 'value',
  'in-place': 'switch',
  copy: 'switch',
  check: 'switch',
} as const satisfies Options<string>;

const SHOWN = 100;

/** `model-commons import-artifacts`: gives the exit code. */
export async function importCommand(arguments_: string[]): Promise<number> {
  const { options, settings, rest } = readFlags(arguments_, OPTIONS);
  if ('help' in options || 'h' in options) {
    process.stdout.write(HELP);
    return 0;
  }
  const [from] = rest;
  if (from === undefined || rest.length > 1)
    throw new ConfigError(
      `${from === undefined ? 'Name' : 'Name only'} one folder or s3://bucket/prefix to import. See model-commons import-artifacts --help.`,
    );
  if ('in-place' in options && 'copy' in options) throw new ConfigError('--in-place and --copy cannot go together.');
  if ('in-place' in options && from.startsWith('s3://')) throw new ConfigError('--in-place: files in S3 can only be copied.');
  const to = checkedFolder(options.to ?? '');
  const by = 'copy' in options ? 'copy' : 'in-place' in options ? 'link' : 'either';
  return withServerData(settings, async ({ db, blobs, config, signal }) => {
    const workspace = options.workspace ?? null;
    if (workspace !== null && workspace !== 'default') await getNamedScope({ db, caller: ANYBODY }, workspace, 'workspace');
    if (by === 'link' && !blobs.adopt)
      throw new ConfigError(`--in-place: the artifact store ${config.artifactsUrl} is not on a disk of this machine.`);
    const source = await openSource(from, config);
    const report = openReport();
    const total = await totalOf(source, signal).catch((error: Error) => {
      throw new Error(`${from} cannot be read (${error.message}).`);
    });
    report.progress.setTotal(total.bytes, total.count);
    await importArtifacts(db, blobs, source, { to, workspace, by, check: 'check' in options, signal, ...report.heed });
    return report.finish(from);
  });
}

function checkedFolder(to: string): string {
  try {
    return parseArtifactPath(to.replace(/^mlflow-artifacts:\//, ''));
  } catch (error) {
    throw new ConfigError(`--to: ${(error as Error).message}`);
  }
}

async function openSource(from: string, { artifactsUrl, artifactStores }: Config): Promise<ImportSource> {
  if (from.startsWith('s3://')) {
    if (overlap(`${from.replace(/\/+$/, '')}/`, `${artifactsUrl.replace(/\/+$/, '')}/`)) throw ownStore(from);
    const { openS3Source } = await import('../artifacts/import-s3.ts');
    return openS3Source(from, artifactStores.s3);
  }
  if (/^[a-z][a-z\d+.-]+:/i.test(from) && !from.startsWith('file:'))
    throw new ConfigError(
      `${from}: only a folder, file:///folder or s3://bucket/prefix can be imported. Copy other stores to a folder first.`,
    );
  const named = from.startsWith('file:') ? fileURLToPath(from) : path.resolve(from);
  const folder = await fs.realpath(named).catch(() => named);
  const stat = await fs.stat(folder).catch(() => null);
  if (!stat?.isDirectory()) throw new ConfigError(`${from}: there is no such folder.`);
  if (artifactsUrl.startsWith('file:')) {
    const own = await fs.realpath(fileURLToPath(artifactsUrl));
    if (overlap(`${folder}/`, `${own}/`)) throw ownStore(from);
  }
  return openFolderSource(folder);
}

const overlap = (one: string, other: string) => one.startsWith(other) || other.startsWith(one);
const ownStore = (from: string) => new ConfigError(`${from}: this server keeps its own artifacts there, or in a folder of it.`);

async function totalOf(source: ImportSource, signal: AbortSignal): Promise<{ count: number; bytes: number }> {
  let [count, bytes] = [0, 0];
  for await (const { size } of source.files(() => {})) {
    if (signal.aborted) break;
    count += 1;
    bytes += size;
  }
  process.stderr.write(`Found ${plural(count, 'file')} (${formatBytes(bytes)}).\n`);
  return { count, bytes };
}

function openReport() {
  const progress = openProgress('import');
  const counts: Record<ImportOutcome | 'refused', number> = { linked: 0, copied: 0, present: 0, refused: 0 };
  const heed: Pick<ImportOptions, 'onBytes' | 'onDone' | 'onRefused'> = {
    onBytes: (bytes) => progress.add(bytes),
    onDone(_, outcome) {
      counts[outcome] += 1;
      progress.add(0, 1);
    },
    onRefused(file, reason) {
      counts.refused += 1;
      if (counts.refused <= SHOWN) progress.print(`not imported: ${file}: ${reason}`);
      if (counts.refused === SHOWN) progress.print('not imported: … (further ones are only counted)');
    },
  };
  const finish = (from: string) => {
    progress.end();
    const { linked, copied, present, refused } = counts;
    process.stdout.write(`Imported ${from}: ${linked} linked, ${copied} copied, ${present} here already, ${refused} not imported.\n`);
    if (linked > 0)
      process.stdout.write('Linked files are shared with the old root: nobody may write to it any more. It may be removed.\n');
    return refused > 0 ? 1 : 0;
  };
  return { progress, heed, finish };
}
