import { type Db, run, statement, transaction } from '../platform/db/database.ts';

/** Which deleted runs, logged models and experiments go for good. */
export type PurgeChoice = {
  /** Only what was deleted longer ago. */
  ageMs: number;
  /** Only these, or all. The runs and logged models of a chosen experiment are chosen with it. */
  only: { runIds: string[]; modelIds: string[]; experimentIds: string[] } | null;
};

/** How many went, with how many files of what size in bytes. Other paths and versions may still have the same content. */
export type Purged = { count: number; files: number; bytes: number };

const BATCH = 50;
const IS_OURS = "~ '^mlflow-artifacts:/[^/]'";

/** The folder of an `mlflow-artifacts:/` location; null for one that does not hold the id: what is there may be others' too. */
const folderOf = (location: string, id: string) =>
  `case when ${location} ${IS_OURS} and strpos(${location}, ${id}) > 0 then rtrim(substr(${location}, ${'mlflow-artifacts:/'.length + 1}), '/') end`;

/** A version without files of its own reads those of the run or logged model it was made from: they stay. */
const stillRead = (condition: string) =>
  `exists (select from model_versions v where ${condition} and v.digest is null
     and (v.storage_location ${IS_OURS} or starts_with(v.storage_location, 'runs:/')))`;
const RUN_IS_READ = stillRead('v.run_id = r.run_id');
const MODEL_IS_READ = stillRead("v.logged_model_id = l.model_id and v.logged_model_id <> ''");

const IS_OLD_EXPERIMENT = `e.lifecycle_stage = 'deleted' and e.last_update_time < now_ms() - :age::bigint and e.experiment_id <> 0
  and (:everything or e.experiment_id = any (:experiment_ids::bigint[]))`;
const HAS_ACTIVE_RUN = `exists (select from runs x where x.experiment_id = e.experiment_id and x.lifecycle_stage = 'active')`;

const IS_OLD_RUN = `r.lifecycle_stage = 'deleted' and r.deleted_time < now_ms() - :age::bigint
  and (:everything or r.run_id = any (:run_ids::text[]) or r.experiment_id = any (:experiment_ids::bigint[]))`;
const IS_OLD_MODEL = `(
    l.lifecycle_stage = 'deleted' and l.last_updated_timestamp_ms < now_ms() - :age::bigint
      and (:everything or l.model_id = any (:model_ids::text[]) or l.experiment_id = any (:experiment_ids::bigint[]))
    or ${IS_OLD_EXPERIMENT} and not ${HAS_ACTIVE_RUN})`;

const RUNS = 'runs r join experiments e on e.experiment_id = r.experiment_id';
const MODELS = 'logged_models l join experiments e on e.experiment_id = l.experiment_id';
const RUNS_TO_PURGE = `select r.run_id as id, e.scope_id, ${folderOf('r.artifact_uri', 'r.run_id')} as folder from ${RUNS}
  where ${IS_OLD_RUN} and not ${RUN_IS_READ}`;
const MODELS_TO_PURGE = `select l.model_id as id, e.scope_id, ${folderOf('l.artifact_uri', 'l.model_id')} as folder from ${MODELS}
  where ${IS_OLD_MODEL} and not ${MODEL_IS_READ}`;

const IN_FOLDER = `a.scope_id = d.scope_id and a.path >= d.folder || '/' and a.path < d.folder || '0'`;

const purge = (table: string, key: string, doomed: string, row: string) =>
  statement(
    `purge_${table}`,
    `with d as materialized (${doomed} limit ${BATCH} for update of ${row} skip locked),
     files as (delete from artifacts a using d where ${IN_FOLDER} returning a.blob_id),
     gone as (delete from ${table} t using d where t.${key} = d.id returning t.${key})
     select (select count(*) from gone) as count, (select count(*) from files) as files,
       (select coalesce(sum(b.size), 0)::bigint from files join blobs b on b.id = files.blob_id) as bytes`,
  );
const PURGE_RUNS = purge('runs', 'run_id', RUNS_TO_PURGE, 'r');
// An experiment that is being restored keeps its logged models.
const PURGE_MODELS = purge('logged_models', 'model_id', MODELS_TO_PURGE, 'l skip locked for share of e');

const PURGE_EXPERIMENTS = statement(
  'purge_experiments',
  `with d as materialized (
     select e.experiment_id from experiments e
     where ${IS_OLD_EXPERIMENT} and not exists (select from runs r where r.experiment_id = e.experiment_id)
       and not exists (select from logged_models l where l.experiment_id = e.experiment_id)
     limit ${BATCH} for update of e skip locked)
   delete from experiments e using d where e.experiment_id = d.experiment_id returning e.experiment_id`,
);

function bindingsOf({ ageMs, only }: PurgeChoice): Record<string, unknown> {
  return {
    age: ageMs,
    everything: only === null,
    run_ids: only?.runIds ?? [],
    model_ids: only?.modelIds ?? [],
    experiment_ids: only?.experimentIds ?? [],
  };
}

/** Removes the chosen runs, one batch a transaction, with all that belongs to them and the files below their artifact folder. */
export const purgeRuns = (db: Db, choice: PurgeChoice, signal: AbortSignal, onPurged: (purged: Purged) => void): Promise<void> =>
  purgeAll(db, PURGE_RUNS, choice, signal, onPurged);

/** As `purgeRuns`, of logged models; those of an experiment that goes are chosen too, deleted or not (mlflow/cli, gc). */
export const purgeLoggedModels = (db: Db, choice: PurgeChoice, signal: AbortSignal, onPurged: (purged: Purged) => void): Promise<void> =>
  purgeAll(db, PURGE_MODELS, choice, signal, onPurged);

async function purgeAll(
  db: Db,
  batch: ReturnType<typeof statement>,
  choice: PurgeChoice,
  signal: AbortSignal,
  onPurged: (purged: Purged) => void,
): Promise<void> {
  while (!signal.aborted) {
    const purged = await withoutTimeout(db, async (tx) => (await run<Purged>(tx, batch, bindingsOf(choice)))[0]);
    if (!purged || purged.count === 0) return;
    onPurged(purged);
  }
}

/** Removes the chosen experiments that have no runs and logged models left; never the default one. Run it after the other two. Gives their number. */
export async function purgeExperiments(db: Db, choice: PurgeChoice, signal: AbortSignal): Promise<number> {
  let count = 0;
  while (!signal.aborted) {
    const gone = await withoutTimeout(db, (tx) => run(tx, PURGE_EXPERIMENTS, bindingsOf(choice)));
    if (gone.length === 0) break;
    count += gone.length;
  }
  return count;
}

/** However many metrics there are to delete. */
const withoutTimeout = <T>(db: Db, work: (tx: Db) => Promise<T>): Promise<T> =>
  transaction(db, async (tx) => {
    await tx.query('set local statement_timeout = 0');
    return work(tx);
  });

const count = (kind: string, doomed: string) =>
  statement(
    `count_${kind}_to_purge`,
    `with d as materialized (${doomed}),
     files as (insert into going_references select a.blob_id from d join artifacts a on ${IN_FOLDER} returning blob_id)
     select (select count(*) from d) as count, (select count(*) from files) as files,
       (select coalesce(sum(b.size), 0)::bigint from files join blobs b on b.id = files.blob_id) as bytes`,
  );
const COUNT_RUNS = count('runs', RUNS_TO_PURGE);
const COUNT_MODELS = count('logged_models', MODELS_TO_PURGE);
const COUNT_EXPERIMENTS = statement(
  'count_experiments_to_purge',
  `select count(*) from experiments e where ${IS_OLD_EXPERIMENT} and not ${HAS_ACTIVE_RUN}
     and not exists (select from runs r where r.experiment_id = e.experiment_id and (not (${IS_OLD_RUN}) or ${RUN_IS_READ}))
     and not exists (select from logged_models l where l.experiment_id = e.experiment_id and ${MODEL_IS_READ})`,
);

/** What the three above would remove; adds the files to the temporary table `going_references (blob_id)`. */
export async function countPurged(tx: Db, choice: PurgeChoice): Promise<{ runs: Purged; loggedModels: Purged; experiments: number }> {
  const none = { count: 0, files: 0, bytes: 0 };
  const [runs] = await run<Purged>(tx, COUNT_RUNS, bindingsOf(choice));
  const [models] = await run<Purged>(tx, COUNT_MODELS, bindingsOf(choice));
  const [experiments] = await run<{ count: number }>(tx, COUNT_EXPERIMENTS, bindingsOf(choice));
  return { runs: runs ?? none, loggedModels: models ?? none, experiments: experiments?.count ?? 0 };
}

const FIND_KEPT = statement(
  'find_runs_and_models_still_read',
  `select 'run' as kind, r.run_id as id from ${RUNS} where ${IS_OLD_RUN} and ${RUN_IS_READ}
   union all
   select 'logged model', l.model_id from ${MODELS} where ${IS_OLD_MODEL} and ${MODEL_IS_READ}`,
);

/** The chosen runs and logged models that stay because a registered version has no files but theirs. */
export async function findStillRead(db: Db, choice: PurgeChoice): Promise<{ kind: string; id: string }[]> {
  return run(db, FIND_KEPT, bindingsOf(choice));
}
