import type { Services } from '../../endpoint.ts';
import { type Db, run, statement, transaction } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import { lastValues } from '../../platform/names.ts';
import { recordModelVersionTag } from '../../tracking/logged-models/store.ts';
import type { ModelKey } from '../registered-models/entity.ts';
import { frozenLocation } from './columns.ts';
import type { ModelVersionRow } from './entity.ts';
import { resolveSource, type SourceRequest, type VersionSource } from './resolve-source.ts';

export type NewVersion = SourceRequest & { run_link: string; description: string };

/**
 * The digest of a version is the SHA-256 of what `sha256sum` prints for its files in byte order of their paths (docs/frozen-versions.md). One in a
 * registry shows it as a tag too.
 */
const INSERT_VERSION = statement(
  'insert_model_version',
  `with model as (
     update registered_models set
       last_version = case when :explicit_version::integer is null then last_version + 1 else greatest(last_version, :explicit_version) end,
       last_updated_timestamp = now_ms()
     where scope_id = :scope and name = :name
     returning id, name, coalesce(:explicit_version, last_version) as version),
   files as (
     select substr(path, length(:folder) + 2) as path, blob_id from artifacts
     where scope_id = :folder_scope and path >= :folder || '/' and path < :folder || '0'
     union all
     select path, blob_id from model_version_files where model_id = :copied_model and version = :copied_version),
   frozen as (
     select encode(sha256(convert_to(string_agg(b.sha256 || '  ' || f.path || E'\\n', '' order by f.path), 'UTF8')), 'hex') as digest
     from files f join blobs b on b.id = f.blob_id),
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
     returning key, value)
   select m.name, v.model_id, v.version, v.creation_timestamp, v.last_updated_timestamp, v.current_stage, v.description, v.source, v.run_id, v.run_link,
     v.status, v.status_message, v.digest, (select json_agg(json_build_object('key', key, 'value', value) order by key) from tags) as tags, null as aliases
   from model m, version v`,
);

// No artifact path starts with a slash, so nothing lies below this folder.
const NO_FOLDER = '/';

export type InsertedVersion = ModelVersionRow & { model_id: number; digest: string | null };

/**
 * Adds a version to a registered model and freezes its files: from here on nothing done to the run or logged model changes what the version loads. A
 * source without files of ours stays a live reference. Bumping `last_version` locks the model's row, so two writers never get the same number; an
 * `explicitVersion` that is taken violates the primary key. `registry` is the name of the registry it is in, or null.
 * Throws RESOURCE_DOES_NOT_EXIST when the scope has no model of that name.
 */
export async function insertModelVersion(
  db: Db,
  key: ModelKey,
  version: Omit<NewVersion, 'source'> & { source: VersionSource; explicitVersion: number | null; registry: string | null },
): Promise<InsertedVersion> {
  const { source, registry } = version;
  const [row] = await run<InsertedVersion>(db, INSERT_VERSION, {
    ...key,
    explicit_version: version.explicitVersion,
    source: source.source,
    location: source.location,
    home: registry === null ? '' : `registries/${registry}/`,
    folder: source.folder ?? NO_FOLDER,
    folder_scope: source.tracking.id,
    copied_model: source.copied?.modelId ?? 0,
    copied_version: source.copied?.version ?? 0,
    run_id: source.runId,
    logged_model_id: source.loggedModelId,
    run_link: version.run_link,
    description: version.description,
    ...lastValues(version.tags),
  });
  if (!row) throw doesNotExist(`Registered Model with name=${key.name} not found`);
  return row;
}

/**
 * Adds the next version of a registered model of a workspace. Throws as `insertModelVersion` and `resolveSource`, RESOURCE_DOES_NOT_EXIST also for a logged
 * model that is named and not there.
 */
export async function createModelVersion(services: Services, key: ModelKey, version: NewVersion): Promise<ModelVersionRow> {
  const { db, scope } = services;
  const source = await resolveSource(services, scope, version);
  const insert = (tx: Db) => insertModelVersion(tx, key, { ...version, source, explicitVersion: null, registry: null });
  if (!source.loggedModelId) return insert(db);
  return transaction(db, async (tx) => {
    const row = await insert(tx);
    const isKnown = await recordModelVersionTag(tx, { scope: source.tracking.id, modelId: source.loggedModelId }, row.name, row.version);
    // A copy may outlive the logged model its version was made from.
    if (!isKnown && version.model_id) throw doesNotExist(`Logged model with ID '${version.model_id}' not found.`);
    return row;
  });
}
