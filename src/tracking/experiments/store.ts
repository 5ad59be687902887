import { type Db, isDatabaseError, run, statement, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { alreadyExists, badRequest, doesNotExist, invalidParameter, invalidState } from '../../platform/errors.ts';
import { lastValues } from '../../platform/names.ts';
import type { ExperimentKey, ExperimentRow } from './entity.ts';

/** The columns of an ExperimentRow, of `experiments e`. */
export const EXPERIMENT_COLUMNS = `
  e.experiment_id, e.name, e.artifact_location, e.lifecycle_stage, e.last_update_time, e.creation_time,
  (select json_agg(json_build_object('key', t.key, 'value', t.value) order by t.key) from experiment_tags t where t.experiment_id = e.experiment_id) as tags`;

const notFound = ({ experimentId }: ExperimentKey) => doesNotExist(`No Experiment with id=${experimentId} exists`);

function single<Row>(rows: Row[], key: ExperimentKey): Row {
  if (!rows[0]) throw notFound(key);
  return rows[0];
}

/** The error of a write that only an active experiment takes. */
export const inactiveExperiment = (experimentId: number, stage: string) =>
  invalidParameter(`The experiment ${experimentId} must be in the 'active' state. Current state is ${stage}.`);

const INSERT_EXPERIMENT = statement(
  'insert_experiment',
  `with given as (select nextval(pg_get_serial_sequence('experiments', 'experiment_id')) as id),
   experiment as (
     insert into experiments (experiment_id, scope_id, name, artifact_location)
     select id, :scope, :name, coalesce(nullif(:location::text, ''), 'mlflow-artifacts:/' || id) from given
     on conflict (scope_id, name) do nothing
     returning experiment_id),
   tags as (
     insert into experiment_tags (experiment_id, key, value)
     select experiment_id, tag.key, tag.value from experiment, unnest(:keys::text[], :values::text[]) as tag (key, value))
   select experiment_id from experiment`,
);

/**
 * Makes an experiment; an empty `location` means a folder of this server's own artifacts. Resolves to its id.
 * Throws RESOURCE_ALREADY_EXISTS when the scope has one of that name, a deleted one too.
 */
export async function insertExperiment(
  db: Db,
  key: { scope: number; name: string },
  experiment: { location: string; tags: { key: string; value: string }[] },
): Promise<number> {
  const [row] = await run<{ experiment_id: number }>(db, INSERT_EXPERIMENT, {
    ...key,
    location: experiment.location,
    ...lastValues(experiment.tags),
  });
  if (!row) throw alreadyExists(`Experiment(name=${key.name}) already exists.`);
  return row.experiment_id;
}

const GET_EXPERIMENT = statement(
  'get_experiment',
  `select ${EXPERIMENT_COLUMNS} from experiments e where e.scope_id = :scope and e.experiment_id = :experimentId::bigint`,
);

/** An experiment in any lifecycle stage. Throws RESOURCE_DOES_NOT_EXIST when the scope has none of that id; so do the functions below. */
export async function getExperiment(db: Db, key: ExperimentKey): Promise<ExperimentRow> {
  return single(await run<ExperimentRow>(db, GET_EXPERIMENT, key), key);
}

const GET_BY_NAME = statement(
  'get_experiment_by_name',
  `select ${EXPERIMENT_COLUMNS} from experiments e where e.scope_id = :scope and e.name = :name`,
);

export async function getExperimentByName(db: Db, key: { scope: number; name: string }): Promise<ExperimentRow> {
  const [row] = await run<ExperimentRow>(db, GET_BY_NAME, key);
  if (!row) throw doesNotExist(`Could not find experiment with name '${key.name}'`);
  return row;
}

const moveTo = (stage: 'active' | 'deleted', from: 'active' | 'deleted') =>
  statement(
    `move_experiment_to_${stage}`,
    `with experiment as (
       update experiments set lifecycle_stage = '${stage}', last_update_time = now_ms()
       where scope_id = :scope and experiment_id = :experimentId::bigint and lifecycle_stage = '${from}'
       returning experiment_id),
     runs as (
       update runs r set lifecycle_stage = '${stage}', deleted_time = ${stage === 'deleted' ? 'now_ms()' : 'null'}
       from experiment where r.experiment_id = experiment.experiment_id)
     select experiment_id from experiment`,
  );
const DELETE_EXPERIMENT = moveTo('deleted', 'active');
const RESTORE_EXPERIMENT = moveTo('active', 'deleted');

/** Marks an active experiment and all its runs as deleted. A deleted one "does not exist", as the stock server has it. */
export async function deleteExperiment(db: Db, key: ExperimentKey): Promise<void> {
  single(await run(db, DELETE_EXPERIMENT, key), key);
}

/** Makes a deleted experiment active again, with all its runs: also those deleted before it. */
export async function restoreExperiment(db: Db, key: ExperimentKey): Promise<void> {
  single(await run(db, RESTORE_EXPERIMENT, key), key);
}

const RENAME_EXPERIMENT = statement(
  'rename_experiment',
  `with renamed as (
     update experiments set name = :name, last_update_time = now_ms()
     where scope_id = :scope and experiment_id = :experimentId::bigint and lifecycle_stage = 'active'
     returning experiment_id)
   select e.lifecycle_stage from experiments e where e.scope_id = :scope and e.experiment_id = :experimentId::bigint`,
);

/** Throws INVALID_STATE for a deleted experiment, BAD_REQUEST (the stock server's code) when the new name is taken. */
export async function renameExperiment(db: Db, key: ExperimentKey, name: string): Promise<void> {
  try {
    const rows = await run<{ lifecycle_stage: string }>(db, RENAME_EXPERIMENT, { ...key, name });
    if (single(rows, key).lifecycle_stage !== 'active') throw invalidState('Cannot rename a non-active experiment.');
  } catch (error) {
    if (isDatabaseError(error, UNIQUE_VIOLATION)) throw badRequest(`Experiment(name=${name}) already exists.`);
    throw error;
  }
}

const FIND_STAGE = `
  with experiment as (
    select experiment_id, lifecycle_stage from experiments where scope_id = :scope and experiment_id = :experimentId::bigint for share)`;

const SET_TAG = statement(
  'set_experiment_tag',
  `${FIND_STAGE},
   tag as (
     insert into experiment_tags (experiment_id, key, value) select experiment_id, :key, :value from experiment where lifecycle_stage = 'active'
     on conflict (experiment_id, key) do update set value = excluded.value)
   select lifecycle_stage from experiment`,
);

export async function setExperimentTag(db: Db, key: ExperimentKey, tag: { key: string; value: string }): Promise<void> {
  const { lifecycle_stage: stage } = single(await run<{ lifecycle_stage: string }>(db, SET_TAG, { ...key, ...tag }), key);
  if (stage !== 'active') throw inactiveExperiment(key.experimentId, stage);
}

const DELETE_TAG = statement(
  'delete_experiment_tag',
  `${FIND_STAGE},
   gone as (
     delete from experiment_tags t using experiment e
     where t.experiment_id = e.experiment_id and t.key = :key and e.lifecycle_stage = 'active'
     returning t.key)
   select lifecycle_stage, exists (select from gone) as found from experiment`,
);

/** Throws RESOURCE_DOES_NOT_EXIST also for a tag that is not there. */
export async function deleteExperimentTag(db: Db, key: ExperimentKey, tagKey: string): Promise<void> {
  const rows = await run<{ lifecycle_stage: string; found: boolean }>(db, DELETE_TAG, { ...key, key: tagKey });
  const { lifecycle_stage: stage, found } = single(rows, key);
  if (stage !== 'active') throw inactiveExperiment(key.experimentId, stage);
  if (!found) throw doesNotExist(`No tag with name: ${tagKey} in experiment with id ${key.experimentId}`);
}
