import { type Db, quickRead, run, statement } from '../../platform/db/database.ts';
import { doesNotExist, invalidParameter } from '../../platform/errors.ts';
import type { ModelKey } from '../registered-models/entity.ts';
import { VERSION_COLUMNS } from './columns.ts';
import type { ModelVersionRow } from './entity.ts';

export type VersionKey = ModelKey & { version: number };

const notFound = ({ name, version }: VersionKey) => doesNotExist(`Model Version (name=${name}, version=${version}) not found`);

function single<Row>(rows: Row[], key: VersionKey): Row {
  if (!rows[0]) throw notFound(key);
  return rows[0];
}

const FROM_VERSION = `
  from registered_models m join model_versions v on v.model_id = m.id and v.version = :version::bigint
  where m.scope_id = :scope and m.name = :name`;

const GET_VERSION = quickRead('get_model_version', `select ${VERSION_COLUMNS} ${FROM_VERSION}`);

/** Throws RESOURCE_DOES_NOT_EXIST when there is no such version or model; so do the functions below. */
export async function getModelVersion(db: Db, key: VersionKey): Promise<ModelVersionRow> {
  return single(await run<ModelVersionRow>(db, GET_VERSION, key), key);
}

const GET_BY_ALIAS = quickRead(
  'get_model_version_by_alias',
  `select ${VERSION_COLUMNS}
   from registered_models m
   left join registered_model_aliases alias on alias.model_id = m.id and alias.alias = :alias
   left join model_versions v on v.model_id = m.id and v.version = alias.version
   where m.scope_id = :scope and m.name = :name`,
);

const GET_LATEST = quickRead(
  'get_latest_model_version',
  `select ${VERSION_COLUMNS}
   from registered_models m
   left join lateral (select * from model_versions newest where newest.model_id = m.id order by newest.version desc limit 1) v on true
   where m.scope_id = :scope and m.name = :name`,
);

/**
 * The version an alias points to; `latest` in any case is the highest number of any stage. An unknown alias is INVALID_PARAMETER_VALUE, as the
 * stock server has it (trap T9).
 */
export async function getModelVersionByAlias(db: Db, key: ModelKey, alias: string): Promise<ModelVersionRow> {
  const isLatest = alias.toLowerCase() === 'latest';
  const [row] = await run<Omit<ModelVersionRow, 'version'> & { version: number | null }>(
    db,
    isLatest ? GET_LATEST : GET_BY_ALIAS,
    isLatest ? key : { ...key, alias },
  );
  if (!row) throw doesNotExist(`Registered Model with name=${key.name} not found`);
  if (row.version === null) {
    throw isLatest
      ? doesNotExist(`Latest version not found for model ${key.name}.`)
      : invalidParameter(`Registered model alias ${alias} not found.`);
  }
  return row as ModelVersionRow;
}

const GET_LOCATION = quickRead('get_model_version_location', `select v.storage_location as location ${FROM_VERSION}`);

/** The URI clients download from: the frozen snapshot, or the live source of a version whose bytes are elsewhere. */
export async function getDownloadUri(db: Db, key: VersionKey): Promise<string> {
  return single(await run<{ location: string }>(db, GET_LOCATION, key), key).location;
}

const UPDATE_DESCRIPTION = statement(
  'update_model_version',
  `with m as (select id, name from registered_models where scope_id = :scope and name = :name),
   v as (
     update model_versions set description = :description, last_updated_timestamp = now_ms()
     where model_id = (select id from m) and version = :version::bigint
     returning *)
   select ${VERSION_COLUMNS} from m join v on true`,
);

export async function updateModelVersion(db: Db, key: VersionKey, description: string | null): Promise<ModelVersionRow> {
  return single(await run<ModelVersionRow>(db, UPDATE_DESCRIPTION, { ...key, description }), key);
}

const TRANSITION_STAGE = statement(
  'transition_model_version_stage',
  `with m as (
     update registered_models set last_updated_timestamp = now_ms()
     where scope_id = :scope and name = :name
       and exists (select from model_versions x where x.model_id = registered_models.id and x.version = :version::bigint)
     returning id, name),
   moved as (
     update model_versions
     set current_stage = case when version = :version::bigint then :stage else 'Archived' end, last_updated_timestamp = now_ms()
     where model_id = (select id from m)
       and version = any (array(
         select :version::bigint
         union all
         select x.version from model_versions x
         where x.model_id = (select id from m) and x.current_stage = case when :archive_others then :stage end))
       and (version = :version::bigint or current_stage = :stage)
     returning *)
   select ${VERSION_COLUMNS} from m join moved v on v.version = :version::bigint`,
);

/** Moves a version to a stage and, if asked, the others of that stage to Archived; touches all of them and the model, with one time. */
export async function transitionStage(db: Db, key: VersionKey, stage: string, archiveOthers: boolean): Promise<ModelVersionRow> {
  return single(await run<ModelVersionRow>(db, TRANSITION_STAGE, { ...key, stage, archive_others: archiveOthers }), key);
}

const DELETE_VERSION = statement(
  'delete_model_version',
  `with gone as (
     delete from model_versions v using registered_models m
     where m.scope_id = :scope and m.name = :name and v.model_id = m.id and v.version = :version::bigint
     returning v.model_id)
   update registered_models set last_updated_timestamp = now_ms() where id = (select model_id from gone) returning id`,
);

/** Deletes a version with its tags and aliases and touches the model. Its number is never given again. */
export async function deleteModelVersion(db: Db, key: VersionKey): Promise<void> {
  single(await run(db, DELETE_VERSION, key), key);
}

const SET_TAG = statement(
  'set_model_version_tag',
  `insert into model_version_tags (model_id, version, key, value)
   select v.model_id, v.version, :key, :value ${FROM_VERSION}
   on conflict (model_id, version, key) do update set value = excluded.value
   returning model_id`,
);

export async function setModelVersionTag(db: Db, key: VersionKey, tag: { key: string; value: string }): Promise<void> {
  single(await run(db, SET_TAG, { ...key, ...tag }), key);
}

const DELETE_TAG = statement(
  'delete_model_version_tag',
  `with v as (select v.model_id, v.version ${FROM_VERSION}),
   gone as (delete from model_version_tags t using v where t.model_id = v.model_id and t.version = v.version and t.key = :key)
   select model_id from v`,
);

/** A tag that is not there is fine. */
export async function deleteModelVersionTag(db: Db, key: VersionKey, tagKey: string): Promise<void> {
  single(await run(db, DELETE_TAG, { ...key, key: tagKey }), key);
}

const SET_ALIAS = statement(
  'set_registered_model_alias',
  `insert into registered_model_aliases (model_id, alias, version)
   select v.model_id, :alias, v.version ${FROM_VERSION}
   on conflict (model_id, alias) do update set version = excluded.version
   returning model_id`,
);

/** Points an alias at a version, moving it from the one it was at. */
export async function setAlias(db: Db, key: VersionKey, alias: string): Promise<void> {
  single(await run(db, SET_ALIAS, { ...key, alias }), key);
}
