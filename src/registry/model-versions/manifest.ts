import { createHash } from 'node:crypto';
import { z } from 'zod';
import { BLOB_COLUMNS, type BlobRow } from '../../artifacts/blob-rows.ts';
import { type Db, run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import type { VersionKey } from './store.ts';

/** The files of a version: `size` in bytes, `sha256` in hex, in byte order of `path`. */
const ManifestFile = z.object({ path: z.string(), size: z.int(), sha256: z.string() });

/**
 * What a version holds. A frozen one (docs/frozen-versions.md) has its files and their digest; one that is not is a live reference to `source`, and has
 * none here.
 */
export const Manifest = z.object({
  name: z.string(),
  version: z.string(),
  frozen: z.boolean(),
  source: z.string(),
  digest: z.string().optional(),
  size: z.int().optional(),
  files: z.array(ManifestFile),
});
export type Manifest = z.infer<typeof Manifest>;

const FROM_VERSION = `
  from registered_models m join model_versions v on v.model_id = m.id and v.version = :version::bigint
  where m.scope_id = :scope and m.name = :name`;

const GET_MANIFEST = statement(
  'get_manifest',
  `select m.name, v.version::text as version, v.source, v.digest, (
     select json_agg(json_build_object('path', f.path, 'size', b.size, 'sha256', b.sha256) order by f.path)
     from model_version_files f join blobs b on b.id = f.blob_id where f.model_id = v.model_id and f.version = v.version) as files
   ${FROM_VERSION}`,
);

type ManifestRow = { name: string; version: string; source: string; digest: string | null; files: Manifest['files'] | null };

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getManifest(db: Db, key: VersionKey): Promise<Manifest> {
  const [row] = await run<ManifestRow>(db, GET_MANIFEST, key);
  if (!row) throw doesNotExist(`Model Version (name=${key.name}, version=${key.version}) not found`);
  const { name, version, source, digest } = row;
  if (digest === null) return { name, version, frozen: false, source, files: [] };
  const files = row.files ?? [];
  return { name, version, frozen: true, source, digest, size: files.reduce((sum, file) => sum + file.size, 0), files };
}

const LIST_FILES = statement(
  'list_version_blobs',
  `select f.path, ${BLOB_COLUMNS}
   from registered_models m
   join model_version_files f on f.model_id = m.id and f.version = :version::bigint
   join blobs b on b.id = f.blob_id
   where m.scope_id = :scope and m.name = :name
   order by f.path`,
);

/** The files of a version with the bytes behind them, in byte order of `path`. */
export const listVersionBlobs = (db: Db, key: VersionKey): Promise<(BlobRow & { path: string })[]> => run(db, LIST_FILES, key);

/** The digest of files that are in byte order of `path`: the SHA-256 of what `sha256sum` prints for them. */
export function digestOf(files: { path: string; sha256: string }[]): string {
  const hash = createHash('sha256');
  for (const { path, sha256 } of files) hash.update(`${sha256}  ${path}\n`);
  return hash.digest('hex');
}
