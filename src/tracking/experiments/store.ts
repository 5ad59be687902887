import { type Db, isDatabaseError, run, statement, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { alreadyExists, badRequest, doesNotExist, invalidParameter, invalidState } from '../../platform/errors.ts';
import { lastValues } from '../../platform/names.ts';
import { CUSTOM_VIEW_PREFIX, type ExperimentKey, type ExperimentRow, MAX_CUSTOM_VIEWS, tooManyCustomViews } from './entity.ts';

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

// A workspace's own root goes before; one with this server lies below the workspace's folder. A query string stays last, as in mlflow/utils/uri.py
// (append_to_uri_path).
const NEW_LOCATION = `
  case when :home::text is null then 'mlflow-artifacts:/' || id else regexp_replace(coalesce(
    (select regexp_replace(s.default_artifact_root, '^mlflow-artifacts:/(?!/[^/])/*(?!workspaces/)', :home || '/') from scopes s where s.id = :scope), :home),
    '/?(\\?.*)?$', '/' || id || '\\1') end`;

const INSERT_EXPERIMENT = statement(
  'insert_experiment',
  `with given as (select nextval(pg_get_serial_sequence('experiments', 'experiment_id')) as id),
   experiment as (
     insert into experiments (experiment_id, scope_id, name, artifact_location)
     select id, :scope, :name, coalesce(nullif(:location::text, ''), ${NEW_LOCATION}) from given
     on conflict (scope_id, name) do nothing
     returning experiment_id),
   tags as (
     insert into experiment_tags (experiment_id, key, value)
     select experiment_id, tag.key, tag.value from experiment, unnest(:keys::text[], :values::text[]) as tag (key, value))
   select experiment_id from experiment`,
);

/**
 * Makes an experiment. An empty `location` means a folder of its own below the root of its workspace, whose own artifacts are at `home`; without a
 * `home`, with this server. Resolves to its id.
 * Throws RESOURCE_ALREADY_EXISTS when the scope has one of that name, a deleted one too.
 */
export async function insertExperiment(
  db: Db,
  key: { scope: number; name: string },
  experiment: { location: string; home: string | null; tags: { key: string; value: string }[] },
): Promise<number> {
  const [row] = await run<{ experiment_id: number }>(db, INSERT_EXPERIMENT, {
    ...key,
    location: experiment.location,
    home: experiment.home,
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
   views as (
     select :isView and count(*) >= ${MAX_CUSTOM_VIEWS} and not coalesce(bool_or(t.key = :key), false) as full
     from experiment join experiment_tags t using (experiment_id) where :isView and starts_with(t.key, '${CUSTOM_VIEW_PREFIX}')),
   tag as (
     insert into experiment_tags (experiment_id, key, value)
     select experiment_id, :key, :value from experiment, views where lifecycle_stage = 'active' and not views.full
     on conflict (experiment_id, key) do update set value = excluded.value)
   select lifecycle_stage, views.full from experiment, views`,
);

/** Throws INVALID_PARAMETER_VALUE for a deleted experiment and for one custom view too many. */
export async function setExperimentTag(db: Db, key: ExperimentKey, tag: { key: string; value: string }): Promise<void> {
  const isView = tag.key.startsWith(CUSTOM_VIEW_PREFIX);
  const rows = await run<{ lifecycle_stage: string; full: boolean }>(db, SET_TAG, { ...key, ...tag, isView });
  const { lifecycle_stage: stage, full } = single(rows, key);
  if (full) throw tooManyCustomViews(` for experiment ${key.experimentId}`);
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
