import { type Db, isDatabaseError, quickRead, run, statement, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { alreadyExists, doesNotExist } from '../../platform/errors.ts';
import { lastValues } from '../../platform/names.ts';
import { VERSION_COLUMNS } from '../model-versions/columns.ts';
import type { ModelVersionRow } from '../model-versions/entity.ts';
import { IS_PROMPT_TAG, type ModelKey, type RegisteredModelRow } from './entity.ts';

type Tags = { key: string; value: string }[];

/** The newest version of each stage: four look-ups by index, however many versions there are. */
const LATEST_VERSIONS = `
  from unnest(array['None', 'Staging', 'Production', 'Archived']) as stage
  cross join lateral (
    select * from model_versions newest where newest.model_id = m.id and newest.current_stage = stage order by newest.version desc limit 1) v`;

/** The columns of a RegisteredModelRow, of `registered_models m`. */
export const MODEL_COLUMNS = `
  m.name, m.description, m.creation_timestamp, m.last_updated_timestamp,
  (select json_agg(json_build_object('key', t.key, 'value', t.value) order by t.key) from registered_model_tags t where t.model_id = m.id) as tags,
  (select json_agg(json_build_object('alias', a.alias, 'version', a.version::text) order by a.alias) from registered_model_aliases a where a.model_id = m.id) as aliases,
  (select json_agg(latest) from (select ${VERSION_COLUMNS} ${LATEST_VERSIONS}) latest) as latest_versions`;

const notFound = (name: string) => doesNotExist(`Registered Model with name=${name} not found`);

function single<Row>(rows: Row[], name: string): Row {
  if (!rows[0]) throw notFound(name);
  return rows[0];
}

const INSERT_MODEL = statement(
  'insert_registered_model',
  `with model as (
     insert into registered_models (scope_id, name, description) values (:scope, :name, :description)
     on conflict (scope_id, name) do nothing
     returning *),
   tags as (
     insert into registered_model_tags (model_id, key, value)
     select model.id, tag.key, tag.value from model, unnest(:keys::text[], :values::text[]) as tag (key, value)
     returning key, value)
   select m.name, m.description, m.creation_timestamp, m.last_updated_timestamp, null as aliases, null as latest_versions,
     (select json_agg(json_build_object('key', key, 'value', value) order by key) from tags) as tags
   from model m`,
);

/** Makes a registered model without versions. Throws RESOURCE_ALREADY_EXISTS when the scope has a model or prompt of that name. */
export async function insertRegisteredModel(
  db: Db,
  key: ModelKey,
  model: { description: string; tags: Tags },
): Promise<RegisteredModelRow> {
  const [row] = await run<RegisteredModelRow>(db, INSERT_MODEL, { ...key, description: model.description, ...lastValues(model.tags) });
  if (!row) throw await nameTaken(db, key, model.tags);
  return row;
}

const EXISTS = quickRead('registered_model_exists', 'select from registered_models where scope_id = :scope and name = :name');

/** Throws RESOURCE_ALREADY_EXISTS, as `insertRegisteredModel` would, when the scope has a model or prompt of that name. */
export async function refuseTakenName(db: Db, key: ModelKey, tags: Tags): Promise<void> {
  if ((await run(db, EXISTS, key)).length > 0) throw await nameTaken(db, key, tags);
}

/** The sentences of mlflow/store/model_registry (handle_resource_already_exist_error): the tag's presence decides, whatever its value. */
async function nameTaken(db: Db, key: ModelKey, tags: Tags) {
  const { name } = key;
  const byPrompt = await isPrompt(db, key);
  const asPrompt = tags.some((tag) => tag.key === IS_PROMPT_TAG);
  const [taken, wanted] = [byPrompt ? 'prompt' : 'registered model', asPrompt ? 'prompt' : 'registered model'];
  if (taken === wanted) return alreadyExists(`${asPrompt ? 'Prompt' : 'Registered Model'} (name=${name}) already exists.`);
  return alreadyExists(
    `Tried to create a ${wanted} with name '${name}', but the name is already taken by a ${taken}. ` +
      'MLflow does not allow creating a model and a prompt with the same name.',
  );
}

const HAS_TAG = statement(
  'registered_model_has_tag',
  `select exists (
     select from registered_models m join registered_model_tags t on t.model_id = m.id and t.key = :key
     where m.scope_id = :scope and m.name = :name) as found`,
);

async function isPrompt(db: Db, key: ModelKey): Promise<boolean> {
  const [row] = await run<{ found: boolean }>(db, HAS_TAG, { ...key, key: IS_PROMPT_TAG });
  return row?.found === true;
}

const GET_MODEL = quickRead(
  'get_registered_model',
  `select ${MODEL_COLUMNS} from registered_models m where m.scope_id = :scope and m.name = :name`,
);

/** Throws RESOURCE_DOES_NOT_EXIST when the scope has no model of that name; so do all functions below. */
export async function getRegisteredModel(db: Db, key: ModelKey): Promise<RegisteredModelRow> {
  return single(await run<RegisteredModelRow>(db, GET_MODEL, key), key.name);
}

const SET_DESCRIPTION = statement(
  'update_registered_model',
  `with m as (
     update registered_models set description = :description, last_updated_timestamp = now_ms() where scope_id = :scope and name = :name returning *)
   select ${MODEL_COLUMNS} from m`,
);

export async function updateRegisteredModel(db: Db, key: ModelKey, description: string): Promise<RegisteredModelRow> {
  return single(await run<RegisteredModelRow>(db, SET_DESCRIPTION, { ...key, description }), key.name);
}

const RENAME_MODEL = statement(
  'rename_registered_model',
  `with m as (
     update registered_models set name = :new_name, last_updated_timestamp = now_ms() where scope_id = :scope and name = :name returning *),
   touched as (
     update model_versions v set last_updated_timestamp = now_ms() from m where v.model_id = m.id)
   select id from m`,
);

/** Renames a model and touches it and all its versions, as the stock server does. Throws RESOURCE_ALREADY_EXISTS when the new name is taken. */
export async function renameRegisteredModel(db: Db, key: ModelKey, newName: string): Promise<RegisteredModelRow> {
  try {
    single(await run(db, RENAME_MODEL, { ...key, new_name: newName }), key.name);
  } catch (error) {
    if (isDatabaseError(error, UNIQUE_VIOLATION)) throw alreadyExists(`Registered Model (name=${newName}) already exists.`);
    throw error;
  }
  return getRegisteredModel(db, { ...key, name: newName });
}

const DELETE_MODEL = statement(
  'delete_registered_model',
  'delete from registered_models where scope_id = :scope and name = :name returning id',
);

/** Deletes a model with its versions, tags and aliases. A model made again under the name starts at version 1. */
export async function deleteRegisteredModel(db: Db, key: ModelKey): Promise<void> {
  single(await run(db, DELETE_MODEL, key), key.name);
}

const SET_TAG = statement(
  'set_registered_model_tag',
  `insert into registered_model_tags (model_id, key, value)
   select id, :key, :value from registered_models where scope_id = :scope and name = :name
   on conflict (model_id, key) do update set value = excluded.value
   returning model_id`,
);

export async function setRegisteredModelTag(db: Db, key: ModelKey, tag: { key: string; value: string }): Promise<void> {
  single(await run(db, SET_TAG, { ...key, ...tag }), key.name);
}

const DELETE_TAG = statement(
  'delete_registered_model_tag',
  `with model as (select id from registered_models where scope_id = :scope and name = :name),
   gone as (delete from registered_model_tags where model_id = (select id from model) and key = :key)
   select id from model`,
);

/** A tag that is not there is fine. */
export async function deleteRegisteredModelTag(db: Db, key: ModelKey, tagKey: string): Promise<void> {
  single(await run(db, DELETE_TAG, { ...key, key: tagKey }), key.name);
}

const GET_LATEST_VERSIONS = quickRead(
  'get_latest_versions',
  `select m.id, (select json_agg(latest) from (select ${VERSION_COLUMNS} ${LATEST_VERSIONS} where v.current_stage = any(:stages)) latest) as versions
   from registered_models m where m.scope_id = :scope and m.name = :name`,
);

/** The newest version of each of these stages that has one. */
export async function getLatestVersions(db: Db, key: ModelKey, stages: readonly string[]): Promise<ModelVersionRow[]> {
  const rows = await run<{ versions: ModelVersionRow[] | null }>(db, GET_LATEST_VERSIONS, { ...key, stages });
  return single(rows, key.name).versions ?? [];
}

const DELETE_ALIAS = statement(
  'delete_registered_model_alias',
  `with model as (select id from registered_models where scope_id = :scope and name = :name),
   gone as (delete from registered_model_aliases where model_id = (select id from model) and alias = :alias)
   select id from model`,
);

/** An alias that is not there is fine. */
export async function deleteAlias(db: Db, key: ModelKey, alias: string): Promise<void> {
  single(await run(db, DELETE_ALIAS, { ...key, alias }), key.name);
}
