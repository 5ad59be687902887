import type { ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { ON_KNOWN_CONTENT } from '../../artifacts/blob-rows.ts';
import type { BlobStore } from '../../artifacts/blobs/blob-store.ts';
import { type CopiedFile, copyExternal, listExternal, removeCopies } from '../../artifacts/copy-external.ts';
import { checkExternalFolder } from '../../artifacts/external-location.ts';
import type { Services } from '../../endpoint.ts';
import { type Db, run, statement } from '../../platform/db/database.ts';
import { invalidState, MlflowError } from '../../platform/errors.ts';
import { frozenLocation } from './columns.ts';
import { jsonLines } from './json-lines.ts';
import { digestOf, getManifest } from './manifest.ts';
import { getDownloadUri, type VersionKey } from './store.ts';

type Adopted = { digest: string; files: number; bytes: number };

/**
 * Copies the files of a live reference in S3 into the artifact store and freezes the version with them, as if it had been registered from there. Until all
 * are copied it stays what it was. Answers in lines of JSON: what was copied so far, about each second, and at last
 * `{status: ADOPTED, digest, files, bytes}`, or `{status: FAILED, error_code, message}` for what goes wrong once a line is out.
 * Throws RESOURCE_DOES_NOT_EXIST, INVALID_STATE for a frozen version, and as `checkExternalFolder`, `listExternal` and `copyExternal`.
 */
export async function adoptVersion({ db, blobs, adoption }: Services, key: VersionKey, res: ServerResponse, log: Logger): Promise<void> {
  if ((await getManifest(db, key)).frozen) throw frozenAlready(key);
  const url = checkExternalFolder(await getDownloadUri(db, key), adoption);
  const { openS3Source } = await import('../../artifacts/import-s3.ts');
  const source = await openS3Source(url, adoption.s3);
  const lines = jsonLines(res);
  try {
    const files = await listExternal(source, url);
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    let copiedBytes = 0;
    const copies = await copyExternal(blobs, files, url, (length) => {
      if (res.destroyed) throw new MlflowError('DEADLINE_EXCEEDED', 'The client went away.');
      copiedBytes += length;
      lines.progress(() => ({ files: files.length, copied_bytes: copiedBytes, bytes }));
    });
    lines.end({ status: 'ADOPTED', ...(await freeze(db, blobs, key, copies)) });
  } catch (error) {
    if (!res.headersSent || res.destroyed || !(error instanceof MlflowError)) throw error;
    if (error.cause !== undefined) log.error({ err: error.cause }, error.message);
    lines.end({ status: 'FAILED', error_code: error.code, message: error.message });
  } finally {
    source.close?.();
  }
}

const FREEZE = statement(
  'freeze_adopted_version',
  `with version as (
     select v.model_id, v.version, case when s.kind = 'registry' then 'registries/' || s.name || '/' else '' end as home
     from registered_models m join scopes s on s.id = m.scope_id join model_versions v on v.model_id = m.id and v.version = :version::bigint
     where m.scope_id = :scope and m.name = :name and v.digest is null
     for update of v),
   file as (
     select * from unnest(:paths::text[], :digests::text[], :sizes::bigint[], :keys::text[], :piece_crcs::bytea[])
       as file (path, sha256, size, key, piece_crcs)),
   blob as (
     insert into blobs (sha256, size, storage_key, piece_crcs)
     -- Locks rows in one order, so that two of these never wait for each other.
     select distinct on (sha256) sha256, size, key, piece_crcs from file where exists (select from version) order by sha256
     ${ON_KNOWN_CONTENT}
     returning id, sha256, storage_key),
   kept as (
     insert into model_version_files (model_id, version, path, blob_id)
     select model_id, version, path, blob.id from version, file join blob using (sha256)),
   frozen as (
     update model_versions v set digest = :digest, last_updated_timestamp = now_ms(),
       storage_location = ${frozenLocation('v.model_id', 'v.version', 'version.home')}
     from version where v.model_id = version.model_id and v.version = version.version)
   select storage_key as key from blob`,
);

/** Makes copies the files of a version, unless somebody else did so first. Bytes that are not needed are removed. */
async function freeze(db: Db, blobs: BlobStore, key: VersionKey, copies: CopiedFile[]): Promise<Adopted> {
  const files = copies
    .map(({ path, blob }) => ({ path, ...blob }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  const digest = digestOf(files);
  // When this fails nobody knows whether it was done, so the bytes stay for the next collection.
  const kept = await run<{ key: string }>(db, FREEZE, {
    ...key,
    paths: files.map(({ path }) => path),
    digests: files.map(({ sha256 }) => sha256),
    sizes: files.map(({ size }) => size),
    keys: files.map((file) => file.key),
    piece_crcs: files.map(({ pieceCrcs }) => pieceCrcs),
    digest,
  });
  await removeCopies(blobs, copies, new Set(kept.map((blob) => blob.key)));
  if (kept.length === 0) {
    await getManifest(db, key);
    throw frozenAlready(key);
  }
  return { digest, files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}

const frozenAlready = ({ name, version }: VersionKey) =>
  invalidState(`Version ${version} of ${name} is frozen already: its files are kept here.`);
