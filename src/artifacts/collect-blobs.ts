import { setTimeout as sleep } from 'node:timers/promises';
import { forEachConcurrently } from '../platform/concurrently.ts';
import { type Db, run, statement, transaction } from '../platform/db/database.ts';
import type { BlobStore } from './blobs/blob-store.ts';

/** How many there were, and their size in bytes. */
export type Freed = { count: number; bytes: number };

export type Collection = {
  /** Nothing younger than this is touched. */
  minAgeMs: number;
  signal: AbortSignal;
  onFreed(freed: Freed): void;
};

const WINDOW = 20_000;
const BATCH = 500;
const LISTED = 1000;
const REMOVALS_AT_ONCE = 8;

const REFERENCES = ['artifacts', 'model_version_files', 'deleted_model_version_files'];
const UNREFERENCED = REFERENCES.map((table) => `not exists (select from ${table} f where f.blob_id = b.id)`).join(' and ');

const MAX_ID = statement('max_blob_id', 'select coalesce(max(id), 0) as max from blobs');

const FIND_UNREFERENCED = statement(
  'find_unreferenced_blobs',
  `select b.id from blobs b
   where b.id > :after::bigint and b.id <= :after::bigint + ${WINDOW} and b.creation_timestamp < now_ms() - :age::bigint and ${UNREFERENCED}`,
);

const LOCK = statement(
  'lock_unreferenced_blobs',
  'select id from blobs where id = any (:ids::bigint[]) order by id for update skip locked',
);

const DELETE = statement(
  'delete_unreferenced_blobs',
  `delete from blobs b where b.id = any (:ids::bigint[]) and ${UNREFERENCED} returning b.storage_key as key, b.size`,
);

// Those of servers and commands: other programs (a backup, which may take hours) never add a reference.
const OLDER_TRANSACTIONS = statement(
  'count_older_transactions',
  `select count(*) from pg_stat_activity
   where datname = current_database() and application_name = 'model-commons' and pid <> pg_backend_pid()
     and xact_start <= :since::timestamptz`,
);
const NOW = statement('clock', 'select clock_timestamp()::text as now');
const POLL_MS = 20;

/**
 * Removes the blobs that no path and no version, registered or deleted, refers to: first the row, then the bytes. Safe while servers write.
 *
 * What could go wrong is a reference that is made while the blob goes. There are two ways to make one:
 * - A file with the same content is stored. `put_artifact` updates the blob's row, which is a lock on it until its path is committed. If it comes
 *   first, the row is skipped here, or its path is seen: LOCK and DELETE are two statements, so DELETE looks for references after the locks are held.
 *   If it comes second, it waits for this transaction, finds the row gone, and inserts a new one with the bytes that it has just stored.
 * - A path or version is copied: a version is registered, or deleted and kept. Such a statement reads the old reference and inserts the new one,
 *   whose foreign key locks the blob. When the old reference was deleted in between, the blob looks free until the new one is committed. So between
 *   finding a blob free and locking it, all transactions that were running are waited for: later ones cannot see the old reference either.
 *
 * A kill between row and bytes leaves bytes that nothing knows of: `collectStrays` removes them, another day.
 */
export async function collectBlobs(db: Db, blobs: BlobStore, { minAgeMs, signal, onFreed }: Collection): Promise<void> {
  const [{ max } = { max: 0 }] = await run<{ max: number }>(db, MAX_ID);
  for (let after = 0; after < max && !signal.aborted; after += WINDOW) {
    const found = (await run<{ id: number }>(db, FIND_UNREFERENCED, { after, age: minAgeMs })).map(({ id }) => id);
    if (found.length > 0) await waitForOlderTransactions(db, signal);
    for (let at = 0; at < found.length && !signal.aborted; at += BATCH) {
      const gone = await transaction(db, async (tx) => {
        const locked = await run<{ id: number }>(tx, LOCK, { ids: found.slice(at, at + BATCH) });
        return run<{ key: string; size: number }>(tx, DELETE, { ids: locked.map(({ id }) => id) });
      });
      await forEachConcurrently(gone, REMOVALS_AT_ONCE, async ({ key, size }) => {
        await blobs.remove(key);
        onFreed({ count: 1, bytes: size });
      });
    }
  }
}

async function waitForOlderTransactions(db: Db, signal: AbortSignal): Promise<void> {
  const [{ now } = { now: '' }] = await run<{ now: string }>(db, NOW);
  while (!signal.aborted) {
    const [row] = await run<{ count: number }>(db, OLDER_TRANSACTIONS, { since: now });
    if (row?.count === 0) return;
    await sleep(POLL_MS);
  }
}

const FIND_STRAYS = statement(
  'find_stray_keys',
  `select key from unnest(:keys::text[]) as listed (key)
   where not exists (select from blobs where storage_key = key) and not exists (select from artifact_uploads where storage_key = key)`,
);

/**
 * Finds the bytes in the store that no row knows of (a server was killed while it stored or removed them), and removes them if `remove`.
 * An upload in parts is known by its row before it is a blob; any other blob gets its row right after its bytes are whole.
 */
export async function collectStrays(db: Db, blobs: BlobStore, remove: boolean, { minAgeMs, signal, onFreed }: Collection): Promise<void> {
  const before = Date.now() - minAgeMs;
  let listed = new Map<string, number>();
  const sift = async () => {
    const strays = await run<{ key: string }>(db, FIND_STRAYS, { keys: [...listed.keys()] });
    await forEachConcurrently(strays, REMOVALS_AT_ONCE, async ({ key }) => {
      if (remove) await blobs.remove(key);
      onFreed({ count: 1, bytes: listed.get(key) ?? 0 });
    });
    listed = new Map();
  };
  for await (const { key, size, modified } of blobs.list()) {
    if (signal.aborted) return;
    if (modified < before) listed.set(key, size);
    if (listed.size >= LISTED) await sift();
  }
  await sift();
}

const SAMPLE = statement(
  'sample_blobs',
  `(select storage_key as key from blobs order by id desc limit 10) union all (select storage_key from blobs order by id limit 10)`,
);

/**
 * Whether the store is the one this database knows: one of its newest or oldest blobs is there, or neither has any. With another database's store everything
 * in it would look like leftovers.
 */
export async function isStoreOf(db: Db, blobs: BlobStore): Promise<boolean> {
  for (const { key } of await run<{ key: string }>(db, SAMPLE)) {
    if ((await blobs.sizeOf(key)) !== null) return true;
  }
  return isEmpty(blobs);
}

async function isEmpty(blobs: BlobStore): Promise<boolean> {
  for await (const _ of blobs.list()) return false;
  return true;
}

const COUNT_FREED = statement(
  'count_unreferenced_blobs',
  `with going as (select blob_id, count(*) from going_references group by blob_id)
   select count(*), coalesce(sum(b.size), 0)::bigint as bytes from blobs b left join going on going.blob_id = b.id
   where b.creation_timestamp < now_ms() - :age::bigint
     and case when going.count is null then ${UNREFERENCED}
       else going.count = ${REFERENCES.map((table) => `(select count(*) from ${table} f where f.blob_id = b.id)`).join(' + ')} end`,
);

/** What `collectBlobs` would free once the references in the temporary table `going_references (blob_id)` are gone. */
export async function countFreedBlobs(tx: Db, minAgeMs: number): Promise<Freed> {
  const [row] = await run<Freed>(tx, COUNT_FREED, { age: minAgeMs });
  return row ?? { count: 0, bytes: 0 };
}
