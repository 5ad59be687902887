import { type Db, run, statement, transaction } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import { lastValues } from '../../platform/names.ts';
import type { LocationRules } from '../../platform/uri.ts';
import { recordModelVersionTag } from '../../tracking/logged-models/store.ts';
import type { ModelKey } from '../registered-models/entity.ts';
import { frozenLocation } from './columns.ts';
import type { ModelVersionRow } from './entity.ts';
import { resolveSource, type SourceRequest } from './resolve-source.ts';

export type NewVersion = SourceRequest & { run_link: string; description: string };

/**
 * The digest of a version is the SHA-256 of what `sha256sum` prints for its files in byte order of their paths:
 * `find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum`.
 */
const INSERT_VERSION = statement(
  'insert_model_version',
  `with model as (
     update registered_models set last_version = last_version + 1, last_updated_timestamp = now_ms()
     where scope_id = :scope and name = :name
     returning id, name, last_version),
   files as (
     select substr(path, length(:folder) + 2) as path, blob_id from artifacts
     where scope_id = :scope and path >= :folder || '/' and path < :folder || '0'
     union all
     select path, blob_id from model_version_files where model_id = :copied_model and version = :copied_version),
   frozen as (
     select encode(sha256(convert_to(string_agg(b.sha256 || '  ' || f.path || E'\\n', '' order by f.path), 'UTF8')), 'hex') as digest
     from files f join blobs b on b.id = f.blob_id),
   version as (
     insert into model_versions (model_id, version, source, storage_location, digest, run_id, run_link, logged_model_id, description)
     select id, last_version, :source,
       case when digest is null then :location else ${frozenLocation('id', 'last_version')} end,
       digest, :run_id, :run_link, :logged_model_id, :description
     from model, frozen
     returning *),
   kept as (
     insert into model_version_files (model_id, version, path, blob_id) select model_id, version, files.path, blob_id from version, files),
   tags as (
     insert into model_version_tags (model_id, version, key, value)
     select model_id, version, tag.key, tag.value from version, unnest(:keys::text[], :values::text[]) as tag (key, value)
     returning key, value)
   select m.name, v.version, v.creation_timestamp, v.last_updated_timestamp, v.current_stage, v.description, v.source, v.run_id, v.run_link, v.status,
     v.status_message, (select json_agg(json_build_object('key', key, 'value', value) order by key) from tags) as tags, null as aliases
   from model m, version v`,
);

// No artifact path starts with a slash, so nothing lies below this folder.
const NO_FOLDER = '/';

/**
 * Adds the next version of a registered model and freezes its files: from here on nothing done to the run or logged model changes what the version
 * loads. A source without files of ours stays a live reference. Bumping `last_version` locks the model's row, so two writers never get the same number.
 * Throws RESOURCE_DOES_NOT_EXIST when the scope has no model of that name or no logged model of that id, and as `resolveSource`.
 */
export async function createModelVersion(db: Db, key: ModelKey, version: NewVersion, rules: LocationRules): Promise<ModelVersionRow> {
  const resolved = await resolveSource(db, key.scope, version, rules);
  const insert = async (tx: Db): Promise<ModelVersionRow> => {
    const [row] = await run<ModelVersionRow>(tx, INSERT_VERSION, {
      ...key,
      source: resolved.source,
      location: resolved.location,
      folder: resolved.folder ?? NO_FOLDER,
      copied_model: resolved.copied?.modelId ?? 0,
      copied_version: resolved.copied?.version ?? 0,
      run_id: resolved.runId,
      logged_model_id: resolved.loggedModelId,
      run_link: version.run_link,
      description: version.description,
      ...lastValues(version.tags),
    });
    if (!row) throw doesNotExist(`Registered Model with name=${key.name} not found`);
    return row;
  };
  if (!resolved.loggedModelId) return insert(db);
  return transaction(db, async (tx) => {
    const row = await insert(tx);
    const isKnown = await recordModelVersionTag(tx, { scope: key.scope, modelId: resolved.loggedModelId }, row.name, row.version);
    // A copy may outlive the logged model its version was made from.
    if (!isKnown && version.model_id) throw doesNotExist(`Logged model with ID '${version.model_id}' not found.`);
    return row;
  });
}
