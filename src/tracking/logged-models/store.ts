import { type Db, run, statement } from '../../platform/db/database.ts';

const FIND_LOGGED_MODEL = statement(
  'find_logged_model',
  `select l.artifact_uri, l.source_run_id from logged_models l join experiments e on e.experiment_id = l.experiment_id
   where e.scope_id = :scope and l.model_id = :model_id and l.lifecycle_stage = 'active'`,
);

/** A logged model that is not deleted; null when the scope has none of that id. */
export async function findLoggedModel(
  db: Db,
  scope: number,
  modelId: string,
): Promise<{ artifact_uri: string; source_run_id: string } | null> {
  const [row] = await run<{ artifact_uri: string; source_run_id: string }>(db, FIND_LOGGED_MODEL, { scope, model_id: modelId });
  return row ?? null;
}

const RECORD_VERSION = statement(
  'record_model_version_tag',
  `insert into logged_model_tags (model_id, key, value)
   select model_id, 'mlflow.modelVersions', jsonb_build_array(jsonb_build_object('name', :name::text, 'version', :version::int))::text
   from logged_models where model_id = :model_id
   on conflict (model_id, key) do update
   set value = (logged_model_tags.value::jsonb || excluded.value::jsonb)::text`,
);

/** Adds a registered version to the tag \`mlflow.modelVersions\` of the logged model it was made from. */
export async function recordModelVersionTag(db: Db, modelId: string, name: string, version: number): Promise<void> {
  await run(db, RECORD_VERSION, { model_id: modelId, name, version });
}
