/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- Which bytes of the artifact store nothing knows of.
  create index blobs_by_storage_key on blobs using hash (storage_key);
  -- Whether a version still reads the files of a logged model.
  create index model_versions_by_logged_model on model_versions (logged_model_id) where logged_model_id <> '';
  create index runs_by_deletion on runs (deleted_time) where lifecycle_stage = 'deleted';
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw(`
  drop index runs_by_deletion, model_versions_by_logged_model, blobs_by_storage_key;
`);
