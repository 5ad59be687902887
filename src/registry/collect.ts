import type { BlobStore } from '../artifacts/blobs/blob-store.ts';
import { collectBlobs, collectStrays, countFreedBlobs, type Freed, isStoreOf } from '../artifacts/collect-blobs.ts';
import { countOldUploads, sweepUploads } from '../artifacts/sweep-uploads.ts';
import { type Db, transaction } from '../platform/db/database.ts';
import {
  countPurged,
  findStillRead,
  type PurgeChoice,
  type Purged,
  purgeExperiments,
  purgeLoggedModels,
  purgeRuns,
} from '../tracking/purge.ts';
import { countDeletedVersions, purgeDeletedVersions } from './model-versions/purge-versions.ts';

/** What a collection removed, or would remove. Only `blobs` and `strays` say how many bytes the store gets back. */
export type CollectionReport = {
  runs: Purged;
  logged_models: Purged;
  experiments: { count: number };
  deleted_versions: Purged;
  uploads: { count: number };
  blobs: Freed;
  /** Bytes that no row knows of; null when they were not looked for, because the store seems to be another database's. */
  strays: Freed | null;
  /** Runs and logged models that are old enough, but a registered version has no files but theirs. */
  still_read: { kind: string; id: string }[];
};

export type CollectionOptions = PurgeChoice & {
  /** Blobs and uploads younger than this (ms) are left alone, whatever refers to them. */
  minAgeMs: number;
  signal: AbortSignal;
  onProgress(step: string, freed: Freed): void;
};

const noneOf = (): Purged => ({ count: 0, files: 0, bytes: 0 });

function add<T extends Freed>(total: T, more: T): void {
  for (const field of Object.keys(total) as (keyof T)[]) (total[field] as number) += more[field] as number;
}

/** Says what `collect` would remove, and removes nothing. */
export async function countCollection(db: Db, blobs: BlobStore, options: CollectionOptions): Promise<CollectionReport> {
  const { ageMs, minAgeMs, signal, onProgress } = options;
  const counted = await transaction(db, async (tx) => {
    await tx.query('set transaction isolation level repeatable read');
    await tx.query('set local statement_timeout = 0');
    await tx.query('create temporary table going_references (blob_id bigint) on commit drop');
    const purged = await countPurged(tx, options);
    const deletedVersions = options.only ? noneOf() : await countDeletedVersions(tx, ageMs);
    await tx.query('analyze going_references');
    return { ...purged, deletedVersions, uploads: await countOldUploads(tx, minAgeMs), blobs: await countFreedBlobs(tx, minAgeMs) };
  });
  const strays = { count: 0, bytes: 0 };
  const knowsStore = await isStoreOf(db, blobs);
  if (knowsStore) {
    await collectStrays(db, blobs, false, {
      minAgeMs,
      signal,
      onFreed(freed) {
        add(strays, freed);
        onProgress('bytes without a row', freed);
      },
    });
  }
  return {
    runs: counted.runs,
    logged_models: counted.loggedModels,
    experiments: { count: counted.experiments },
    deleted_versions: counted.deletedVersions,
    uploads: { count: counted.uploads },
    blobs: counted.blobs,
    strays: knowsStore ? strays : null,
    still_read: await findStillRead(db, options),
  };
}

/**
 * Removes for good what was deleted longer ago than `ageMs`, and the bytes nothing refers to any more. What a registered version refers to stays, also
 * when its run goes. In small transactions, while servers run and other collections do; after it was broken off, the next one does the rest.
 */
export async function collect(db: Db, blobs: BlobStore, options: CollectionOptions): Promise<CollectionReport> {
  const { ageMs, minAgeMs, signal, onProgress } = options;
  const report: CollectionReport = {
    runs: noneOf(),
    logged_models: noneOf(),
    experiments: { count: 0 },
    deleted_versions: noneOf(),
    uploads: { count: 0 },
    blobs: { count: 0, bytes: 0 },
    strays: (await isStoreOf(db, blobs)) ? { count: 0, bytes: 0 } : null,
    still_read: await findStillRead(db, options),
  };
  const adder =
    <T extends Freed>(step: string, total: T) =>
    (more: T) => {
      add(total, more);
      onProgress(step, more);
    };
  await purgeRuns(db, options, signal, adder('runs', report.runs));
  await purgeLoggedModels(db, options, signal, adder('logged models', report.logged_models));
  report.experiments.count = await purgeExperiments(db, options, signal);
  if (!options.only) await purgeDeletedVersions(db, ageMs, signal, adder('deleted versions', report.deleted_versions));
  if (!signal.aborted) report.uploads.count = await sweepUploads(db, blobs, minAgeMs);
  await collectBlobs(db, blobs, { minAgeMs, signal, onFreed: adder('blobs', report.blobs) });
  const { strays } = report;
  if (strays) await collectStrays(db, blobs, true, { minAgeMs, signal, onFreed: adder('bytes without a row', strays) });
  return report;
}
