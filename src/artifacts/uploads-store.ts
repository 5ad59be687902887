import { type Db, run, statement } from '../platform/db/database.ts';
import { doesNotExist } from '../platform/errors.ts';
import { BLOB_COLUMNS, type BlobRow } from './blob-rows.ts';
import type { PartsUpload } from './blobs/blob-store.ts';

/** An upload in parts: to which path, and how the artifact store knows it. */
export type Upload = { key: string; store_upload_id: string; part_count: number };

type UploadKey = { scope: number; path: string; uploadId: string };

const UPLOAD_COLUMNS = 'storage_key as key, store_upload_id, part_count';

export const toPartsUpload = ({ key, store_upload_id }: Upload): PartsUpload => ({ key, uploadId: store_upload_id });

const INSERT = statement(
  'insert_artifact_upload',
  `insert into artifact_uploads (scope_id, path, storage_key, store_upload_id, part_count)
   values (:scope, :path, :key, :store_upload_id, :part_count)
   returning id as upload_id, (select secret from signing_key) as secret`,
);

/** Remembers an upload that was begun. Gives the id clients name it by, and the key that signs addresses. */
export async function insertUpload(
  db: Db,
  upload: Upload & { scope: number; path: string },
): Promise<{ upload_id: string; secret: Buffer }> {
  const [row] = await run<{ upload_id: string; secret: Buffer }>(db, INSERT, upload);
  if (!row) throw new Error('insert_artifact_upload gave no row');
  return row;
}

const FIND_FOR_PART = statement(
  'find_artifact_upload',
  `select ${UPLOAD_COLUMNS}, secret from artifact_uploads, signing_key
   where artifact_uploads.id = :upload_id::uuid and finished_timestamp is null`,
);

/** An upload that waits for parts, with the key that signed its addresses. Throws RESOURCE_DOES_NOT_EXIST. */
export async function getUploadForPart(db: Db, uploadId: string): Promise<Upload & { secret: Buffer }> {
  const [row] = isUuid(uploadId) ? await run<Upload & { secret: Buffer }>(db, FIND_FOR_PART, { upload_id: uploadId }) : [];
  if (!row) throw noUpload(uploadId);
  return row;
}

const LEASE = statement(
  'lease_artifact_upload',
  `with leased as (
     update artifact_uploads set leased_until = now_ms() + :lease_ms::bigint
     where id = :upload_id::uuid and scope_id = :scope and path = :path
       and finished_timestamp is null and coalesce(leased_until, 0) < now_ms()
     returning id)
   select ${UPLOAD_COLUMNS}, finished_timestamp is not null as is_finished, exists (select from leased) as is_leased
   from artifact_uploads where id = :upload_id::uuid and scope_id = :scope and path = :path`,
);

/** Reserves an upload for the one who puts its parts together, unless that was done or somebody is at it. Throws RESOURCE_DOES_NOT_EXIST. */
export async function leaseUpload(
  db: Db,
  { scope, path, uploadId }: UploadKey,
  leaseMs: number,
): Promise<Upload & { is_finished: boolean; is_leased: boolean }> {
  const bindings = { scope, path, upload_id: uploadId, lease_ms: leaseMs };
  const [row] = isUuid(uploadId) ? await run<Upload & { is_finished: boolean; is_leased: boolean }>(db, LEASE, bindings) : [];
  if (!row) throw noUpload(uploadId);
  return row;
}

const RENEW = statement(
  'renew_artifact_upload',
  'update artifact_uploads set leased_until = now_ms() + :lease_ms::bigint where id = :upload_id::uuid',
);

/** Keeps a reservation for `leaseMs` more; 0 gives it up. */
export async function renewLease(db: Db, uploadId: string, leaseMs: number): Promise<void> {
  await run(db, RENEW, { upload_id: uploadId, lease_ms: leaseMs });
}

const FINISH = statement('finish_artifact_upload', 'update artifact_uploads set finished_timestamp = now_ms() where id = :upload_id::uuid');

export async function markFinished(db: Db, uploadId: string): Promise<void> {
  await run(db, FINISH, { upload_id: uploadId });
}

const DELETE = statement(
  'delete_artifact_upload',
  `delete from artifact_uploads
   where id = :upload_id::uuid and scope_id = :scope and path = :path and finished_timestamp is null and coalesce(leased_until, 0) < now_ms()
   returning ${UPLOAD_COLUMNS}`,
);

/** Forgets an upload that nobody is putting together. Null when there is none: aborting twice is fine. */
export async function deleteUpload(db: Db, { scope, path, uploadId }: UploadKey): Promise<Upload | null> {
  const [row] = isUuid(uploadId) ? await run<Upload>(db, DELETE, { scope, path, upload_id: uploadId }) : [];
  return row ?? null;
}

const FIND_BLOB = statement(
  'find_signed_blob',
  `select ${BLOB_COLUMNS}, b.creation_timestamp as last_updated_timestamp, secret from blobs b, signing_key where b.sha256 = :sha256`,
);
const SECRET = statement('get_signing_key', 'select secret from signing_key');

/** The bytes with this SHA-256, with the key that signed their address. Throws RESOURCE_DOES_NOT_EXIST. */
export async function getSignedBlob(db: Db, sha256: string): Promise<BlobRow & { last_updated_timestamp: number; secret: Buffer }> {
  const [row] = await run<BlobRow & { last_updated_timestamp: number; secret: Buffer }>(db, FIND_BLOB, { sha256 });
  if (!row) throw doesNotExist('The file of this address is not there any more.');
  return row;
}

export async function getSigningKey(db: Db): Promise<Buffer> {
  const [row] = await run<{ secret: Buffer }>(db, SECRET);
  if (!row) throw new Error('the table signing_key is empty');
  return row.secret;
}

const isUuid = (text: string) => /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text);
const noUpload = (uploadId: string) =>
  doesNotExist(`There is no upload '${uploadId.slice(0, 100)}' for this file: it was given up, or never begun.`);
