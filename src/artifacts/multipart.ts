import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../endpoint.ts';
import { invalidParameter } from '../platform/errors.ts';
import type { UploadedPart } from './blobs/blob-store.ts';
import { signUrl } from './signed-urls.ts';
import { putArtifact, refuseReserved } from './store.ts';
import { deleteUpload, insertUpload, leaseUpload, markFinished, renewLease, toPartsUpload } from './uploads-store.ts';

/** As S3 has it. */
const MAX_PARTS = 10_000;
/** How long the address of a part works: as long as the stock server's. */
const PART_URL_SECONDS = 3600;
const LEASE_MS = 30_000;
const POLL_MS = 250;

export type PartCredential = { url: string; part_number: number; headers: Record<string, string> };

export const partPath = (uploadId: string, number: number): string => `/api/2.0/mlflow-artifacts/mpu/parts/${uploadId}/${number}`;

/**
 * Begins an upload in parts and says where each part goes: straight to the artifact store, or to a signed address of this server.
 * Throws INVALID_PARAMETER_VALUE for a number of parts outside 1..10000, PERMISSION_DENIED for a path below the registered versions.
 */
export async function beginUpload(
  { db, blobs, scope, links }: Services,
  path: string,
  count: number,
): Promise<{ upload_id: string; credentials: PartCredential[] }> {
  refuseReserved(path);
  if (count < 1 || count > MAX_PARTS)
    throw invalidParameter(`Invalid value ${count} for parameter 'num_parts': it must be 1 to ${MAX_PARTS}.`);
  const { parts } = blobs;
  const upload = await parts.begin(count);
  const { upload_id, secret } = await insertUpload(db, {
    scope: scope.id,
    path,
    key: upload.key,
    store_upload_id: upload.uploadId,
    part_count: count,
  });
  const credentials: PartCredential[] = [];
  for (let number = 1; number <= count; number++) {
    const address = parts.direct
      ? await parts.partUrl(upload, number, PART_URL_SECONDS)
      : { url: signUrl(secret, links, partPath(upload_id, number), PART_URL_SECONDS), headers: {} };
    credentials.push({ ...address, part_number: number });
  }
  return { upload_id, credentials };
}

/**
 * Puts the parts of an upload together and makes the file visible at its path. Clients ask again when an answer got lost or took too long, so one
 * server at a time works on an upload, the others wait for it, and one that is done stays done.
 * Throws as `putArtifact`, RESOURCE_DOES_NOT_EXIST for an unknown upload, INVALID_PARAMETER_VALUE for parts that are missing or do not fit.
 */
export async function finishUpload({ db, blobs, scope }: Services, path: string, uploadId: string, parts: UploadedPart[]): Promise<void> {
  const key = { scope: scope.id, path, uploadId };
  let upload = await leaseUpload(db, key, LEASE_MS);
  while (!upload.is_finished && !upload.is_leased) {
    await sleep(POLL_MS);
    upload = await leaseUpload(db, key, LEASE_MS);
  }
  if (upload.is_finished) return;
  const renewal = setInterval(() => void renewLease(db, uploadId, LEASE_MS).catch(() => {}), LEASE_MS / 3);
  try {
    const blob = await blobs.parts.finish(toPartsUpload(upload), upload.part_count, parts);
    const keptAs = await putArtifact(db, scope.id, path, blob);
    clearInterval(renewal);
    await markFinished(db, uploadId);
    if (keptAs !== blob.key) await blobs.remove(blob.key);
  } catch (error) {
    clearInterval(renewal);
    await renewLease(db, uploadId, 0);
    throw error;
  }
}

/** Gives an upload up and removes its parts. One that is unknown, done, or being put together is left alone. */
export async function abandonUpload({ db, blobs, scope }: Services, path: string, uploadId: string): Promise<void> {
  const upload = await deleteUpload(db, { scope: scope.id, path, uploadId });
  if (upload) await blobs.parts.abandon(toPartsUpload(upload));
}
