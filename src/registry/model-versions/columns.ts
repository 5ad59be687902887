/** Where the frozen files of a version are, in SQL; `home` is '' or `registries/<name>/`, which is there for people: the id says which version it is. */
export const frozenLocation = (modelId: string, version: string, home = "''"): string =>
  `'mlflow-artifacts:/' || ${home} || 'registered-models/' || ${modelId} || '/versions/' || ${version}`;

/** The columns of a ModelVersionRow, of `model_versions v` joined with its `registered_models m`. */
export const VERSION_COLUMNS = `
  m.name, v.version, v.creation_timestamp, v.last_updated_timestamp, v.current_stage, v.description, v.source, v.run_id, v.run_link, v.status, v.status_message,
  (select json_agg(json_build_object('key', t.key, 'value', t.value) order by t.key)
     from model_version_tags t where t.model_id = v.model_id and t.version = v.version) as tags,
  (select json_agg(a.alias order by a.alias)
     from registered_model_aliases a where a.model_id = v.model_id and a.version = v.version) as aliases`;
