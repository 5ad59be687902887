import { forEachConcurrently } from '../platform/concurrently.ts';
import { type Db, run, statement } from '../platform/db/database.ts';
import type { BlobStore } from './blobs/blob-store.ts';
import { toPartsUpload, type Upload } from './uploads-store.ts';

const HOUR_MS = 3_600_000;
/** Uploads in parts are given up, and those that are done forgotten, this long after they began. */
const UPLOAD_AGE_MS = 24 * HOUR_MS;
const BATCH = 100;
const AT_ONCE = 4;

const IS_OLD = `creation_timestamp < now_ms() - :age::bigint and (finished_timestamp is not null or coalesce(leased_until, 0) < now_ms())`;

const COUNT_OLD = statement(
  'count_old_artifact_uploads',
  `select count(*) from artifact_uploads where ${IS_OLD} and finished_timestamp is null`,
);

const TAKE_OLD = statement(
  'take_old_artifact_uploads',
  `delete from artifact_uploads where id in (select id from artifact_uploads where ${IS_OLD} limit ${BATCH} for update skip locked)
   returning storage_key as key, store_upload_id, part_count, finished_timestamp is not null as is_finished`,
);

const OPEN_KEYS = statement(
  'open_artifact_upload_keys',
  'select storage_key as key from artifact_uploads where finished_timestamp is null',
);

/** How many uploads in parts were begun more than `ageMs` ago and never finished. */
export async function countOldUploads(db: Db, ageMs: number): Promise<number> {
  const [row] = await run<{ count: number }>(db, COUNT_OLD, { age: ageMs });
  return row?.count ?? 0;
}

/**
 * Gives up the uploads in parts that were begun more than `ageMs` ago, but none that is just being put together, and removes what broken-off uploads
 * left in the store. The row goes first: whoever completes the upload from then on is told that there is none. Gives the number of uploads given up.
 */
export async function sweepUploads(db: Db, blobs: BlobStore, ageMs = UPLOAD_AGE_MS): Promise<number> {
  let given = 0;
  for (;;) {
    const taken = await run<Upload & { is_finished: boolean }>(db, TAKE_OLD, { age: ageMs });
    const unfinished = taken.filter((upload) => !upload.is_finished);
    given += unfinished.length;
    await forEachConcurrently(unfinished, AT_ONCE, (upload) => blobs.parts.abandon(toPartsUpload(upload)));
    if (taken.length < BATCH) break;
  }
  // On a disk an upload is as old as the last byte that came; in an object store as old as its beginning, and a large file takes its time.
  const leftoverAge = blobs.parts.direct ? ageMs : Math.min(ageMs, HOUR_MS);
  const before = Date.now() - leftoverAge;
  const open = new Set((await run<{ key: string }>(db, OPEN_KEYS)).map(({ key }) => key));
  await blobs.removeLeftovers(before, open);
  return given;
}
