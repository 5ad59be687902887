import { type Db, run, statement } from '../../platform/db/database.ts';
import type { Purged } from '../../tracking/purge.ts';

const BATCH = 100;
const IS_OLD = 'd.deleted_timestamp < now_ms() - :age::bigint';
const TOTALS = `(select count(*) from d) as count, (select count(*) from files) as files,
  (select coalesce(sum(b.size), 0)::bigint from files join blobs b on b.id = files.blob_id) as bytes`;

const PURGE = statement(
  'purge_deleted_versions',
  `with d as materialized (select d.id from deleted_model_versions d where ${IS_OLD} limit ${BATCH} for update of d skip locked),
   files as (delete from deleted_model_version_files f using d where f.deleted_version_id = d.id returning f.blob_id),
   gone as (delete from deleted_model_versions t using d where t.id = d.id)
   select ${TOTALS}`,
);

/** Forgets the files of versions that were deleted more than `ageMs` ago, one batch a transaction. */
export async function purgeDeletedVersions(db: Db, ageMs: number, signal: AbortSignal, onPurged: (purged: Purged) => void): Promise<void> {
  while (!signal.aborted) {
    const [purged] = await run<Purged>(db, PURGE, { age: ageMs });
    if (!purged || purged.count === 0) return;
    onPurged(purged);
  }
}

const COUNT = statement(
  'count_deleted_versions_to_purge',
  `with d as materialized (select d.id from deleted_model_versions d where ${IS_OLD}),
   files as (
     insert into going_references select f.blob_id from d join deleted_model_version_files f on f.deleted_version_id = d.id returning blob_id)
   select ${TOTALS}`,
);

/** What `purgeDeletedVersions` would remove; adds the files to the temporary table `going_references (blob_id)`. */
export async function countDeletedVersions(tx: Db, ageMs: number): Promise<Purged> {
  const [purged] = await run<Purged>(tx, COUNT, { age: ageMs });
  return purged ?? { count: 0, files: 0, bytes: 0 };
}
