import { type Db, isPool, run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import { inTurn } from '../../platform/in-turn.ts';
import { lastValues } from '../../platform/names.ts';
import type { ModelKey } from '../registered-models/entity.ts';
import { frozenLocation } from './columns.ts';
import type { ModelVersionRow } from './entity.ts';
import type { SourceRequest, VersionSource } from './resolve-source.ts';

export type NewVersion = SourceRequest & { run_link: string; description: string };

/** A version to be written. `registry` is the name of the registry it is in, or null; `explicitVersion` null gives the next number. */
export type VersionToInsert = Omit<NewVersion, 'source'> & {
  source: VersionSource;
  explicitVersion: number | null;
  registry: string | null;
};

export type InsertedVersion = ModelVersionRow & { model_id: number; digest: string | null };

/**
 * Adds a version and freezes its files, as the beginning of a statement; `INSERTED` reads what was written. Bumping `last_version` locks the model's row, so
 * two writers never get the same number. Nothing is written for files other than the version must have: `:must_have_files`, `:must_have_digest`.
 * The digest of a version is the SHA-256 of what `sha256sum` prints for its files in byte order of their paths (docs/frozen-versions.md). One in a
 * registry shows it as a tag too.
 */
export const INSERT_VERSION = `
  with files as (
     select substr(path, length(:folder) + 2) as path, blob_id from artifacts
     where scope_id = :folder_scope and path >= :folder || '/' and path < :folder || '0'
     union all
     select path, blob_id from model_version_files where model_id = :copied_model and version = :copied_version),
   frozen as (
     select encode(sha256(convert_to(string_agg(b.sha256 || '  ' || f.path || E'\\n', '' order by f.path), 'UTF8')), 'hex') as digest
     from files f join blobs b on b.id = f.blob_id),
   model as (
     update registered_models set
       last_version = case when :explicit_version::integer is null then last_version + 1 else greatest(last_version, :explicit_version) end,
       last_updated_timestamp = now_ms()
     from frozen
     where scope_id = :scope and name = :name and not exists (select from mounts where model_id = registered_models.id)
       and (digest is not null or not :must_have_files) and (digest = :must_have_digest or :must_have_digest::text is null)
     returning id, name, coalesce(:explicit_version, last_version) as version),
   version as (
     insert into model_versions (model_id, version, source, storage_location, digest, run_id, run_link, logged_model_id, description)
     select id, version, :source,
       case when digest is null then :location else ${frozenLocation('id', 'version', ':home')} end,
       digest, :run_id, :run_link, :logged_model_id, :description
     from model, frozen
     returning *),
   kept as (
     insert into model_version_files (model_id, version, path, blob_id) select model_id, version, files.path, blob_id from version, files),
   tags as (
     insert into model_version_tags (model_id, version, key, value)
     select model_id, version, tag.key, tag.value from version, unnest(:keys::text[], :values::text[]) as tag (key, value)
     union all
     select model_id, version, 'mlflow.promotion.digest', digest from version where :home <> '' and digest is not null
     returning key, value)`;

/** The columns of an InsertedVersion, from `model m` and `version v`. */
export const INSERTED_COLUMNS = `
  m.name, v.model_id, v.version, v.creation_timestamp, v.last_updated_timestamp, v.current_stage, v.description, v.source, v.run_id, v.run_link,
  v.status, v.status_message, v.digest, (select json_agg(json_build_object('key', key, 'value', value) order by key) from tags) as tags, null as aliases`;

// No artifact path starts with a slash, so nothing lies below this folder.
const NO_FOLDER = '/';

/** The values for `INSERT_VERSION`. */
export const versionBindings = (key: ModelKey, { source, registry, ...version }: VersionToInsert) => ({
  scope: key.scope,
  name: key.name,
  explicit_version: version.explicitVersion,
  source: source.source,
  location: source.location,
  home: registry === null ? '' : `registries/${registry}/`,
  folder: source.folder ?? NO_FOLDER,
  folder_scope: source.tracking.id,
  copied_model: source.copied?.modelId ?? 0,
  copied_version: source.copied?.version ?? 0,
  must_have_files: false,
  must_have_digest: null,
  run_id: source.runId,
  logged_model_id: source.loggedModelId,
  run_link: version.run_link,
  description: version.description,
  ...lastValues(version.tags),
});

/** Does what bumps the number of a model's last version, which all who add one to it wait for. */
export const afterOthers = <Result>(db: Db, { scope, name }: ModelKey, insert: () => Promise<Result>): Promise<Result> =>
  isPool(db) ? inTurn(`${scope}/${name}`, insert) : insert();

const INSERT = statement('insert_model_version', `${INSERT_VERSION} select ${INSERTED_COLUMNS} from model m, version v`);

/**
 * Adds a version to a registered model and freezes its files: from here on nothing done to the run or logged model changes what the version loads. A
 * source without files of ours stays a live reference. An `explicitVersion` that is taken violates the primary key.
 * Throws RESOURCE_DOES_NOT_EXIST when the scope has no model of that name.
 */
export async function insertModelVersion(db: Db, key: ModelKey, version: VersionToInsert): Promise<InsertedVersion> {
  const [row] = await afterOthers(db, key, () => run<InsertedVersion>(db, INSERT, versionBindings(key, version)));
  if (!row) throw doesNotExist(`Registered Model with name=${key.name} not found`);
  return row;
}
