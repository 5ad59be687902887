import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Caller } from '../../access/caller.ts';
import { levelOn } from '../../access/grants.ts';
import { type Db, isDatabaseError, run, statement, undo } from '../../platform/db/database.ts';
import { doesNotExist, invalidParameter, type MlflowError } from '../../platform/errors.ts';
import { lastValues } from '../../platform/names.ts';
import { pythonJson, pythonRepr } from '../../platform/python.ts';
import type { ExperimentKey } from '../experiments/entity.ts';
import { inactiveExperiment } from '../experiments/store.ts';
import { METRIC_VALUE } from '../runs/columns.ts';
import type { LoggedModel, LoggedModelKey, LoggedModelRow } from './entity.ts';

type KeyValues = { key: string; value: string }[];

const INFO_COLUMNS = `
  l.model_id, l.experiment_id, l.name, l.artifact_uri, l.creation_timestamp_ms, l.last_updated_timestamp_ms, l.status, l.status_message,
  l.model_type, l.source_run_id`;

const keysAndValues = (from: string) => `(select json_agg(json_build_object('key', t.key, 'value', t.value) order by t.key) from ${from})`;

/** The columns of a LoggedModelRow, of `logged_models l`. */
export const LOGGED_MODEL_COLUMNS = `${INFO_COLUMNS},
  ${keysAndValues('logged_model_tags t where t.model_id = l.model_id')} as tags,
  ${keysAndValues('logged_model_params t where t.model_id = l.model_id')} as params,
  (select json_agg(json_strip_nulls(json_build_object(
       'key', m.key, 'value', ${METRIC_VALUE}, 'timestamp', m.timestamp, 'step', m.step, 'dataset_name', nullif(m.dataset_name, ''),
       'dataset_digest', nullif(m.dataset_digest, ''), 'model_id', m.model_id, 'run_id', m.run_id))
     order by m.key, m.timestamp, m.step, m.run_id, m.dataset_name, m.dataset_digest)
     from logged_model_metrics m where m.model_id = l.model_id) as metrics`;

/** The logged model of :scope and :modelId, joined with its experiment. */
const FROM_MODEL = `
  from logged_models l join experiments e on e.experiment_id = l.experiment_id
  where l.model_id = :modelId and e.scope_id = :scope`;

/** That model, locked until the statement has ended: writers of one model queue here, so they cannot deadlock over the rows below it. */
const LOCKED_MODEL = `select l.model_id ${FROM_MODEL} for no key update of l`;

const notFound = (modelId: string) => doesNotExist(`Logged model with ID '${modelId}' not found.`);

function single<Row>(rows: Row[], key: LoggedModelKey): Row {
  if (!rows[0]) throw notFound(key.modelId);
  return rows[0];
}

// The artifacts' place goes before a query string, as mlflow/utils/uri.py (append_to_uri_path).
const INSERT_MODEL = statement(
  'insert_logged_model',
  `with experiment as (
     select experiment_id, artifact_location, lifecycle_stage from experiments
     where scope_id = :scope and experiment_id = :experimentId::bigint for share),
   l as (
     insert into logged_models (model_id, experiment_id, name, artifact_uri, status, model_type, source_run_id)
     select :modelId, experiment_id, :name, regexp_replace(artifact_location, '/?(\\?.*)?$', '/models/' || :modelId || '/artifacts\\1'),
       'LOGGED_MODEL_PENDING', :modelType, :sourceRunId
     from experiment where lifecycle_stage = 'active'
     returning *),
   params as (
     insert into logged_model_params (model_id, key, value)
     select l.model_id, p.key, p.value from l, unnest(:paramKeys::text[], :paramValues::text[]) as p (key, value)
     returning key, value),
   tags as (
     insert into logged_model_tags (model_id, key, value)
     select l.model_id, t.key, t.value from l, unnest(:tagKeys::text[], :tagValues::text[]) as t (key, value)
     returning key, value)
   select experiment.lifecycle_stage as experiment_stage, ${INFO_COLUMNS},
     ${keysAndValues('tags t')} as tags, ${keysAndValues('params t')} as params, null as metrics
   from experiment left join l on true`,
);

export type NewLoggedModel = { name: string; modelType: string; sourceRunId: string; params: KeyValues; tags: KeyValues };

/**
 * Makes a logged model that waits for its files. Its params and its tags have distinct keys.
 * Throws RESOURCE_DOES_NOT_EXIST when the scope has no such experiment, INVALID_PARAMETER_VALUE when it is deleted.
 */
export async function insertLoggedModel(db: Db, key: ExperimentKey, made: NewLoggedModel): Promise<LoggedModelRow> {
  const [row] = await run<LoggedModelRow & { experiment_stage: string }>(db, INSERT_MODEL, {
    ...key,
    modelId: `m-${randomUUID().replaceAll('-', '')}`,
    name: made.name,
    modelType: made.modelType,
    sourceRunId: made.sourceRunId,
    paramKeys: made.params.map((param) => param.key),
    paramValues: made.params.map((param) => param.value),
    tagKeys: made.tags.map((tag) => tag.key),
    tagValues: made.tags.map((tag) => tag.value),
  });
  if (!row) throw doesNotExist(`No Experiment with id=${key.experimentId} exists`);
  if (row.experiment_stage !== 'active') throw inactiveExperiment(key.experimentId, row.experiment_stage);
  return row;
}

const GET_MODEL = statement(
  'get_logged_model',
  `select ${LOGGED_MODEL_COLUMNS} ${FROM_MODEL} and (l.lifecycle_stage = 'active' or :allowDeleted::boolean)`,
);

/** Throws RESOURCE_DOES_NOT_EXIST when the scope has none of that id, or only a deleted one and that is not allowed. */
export async function getLoggedModel(db: Db, key: LoggedModelKey, allowDeleted: boolean): Promise<LoggedModelRow> {
  return single(await run<LoggedModelRow>(db, GET_MODEL, { ...key, allowDeleted }), key);
}

const FIND_LOCATION = statement(
  'find_logged_model_location',
  `select l.artifact_uri, l.source_run_id ${FROM_MODEL} and l.lifecycle_stage = 'active'`,
);

const GET_PROMOTED = statement(
  'get_promoted_logged_model',
  `select p.snapshot::json -> 'logged_model' as model, m.name, s.id as scope, s.visibility <> 'PRIVATE' as open_to_read from model_versions v
   join model_version_provenance p on p.model_id = v.model_id and p.version = v.version
   join registered_models m on m.id = v.model_id join scopes s on s.id = m.scope_id
   where v.logged_model_id = :modelId and v.logged_model_id <> '' order by v.creation_timestamp desc limit 1000`,
);

/**
 * A logged model as it was when it was promoted into a registry: clients that load the registry's version ask for it from wherever they are (trap T1).
 * Null when none of that id was, in a version that the caller may read.
 */
export async function findPromotedLoggedModel(db: Db, caller: Caller, modelId: string): Promise<z.infer<typeof LoggedModel> | null> {
  type Promoted = { model: z.infer<typeof LoggedModel> | null; name: string; scope: number; open_to_read: boolean };
  const rows = await run<Promoted>(db, GET_PROMOTED, { modelId });
  const mayRead = ({ name, scope, open_to_read: openToRead }: Promoted) =>
    levelOn(caller, {
      scope: { id: scope, openToRead },
      type: 'registered_model_version',
      id: '',
      whole: { type: 'registered_model', id: name },
    }) !== null;
  return rows.find(mayRead)?.model ?? null;
}

export type LoggedModelLocation = { artifact_uri: string; source_run_id: string };

/** Where a model's artifacts lie and which run made it (`''` for none); null when it is deleted or the scope has none of that id. */
export async function findLoggedModel(db: Db, scopeId: number, modelId: string): Promise<LoggedModelLocation | null> {
  const [row] = await run<LoggedModelLocation>(db, FIND_LOCATION, { scope: scopeId, modelId });
  return row ?? null;
}

const FIND_OF_RUN = statement(
  'find_logged_model_of_run',
  `select l.model_id from logged_models l join experiments e on e.experiment_id = l.experiment_id
   where l.source_run_id = :runId and l.name = :name and l.lifecycle_stage = 'active' and e.scope_id = :scope
   order by l.creation_timestamp_ms desc, l.model_id limit 1`,
);

/** The id of the newest model of this name that a run made; null when it made none. */
export async function findLoggedModelOfRun(db: Db, scopeId: number, of: { runId: string; name: string }): Promise<string | null> {
  const [row] = await run<{ model_id: string }>(db, FIND_OF_RUN, { ...of, scope: scopeId });
  return row?.model_id ?? null;
}

/** As `findLoggedModel`; throws RESOURCE_DOES_NOT_EXIST instead of giving null. */
export async function getLoggedModelLocation(db: Db, key: LoggedModelKey): Promise<LoggedModelLocation> {
  return single(await run<LoggedModelLocation>(db, FIND_LOCATION, key), key);
}

const SET_STATUS = statement(
  'set_logged_model_status',
  `with l as (
     update logged_models l set status = :status, last_updated_timestamp_ms = now_ms()
     from experiments e where l.model_id = :modelId and e.experiment_id = l.experiment_id and e.scope_id = :scope
     returning l.*)
   select ${LOGGED_MODEL_COLUMNS} from l`,
);

/** Throws RESOURCE_DOES_NOT_EXIST when the scope has none of that id. A deleted model is written to like any other; so it is below. */
export async function setLoggedModelStatus(db: Db, key: LoggedModelKey, status: LoggedModelRow['status']): Promise<LoggedModelRow> {
  return single(await run<LoggedModelRow>(db, SET_STATUS, { ...key, status }), key);
}

const DELETE_MODEL = statement(
  'delete_logged_model',
  `update logged_models l set lifecycle_stage = 'deleted', last_updated_timestamp_ms = now_ms()
   from experiments e where l.model_id = :modelId and e.experiment_id = l.experiment_id and e.scope_id = :scope
   returning l.model_id`,
);

/** Marks a model as deleted; one that is already is fine. */
export async function deleteLoggedModel(db: Db, key: LoggedModelKey): Promise<void> {
  single(await run(db, DELETE_MODEL, key), key);
}

// A param that has another value becomes null, which the column refuses: then nothing of the statement is kept.
const INSERT_PARAMS = statement(
  'insert_logged_model_params',
  `with model as (${LOCKED_MODEL}),
   params as (
     insert into logged_model_params as old (model_id, key, value)
     select model.model_id, p.key, p.value from model, unnest(:keys::text[], :values::text[]) as p (key, value)
     on conflict (model_id, key) do update set value = null where old.value <> excluded.value)
   select model_id from model`,
);
const NOT_NULL_VIOLATION = '23502';

/**
 * Logs params with distinct keys: all of them or none. One that has the value already is fine, so a client may send them again.
 * Throws INVALID_PARAMETER_VALUE when one has another value.
 */
export async function insertLoggedModelParams(db: Db, key: LoggedModelKey, params: KeyValues): Promise<void> {
  try {
    single(await run(db, INSERT_PARAMS, { ...key, ...lastValues(params) }), key);
  } catch (error) {
    if (!isDatabaseError(error, NOT_NULL_VIOLATION)) throw error;
    await undo(db);
    throw await changedParam(db, key, params);
  }
}

const FIND_PARAMS = statement(
  'find_logged_model_params',
  'select key, value from logged_model_params where model_id = :modelId and key = any (:keys)',
);

async function changedParam(db: Db, { modelId }: LoggedModelKey, params: KeyValues): Promise<MlflowError> {
  const known = await run<{ key: string; value: string }>(db, FIND_PARAMS, { modelId, keys: params.map((param) => param.key) });
  const values = new Map(known.map((param) => [param.key, param.value]));
  const changed = params.find((param) => values.has(param.key) && values.get(param.key) !== param.value);
  return invalidParameter(
    `Changing param values is not allowed. Param with key='${changed?.key}' was already logged with value='${values.get(changed?.key ?? '')}'` +
      ` for model ID='${modelId}'. Attempted logging new value '${changed?.value}'.`,
  );
}

const SET_TAGS = statement(
  'set_logged_model_tags',
  `with model as (${LOCKED_MODEL}),
   tags as (
     insert into logged_model_tags (model_id, key, value)
     select model.model_id, t.key, t.value from model, unnest(:keys::text[], :values::text[]) as t (key, value)
     on conflict (model_id, key) do update set value = excluded.value)
   select model_id from model`,
);

/** A key given twice keeps its last value. */
export async function setLoggedModelTags(db: Db, key: LoggedModelKey, tags: KeyValues): Promise<void> {
  single(await run(db, SET_TAGS, { ...key, ...lastValues(tags) }), key);
}

const DELETE_TAG = statement(
  'delete_logged_model_tag',
  `with model as (${LOCKED_MODEL}),
   gone as (delete from logged_model_tags t using model where t.model_id = model.model_id and t.key = :key returning t.key)
   select exists (select from gone) as found from model`,
);

/** Throws RESOURCE_DOES_NOT_EXIST also for a tag that is not there. */
export async function deleteLoggedModelTag(db: Db, key: LoggedModelKey, tagKey: string): Promise<void> {
  const { found } = single(await run<{ found: boolean }>(db, DELETE_TAG, { ...key, key: tagKey }), key);
  if (!found) throw doesNotExist(`No tag with key ${pythonRepr(tagKey)} found for model with ID ${pythonRepr(key.modelId)}.`);
}

// Text is joined, not JSON: the tag is the client's to write as well, and what it holds may be any text.
const RECORD_VERSION = statement(
  'record_model_version_tag',
  `insert into logged_model_tags as old (model_id, key, value)
   select l.model_id, 'mlflow.modelVersions', '[' || :entry || ']' ${FROM_MODEL}
   on conflict (model_id, key) do update set value = case
     when strpos(old.value, :entry) > 0 then old.value
     when old.value ~ '^\\s*\\[.*\\S.*\\]\\s*$' then left(rtrim(old.value, E' \\t\\r\\n'), -1) || ', ' || :entry || ']'
     else excluded.value end
   returning model_id`,
);

/**
 * Adds a registered version to the tag `mlflow.modelVersions` of the model it was made from, once
 * (mlflow/store/tracking/abstract_store.py, set_model_versions_tags). A tag that is no list is replaced.
 * Resolves to whether the scope has such a model.
 */
export async function recordModelVersionTag(db: Db, key: LoggedModelKey, name: string, version: number): Promise<boolean> {
  const rows = await run(db, RECORD_VERSION, { ...key, entry: `{"name": ${pythonJson(name)}, "version": ${version}}` });
  return rows.length > 0;
}
