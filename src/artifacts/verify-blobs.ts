import { forEachConcurrently } from '../platform/concurrently.ts';
import { type Db, run, statement } from '../platform/db/database.ts';
import { BLOB_COLUMNS, type BlobRow } from './blob-rows.ts';
import type { BlobStore } from './blobs/blob-store.ts';
import { type BlobState, verifyBlob } from './verify-blob.ts';

/** The bytes of one registered model, or of one version of it when `version` is not null. */
export type ModelChoice = { modelId: number; version: number | null };

export type BlobTotals = { count: number; bytes: number };

// Small, since a row brings the CRCs of its pieces along: 4 KiB for each GiB.
const PAGE = 100;
const AT_ONCE = 4;
const MAX_FAILURES_IN_A_ROW = 5;

const OF_MODEL = `b.id in (
  select f.blob_id from model_version_files f where f.model_id = :model_id::bigint and f.version = coalesce(:version::integer, f.version))`;

const page = (name: string, condition: string) =>
  statement(
    name,
    `select ${BLOB_COLUMNS} from blobs b where b.id > :after::bigint and b.id <= :last::bigint and ${condition} order by b.id limit ${PAGE}`,
  );
const totals = (name: string, condition: string) =>
  statement(
    name,
    `select count(*), coalesce(sum(b.size), 0)::bigint as bytes, coalesce(max(b.id), 0) as last from blobs b where ${condition}`,
  );
const ALL = { page: page('blobs_page', 'true'), totals: totals('blob_totals', 'true') };
const CHOSEN = { page: page('model_blobs_page', OF_MODEL), totals: totals('model_blob_totals', OF_MODEL) };

const FIND_BLOB = statement('find_blob', `select ${BLOB_COLUMNS} from blobs b where b.id = :blob_id`);

/**
 * Reads all blobs there are when it begins, or those of `choice`, four at once, as `verifyBlob` does, and tells of each. Blobs that a collection
 * removes meanwhile are passed over. Rejects when the store answers nothing any more: after five failures in a row.
 */
export async function verifyBlobs(
  db: Db,
  blobs: BlobStore,
  choice: ModelChoice | null,
  heed: {
    signal: AbortSignal;
    onTotals(totals: BlobTotals): void;
    onBytes(bytes: number): void;
    /** An error means that the store could not read these bytes. */
    onDone(blob: BlobRow, state: BlobState | Error): Promise<void>;
  },
): Promise<void> {
  const { page, totals } = choice ? CHOSEN : ALL;
  const bindings = choice ? { model_id: choice.modelId, version: choice.version } : {};
  const [found] = await run<BlobTotals & { last: number }>(db, totals, bindings);
  const { last, ...all } = found ?? { count: 0, bytes: 0, last: 0 };
  heed.onTotals(all);
  const pages = async function* () {
    for (let after = 0; !heed.signal.aborted; ) {
      const rows = await run<BlobRow>(db, page, { ...bindings, after, last });
      for (const row of rows) if (!heed.signal.aborted) yield row;
      if (rows.length < PAGE) return;
      after = rows.at(-1)?.blob_id ?? last;
    }
  };
  let failuresInARow = 0;
  await forEachConcurrently(pages(), AT_ONCE, async (listed) => {
    const verified = await verifyCurrent(db, blobs, listed, heed.onBytes);
    if (!verified) return;
    const { blob, state } = verified;
    failuresInARow = state instanceof Error ? failuresInARow + 1 : 0;
    if (state instanceof Error && failuresInARow >= MAX_FAILURES_IN_A_ROW) throw state;
    await heed.onDone(blob, state);
  });
}

/** A blob may have been removed, or stored again under another key, since it was listed. */
async function verifyCurrent(db: Db, blobs: BlobStore, listed: BlobRow, onBytes: (bytes: number) => void) {
  let blob = listed;
  for (;;) {
    const state = await verifyBlob(db, blobs, blob, onBytes).catch((error: unknown) => error as Error);
    if (state === 'ok') return { blob, state };
    const [current] = await run<BlobRow>(db, FIND_BLOB, { blob_id: blob.blob_id });
    if (!current) return null;
    if (current.key === blob.key) return { blob, state };
    blob = current;
  }
}

const HAS_BLOBS = statement('has_blobs', 'select exists (select from blobs) as found');

/** Whether there are blobs but the store has no bytes at all: more likely it is the wrong one than that all were lost. */
export async function isEmptyByMistake(db: Db, blobs: BlobStore): Promise<boolean> {
  const [row] = await run<{ found: boolean }>(db, HAS_BLOBS);
  if (!row?.found) return false;
  for await (const _ of blobs.list()) return false;
  return true;
}

/** What refers to a blob: a registered version's file, or a path in a workspace's artifacts. */
export type Reference = { workspace: string; name: string | null; version: number | null; path: string; is_deleted: boolean };

const SHOWN = 20;
const FIND_REFERENCES = statement(
  'find_blob_references',
  `(select s.name as workspace, m.name, f.version, f.path, false as is_deleted
    from model_version_files f join registered_models m on m.id = f.model_id join scopes s on s.id = m.scope_id
    where f.blob_id = :blob_id order by s.name, m.name, f.version, f.path limit ${SHOWN})
   union all
   (select s.name, null, null, a.path, false from artifacts a join scopes s on s.id = a.scope_id
    where a.blob_id = :blob_id order by s.name, a.path limit ${SHOWN})
   union all
   (select '', d.details ->> 'name', d.version, f.path, true
    from deleted_model_version_files f join deleted_model_versions d on d.id = f.deleted_version_id
    where f.blob_id = :blob_id order by d.id, f.path limit ${SHOWN})`,
);

/** What refers to a blob, at most 20 of each kind: versions, paths, deleted versions that are still kept. */
export async function findReferences(db: Db, blobId: number): Promise<Reference[]> {
  return run<Reference>(db, FIND_REFERENCES, { blob_id: blobId });
}
