import { Readable } from 'node:stream';
import { forEachConcurrently } from '../platform/concurrently.ts';
import { type Db, run, statement } from '../platform/db/database.ts';
import { MlflowError } from '../platform/errors.ts';
import { DEFAULT_SCOPE } from '../scopes/entity.ts';
import { isReserved, joinPath, parseArtifactPath } from './artifact-path.ts';
import { ON_KNOWN_CONTENT } from './blob-rows.ts';
import type { BlobStore, StoredBlob } from './blobs/blob-store.ts';
import { checksumsOf } from './blobs/checksums.ts';

/** A file of another artifact root. `path` is relative to that root, `file` its name on this machine's disk, null when it lies elsewhere. */
export type SourceFile = { path: string; size: number; file: string | null; open(): Promise<Readable> };

export type ImportSource = {
  files(onSkipped: (path: string, reason: string) => void): AsyncIterable<SourceFile>;
  /** Closes the connections to a store elsewhere. */
  close?(): void;
};

/** `linked`: the store has a second name of the file; `present`: the path had these bytes already. */
export type ImportOutcome = 'linked' | 'copied' | 'present';

export type ImportOptions = {
  /** The folder below which paths go, already checked; '' is the root. */
  to: string;
  /** The workspace all goes to; null: the default one, but `workspaces/<name>/…` goes to the workspace of that name. */
  workspace: string | null;
  /** `either`: link where that is possible. */
  by: 'link' | 'copy' | 'either';
  /** Compare the content of files whose path is there already, not their size alone. */
  check: boolean;
  signal: AbortSignal;
  onBytes(bytes: number): void;
  onDone(path: string, outcome: ImportOutcome): void;
  /** A file that was not imported, and why. */
  onRefused(path: string, reason: string): void;
};

const BATCH = 500;
// Small files wait for the disk most of the time.
const AT_ONCE = 8;
const OTHER_CONTENT = 'another file is there already';

type Destination = { scope: number; path: string };
type Pending = { source: SourceFile; destination: Destination; existing: Existing | undefined };
type Existing = { place: number; size: number; sha256: string };

const FIND_EXISTING = statement(
  'find_imported',
  `select given.place::integer, b.size, b.sha256
   from unnest(:scopes::integer[], :paths::text[]) with ordinality as given (scope_id, path, place)
   join artifacts a on a.scope_id = given.scope_id and a.path = given.path join blobs b on b.id = a.blob_id`,
);

const INSERT = statement(
  'import_artifact',
  `with clash as (
     select 1 from artifacts where scope_id = :scope and path = any (:parents::text[] || :path::text)
     union all
     (select 1 from artifacts where scope_id = :scope and path >= :path || '/' and path < :path || '0' limit 1)),
   blob as (
     insert into blobs (sha256, size, storage_key, piece_crcs)
     select :sha256, :size, :key, :piece_crcs::bytea where not exists (select from clash)
     ${ON_KNOWN_CONTENT}
     returning id, storage_key)
   insert into artifacts (scope_id, path, blob_id) select :scope, :path, id from blob
   on conflict (scope_id, path) do nothing
   returning (select storage_key from blob) as key`,
);

const FIND_KEY = statement('find_key_of_content', 'select storage_key as key from blobs where sha256 = :sha256');

/**
 * Makes the files of another artifact root (of `mlflow server --artifacts-destination`) this server's, at the same paths. What is there stays: a path
 * with other content is refused, one of the same size is passed over, so an import that broke off goes on where it was.
 * Rejects with a sentence when files must be linked and cannot be, or the store is full.
 */
export async function importArtifacts(db: Db, blobs: BlobStore, source: ImportSource, options: ImportOptions): Promise<void> {
  const scopeOf = await scopesByWorkspace(db);
  const pending = async function* () {
    let batch: { source: SourceFile; destination: Destination }[] = [];
    for await (const file of source.files(options.onRefused)) {
      if (options.signal.aborted) return;
      const destination = destinationOf(file.path, options, scopeOf);
      if (typeof destination === 'string') options.onRefused(file.path, destination);
      else batch.push({ source: file, destination });
      if (batch.length < BATCH) continue;
      yield* await withExisting(db, batch);
      batch = [];
    }
    yield* await withExisting(db, batch);
  };
  await forEachConcurrently(pending(), AT_ONCE, async (file) => {
    if (options.signal.aborted) return;
    try {
      await importFile(db, blobs, file, options);
    } catch (error) {
      const reason = refusalOf(error);
      if (reason === null) throw error;
      options.onRefused(file.source.path, reason);
    }
  });
}

const WORKSPACES = statement('workspace_scopes', "select id, name from scopes where kind = 'workspace'");

async function scopesByWorkspace(db: Db): Promise<Map<string, number>> {
  return new Map((await run<{ id: number; name: string }>(db, WORKSPACES)).map(({ id, name }) => [name, id]));
}

/** Where a file goes, or why it cannot go anywhere. */
function destinationOf(path: string, { to, workspace }: ImportOptions, scopeOf: Map<string, number>): Destination | string {
  let checked: string;
  try {
    checked = parseArtifactPath(joinPath(to, path));
  } catch (error) {
    return (error as Error).message;
  }
  if (checked === '') return 'it has no name';
  if (isReserved(checked)) return 'only registered versions have files in that folder';
  const [first, named = ''] = checked.split('/', 2);
  const owner = first === 'workspaces' && scopeOf.has(named) ? named : null;
  if (workspace === null) return { scope: scopeOf.get(owner ?? '') ?? DEFAULT_SCOPE.id, path: checked };
  if (owner !== null && owner !== workspace) return `it belongs to the workspace '${owner}'`;
  const isInside = owner === workspace || workspace === DEFAULT_SCOPE.name;
  return { scope: scopeOf.get(workspace) ?? DEFAULT_SCOPE.id, path: isInside ? checked : `workspaces/${workspace}/${checked}` };
}

async function withExisting(db: Db, batch: { source: SourceFile; destination: Destination }[]): Promise<Pending[]> {
  const rows = await run<Existing>(db, FIND_EXISTING, {
    scopes: batch.map(({ destination }) => destination.scope),
    paths: batch.map(({ destination }) => destination.path),
  });
  const found = new Map(rows.map((row) => [row.place - 1, row]));
  return batch.map((file, i) => ({ ...file, existing: found.get(i) }));
}

async function importFile(db: Db, blobs: BlobStore, { source, destination, existing }: Pending, options: ImportOptions): Promise<void> {
  const { path, size } = source;
  if (existing) {
    const isSame =
      existing.size === size && (!options.check || (await checksumsOf(await source.open(), options.onBytes)).sha256 === existing.sha256);
    if (!options.check) options.onBytes(size);
    return isSame ? options.onDone(path, 'present') : options.onRefused(path, OTHER_CONTENT);
  }
  const { blob, outcome } = await store(blobs, source, options);
  if (await insertImported(db, blobs, destination, blob)) return options.onDone(path, outcome);
  const [{ existing: other } = { existing: undefined }] = await withExisting(db, [{ source, destination }]);
  if (other?.sha256 === blob.sha256) options.onDone(path, 'present');
  else options.onRefused(path, other ? OTHER_CONTENT : 'it is a folder there, or a part of its path is a file');
}

const NOT_LINKABLE = ['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

async function store(
  blobs: BlobStore,
  { file, size, open }: SourceFile,
  { by, onBytes }: ImportOptions,
): Promise<{ blob: StoredBlob; outcome: ImportOutcome }> {
  if (by !== 'copy' && file !== null && blobs.adopt) {
    try {
      const blob = await blobs.adopt(file);
      onBytes(size);
      return { blob, outcome: 'linked' };
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (!NOT_LINKABLE.includes(code)) throw error;
      if (by === 'link') throw new MlflowError('IO_ERROR', `${file} cannot be linked into the artifact store (${code}): use --copy.`);
    }
  }
  const body = Readable.from(counted(await open(), onBytes), { objectMode: false });
  try {
    return { blob: await blobs.write(body), outcome: 'copied' };
  } finally {
    body.destroy();
  }
}

async function* counted(body: Readable, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of body as AsyncIterable<Buffer>) {
    onBytes(chunk.length);
    yield chunk;
  }
}

/** Makes stored bytes visible at a path where nothing is; false when something is. Bytes that are not needed are removed. */
async function insertImported(db: Db, blobs: BlobStore, { scope, path }: Destination, blob: StoredBlob): Promise<boolean> {
  const segments = path.split('/');
  const parents = segments.slice(0, -1).map((_, i) => segments.slice(0, i + 1).join('/'));
  const { pieceCrcs, ...stored } = blob;
  const [row] = await run<{ key: string }>(db, INSERT, { scope, path, parents, ...stored, piece_crcs: pieceCrcs });
  const keptAs = row?.key ?? (await run<{ key: string }>(db, FIND_KEY, { sha256: blob.sha256 }))[0]?.key;
  if (keptAs !== blob.key) await blobs.remove(blob.key);
  return row !== undefined;
}

/** Why this one file could not be imported; null when the others cannot be either. */
function refusalOf(error: unknown): string | null {
  if (error instanceof MlflowError) return null;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'it is gone';
  if (code === 'EACCES') return 'it may not be read';
  if (code === undefined && /^it (is|was) /.test(message)) return message;
  const { name } = error as { name?: string };
  if (name === 'PreconditionFailed') return 'it was written to while it was read';
  return code === 'EIO' || name === 'NoSuchKey' ? 'it cannot be read' : null;
}
