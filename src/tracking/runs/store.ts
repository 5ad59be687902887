import { randomUUID } from 'node:crypto';
import { type Db, quickRead, run, statement } from '../../platform/db/database.ts';
import { remembering } from '../../platform/db/remembering.ts';
import { doesNotExist, invalidParameter, type MlflowError } from '../../platform/errors.ts';
import type { Int64 } from '../../platform/json.ts';
import { lastValues } from '../../platform/names.ts';
import type { ExperimentKey } from '../experiments/entity.ts';
import { inactiveExperiment } from '../experiments/store.ts';
import { ACTIVE_RUN, FROM_RUN, RUN_COLUMNS, RUN_INFO_COLUMNS } from './columns.ts';
import { RUN_NAME_TAG, type RunInfoRow, type RunKey, type RunRow } from './entity.ts';

const notFound = (runId: string) => doesNotExist(`Run with id=${runId} not found`);

function single<Row>(rows: Row[], key: RunKey): Row {
  if (!rows[0]) throw notFound(key.runId);
  return rows[0];
}

// The artifacts' place goes before a query string, and the scheme is in lower case, as mlflow/utils/uri.py (append_to_uri_path) has it.
const INSERT_RUN = statement(
  'insert_run',
  `with experiment as (
     select experiment_id, artifact_location, lifecycle_stage from experiments
     where scope_id = :scope and experiment_id = :experimentId::bigint for share),
   r as (
     insert into runs (run_id, experiment_id, name, user_id, status, start_time, artifact_uri)
     select :runId, experiment_id, :name, :userId, 'RUNNING', :startTime::bigint,
       coalesce(lower(substring(artifact_location from '^[A-Za-z0-9+.-]+:')), '') ||
         regexp_replace(regexp_replace(artifact_location, '^[A-Za-z0-9+.-]+:', ''), '/?(\\?.*)?$', '/' || :runId || '/artifacts\\1')
     from experiment where lifecycle_stage = 'active'
     returning *),
   tags as (
     insert into run_tags (run_id, key, value) select r.run_id, tag.key, tag.value from r, unnest(:keys::text[], :values::text[]) as tag (key, value)
     returning key, value)
   select experiment.lifecycle_stage as experiment_stage, ${RUN_INFO_COLUMNS},
     (select json_agg(json_build_object('key', key, 'value', value) order by key) from tags) as tags,
     null as params, null as metrics, null as dataset_inputs, null as model_inputs, null as model_outputs
   from experiment left join r on true`,
);

/**
 * Starts a run. Throws RESOURCE_DOES_NOT_EXIST when the scope has no such experiment, INVALID_PARAMETER_VALUE when it is deleted.
 * Tags given twice keep the last value. `startTime` is in epoch milliseconds.
 */
export async function insertRun(
  db: Db,
  key: ExperimentKey,
  made: { name: string; userId: string; startTime: Int64; tags: { key: string; value: string }[] },
): Promise<RunRow> {
  const [row] = await run<RunRow & { experiment_stage: string }>(db, INSERT_RUN, {
    ...key,
    runId: randomUUID().replaceAll('-', ''),
    name: made.name,
    userId: made.userId,
    startTime: made.startTime,
    ...lastValues([...made.tags, { key: RUN_NAME_TAG, value: made.name }]),
  });
  if (!row) throw doesNotExist(`No Experiment with id=${key.experimentId} exists`);
  if (row.experiment_stage !== 'active') throw inactiveExperiment(key.experimentId, row.experiment_stage);
  return row;
}

const GET_RUN = statement('get_run', `select ${RUN_COLUMNS} ${FROM_RUN}`);

/** A run in any lifecycle stage. Throws RESOURCE_DOES_NOT_EXIST when the scope has none of that id; so do the functions below. */
export async function getRun(db: Db, key: RunKey): Promise<RunRow> {
  return single(await run<RunRow>(db, GET_RUN, key), key);
}

const FIND_ARTIFACT_URI = quickRead('find_run_artifact_uri', `select r.artifact_uri ${FROM_RUN}`);

/** Where a run's artifacts lie, whatever its lifecycle stage; null when the scope has no such run. */
export const findRunArtifactUri = remembering(async (db: Db, scope: number, runId: string): Promise<string | null> => {
  const [row] = await run<{ artifact_uri: string }>(db, FIND_ARTIFACT_URI, { scope, runId });
  return row?.artifact_uri ?? null;
});

const FIND_STAGE = statement('find_run_stage', `select r.lifecycle_stage ${FROM_RUN}`);

/** The error of a write that found no active run: there is none of that id, or it is deleted. */
export async function inactiveRun(db: Db, key: RunKey): Promise<MlflowError> {
  const [row] = await run<{ lifecycle_stage: string }>(db, FIND_STAGE, key);
  if (!row) return notFound(key.runId);
  return invalidParameter(`The run ${key.runId} must be in the 'active' state. Current state is ${row.lifecycle_stage}.`);
}

const UPDATE_RUN = statement(
  'update_run',
  `with r as (
     update runs r set
       status = coalesce(:status::text, r.status), end_time = coalesce(:endTime::bigint, r.end_time), name = coalesce(:name::text, r.name)
     from experiments e
     where r.run_id = :runId and e.experiment_id = r.experiment_id and e.scope_id = :scope and r.lifecycle_stage = 'active'
     returning r.*),
   tag as (
     insert into run_tags (run_id, key, value) select run_id, '${RUN_NAME_TAG}', name from r where :name::text is not null
     on conflict (run_id, key) do update set value = excluded.value)
   select ${RUN_INFO_COLUMNS} from r`,
);

/** Changes what is not null. A name goes into the tag that repeats it. Throws INVALID_PARAMETER_VALUE for a deleted run. */
export async function updateRun(
  db: Db,
  key: RunKey,
  change: { status: string | null; endTime: Int64 | null; name: string | null },
): Promise<RunInfoRow> {
  const [row] = await run<RunInfoRow>(db, UPDATE_RUN, { ...key, ...change });
  if (!row) throw await inactiveRun(db, key);
  return row;
}

const moveTo = (stage: 'active' | 'deleted') =>
  statement(
    `move_run_to_${stage}`,
    `update runs r set lifecycle_stage = '${stage}', deleted_time = ${stage === 'deleted' ? 'now_ms()' : 'null'}
     from experiments e where r.run_id = :runId and e.experiment_id = r.experiment_id and e.scope_id = :scope
     returning r.run_id`,
  );
const DELETE_RUN = moveTo('deleted');
const RESTORE_RUN = moveTo('active');

/** Marks a run as deleted; one that is already is fine. */
export async function deleteRun(db: Db, key: RunKey): Promise<void> {
  single(await run(db, DELETE_RUN, key), key);
}

export async function restoreRun(db: Db, key: RunKey): Promise<void> {
  single(await run(db, RESTORE_RUN, key), key);
}

const DELETE_TAG = statement(
  'delete_run_tag',
  `with run as (${ACTIVE_RUN}),
   gone as (delete from run_tags t using run where t.run_id = run.run_id and t.key = :key returning t.key)
   select exists (select from gone) as found from run`,
);

/** Throws RESOURCE_DOES_NOT_EXIST also for a tag that is not there, INVALID_PARAMETER_VALUE for a deleted run. */
export async function deleteRunTag(db: Db, key: RunKey, tagKey: string): Promise<void> {
  const [row] = await run<{ found: boolean }>(db, DELETE_TAG, { ...key, key: tagKey });
  if (!row) throw await inactiveRun(db, key);
  if (!row.found) throw doesNotExist(`No tag with name: ${tagKey} in run with id ${key.runId}`);
}

const FIND_UNKNOWN = statement(
  'find_unknown_run',
  `select given.run_id from unnest(:runIds::text[]) with ordinality as given (run_id, place)
   where not exists (
     select from runs r join experiments e on e.experiment_id = r.experiment_id where r.run_id = given.run_id and e.scope_id = :scope)
   order by given.place limit 1`,
);

/**
 * Throws RESOURCE_DOES_NOT_EXIST for the first run the scope has not. Where metrics are read the stock server asks so with workspaces only
 * (mlflow/store/tracking/sqlalchemy_workspace_store.py, _validate_run_accessible); without them such a run has no points.
 */
export async function refuseUnknownRuns(db: Db, scope: number, runIds: string[]): Promise<void> {
  const [unknown] = await run<{ run_id: string }>(db, FIND_UNKNOWN, { scope, runIds });
  if (unknown) throw notFound(unknown.run_id);
}
