import type { z } from 'zod';
import { type Db, run, type Statement, statement } from '../platform/db/database.ts';
import { doesNotExist, invalidParameter, MlflowError } from '../platform/errors.ts';
import { isReserved, joinPath, type Place, placeOf } from './artifact-path.ts';
import { BLOB_COLUMNS, type BlobRow, ON_KNOWN_CONTENT } from './blob-rows.ts';
import type { StoredBlob } from './blobs/blob-store.ts';
import type { FileInfo } from './entity.ts';

/** A stored file: its bytes, and when the path was written (epoch ms). */
export type ArtifactFile = BlobRow & { last_updated_timestamp: number };

type ArtifactEntry = z.infer<typeof FileInfo>;

const PUT_ARTIFACT = statement(
  'put_artifact',
  `with clash as (
     select 1 from artifacts where scope_id = :scope and path = any (:parents::text[])
     union all
     (select 1 from artifacts where scope_id = :scope and path >= :path || '/' and path < :path || '0' limit 1)),
   blob as (
     insert into blobs (sha256, size, storage_key, piece_crcs)
     select :sha256, :size, :key, :piece_crcs::bytea where not exists (select from clash)
     ${ON_KNOWN_CONTENT}
     returning id, storage_key)
   insert into artifacts (scope_id, path, blob_id) select :scope, :path, id from blob
   on conflict (scope_id, path) do update set blob_id = excluded.blob_id, last_updated_timestamp = now_ms()
   returning (select storage_key from blob) as key`,
);

/**
 * Makes stored bytes visible at a path, replacing the file that was there. Gives the key the bytes are kept under: another than `blob.key` when the
 * same bytes were there already and undamaged, and then `blob.key` is not needed. Throws INVALID_PARAMETER_VALUE when the path runs through a file or is a folder.
 */
export async function putArtifact(db: Db, scope: number, path: string, blob: StoredBlob): Promise<string> {
  const segments = path.split('/');
  const parents = segments.slice(0, -1).map((_, i) => segments.slice(0, i + 1).join('/'));
  const { pieceCrcs, ...stored } = blob;
  const [row] = await run<{ key: string }>(db, PUT_ARTIFACT, { scope, path, parents, ...stored, piece_crcs: pieceCrcs });
  if (!row) throw invalidParameter(`Cannot write '${path}': it is a folder, or a part of its path is a file.`);
  return row.key;
}

/** Throws PERMISSION_DENIED for a path below the registered versions. */
export function refuseReserved(path: string): void {
  if (!isReserved(path)) return;
  throw new MlflowError(
    'PERMISSION_DENIED',
    `'${path}' belongs to a registered model version. Registered versions never change: register a new one instead.`,
  );
}

const TREE = { from: 'artifacts a', where: 'a.scope_id = :scope' };
// What a registry has is for every workspace, and so is what names its workspace; scope 0 is where nothing is.
const VERSION = {
  from: 'model_version_files a join registered_models m on m.id = a.model_id join scopes s on s.id = m.scope_id',
  where: `(s.id = :scope or (:scope <> 0 and (s.kind = 'registry' or s.name = :workspace::text)))
    and a.model_id = :model_id::bigint and a.version = :version`,
};

const findFile = (name: string, { from, where }: typeof TREE, updated: string) =>
  statement(
    name,
    `select ${BLOB_COLUMNS}, ${updated} as last_updated_timestamp
     from ${from} join blobs b on b.id = a.blob_id where ${where} and a.path = :path`,
  );
const FIND_TREE_FILE = findFile('find_artifact', TREE, 'a.last_updated_timestamp');
const FIND_VERSION_FILE = findFile('find_version_file', VERSION, 'b.creation_timestamp');

/** Jumps by index from one entry of a folder to the next, so a listing costs what it shows and not what lies below. */
const listFolder = (name: string, { from, where }: typeof TREE) => {
  const next = (least: string) =>
    `select a.path, a.blob_id from ${from} where ${where} and a.path >= ${least} and a.path < :before order by a.path limit 1`;
  const nameOf = (path: string) => `split_part(substr(${path}, length(:prefix) + 1), '/', 1)`;
  const isFolder = (path: string) => `strpos(substr(${path}, length(:prefix) + 1), '/') > 0`;
  return statement(
    name,
    `with recursive entry as (
       (${next(':prefix')})
       union all
       select following.path, following.blob_id from entry cross join lateral (
         ${next(`case when ${isFolder('entry.path')} then :prefix || ${nameOf('entry.path')} || '0' else entry.path || chr(1) end`)}) following)
     select ${nameOf('entry.path')} as name, ${isFolder('entry.path')} as is_dir, b.size from entry join blobs b on b.id = entry.blob_id`,
  );
};
const LIST_TREE = listFolder('list_artifacts', TREE);
const LIST_VERSION = listFolder('list_version_files', VERSION);

const DELETE_TREE = statement(
  'delete_artifacts',
  `delete from artifacts where scope_id = :scope and (path = :path or (path >= :path || '/' and path < :path || '0'))`,
);

function bindingsOf(scope: number, place: Place): Record<string, unknown> {
  return place.kind === 'tree' ? { scope } : { scope, workspace: place.workspace, model_id: place.modelId, version: place.version };
}

const pick = (place: Place, tree: Statement, version: Statement): Statement => (place.kind === 'tree' ? tree : version);

/** The file at a path. Throws RESOURCE_DOES_NOT_EXIST, or INVALID_PARAMETER_VALUE for a folder. */
export async function getArtifact(db: Db, scope: number, path: string): Promise<ArtifactFile> {
  const place = placeOf(path);
  const [file] = await run<ArtifactFile>(db, pick(place, FIND_TREE_FILE, FIND_VERSION_FILE), {
    ...bindingsOf(scope, place),
    path: place.path,
  });
  if (file) return file;
  if ((await listArtifacts(db, scope, path)).length > 0)
    throw invalidParameter(`Artifact path refers to a directory, not a file: '${path}'`);
  throw doesNotExist(`No such artifact: '${path}'`);
}

/** The entries of a folder by name; `path` of an entry is its bare name. None for a folder that is not there, or for a file. */
export async function listArtifacts(db: Db, scope: number, folder: string): Promise<ArtifactEntry[]> {
  const place = placeOf(folder);
  const prefix = place.path === '' ? '' : `${place.path}/`;
  const rows = await run<{ name: string; is_dir: boolean; size: number }>(db, pick(place, LIST_TREE, LIST_VERSION), {
    ...bindingsOf(scope, place),
    prefix,
    // The first text after all that start with the prefix: '0' follows '/'.
    before: place.path === '' ? '\u{10ffff}' : `${place.path}0`,
  });
  return rows
    .map(({ name, is_dir, size }) => ({ path: name, is_dir, ...(!is_dir && size > 0 && { file_size: size }) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Like `listArtifacts` of `root`/`folder`, with paths relative to `root`: how the artifacts of a run or logged model are listed. */
export async function listArtifactsBelow(db: Db, scope: number, root: string, folder: string): Promise<ArtifactEntry[]> {
  const entries = await listArtifacts(db, scope, joinPath(root, folder));
  return entries.map((entry) => ({ ...entry, path: joinPath(folder, entry.path) }));
}

/** Removes a file, or a folder with all in it; something missing is fine. The bytes stay until nothing refers to them and a collection runs. */
export async function deleteArtifacts(db: Db, scope: number, path: string): Promise<void> {
  refuseReserved(path);
  await run(db, DELETE_TREE, { scope, path });
}
