/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- Names of a workspace that mean a model of a registry.
  create table mounts (
    -- The empty model of the workspace that keeps the name, so that no other can have it.
    model_id  bigint primary key references registered_models on delete cascade,
    -- Null when the registry's model was deleted; what it was called when it was mounted.
    target_id bigint references registered_models on delete set null,
    registry  text   not null,
    name      text   not null,
    -- Which alias of the registry's model an alias means here.
    alias_map jsonb  not null default '{}'
  );
  create index mounts_by_target on mounts (target_id);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw(`
  -- Without it the model that kept the name would be one of the workspace.
  delete from registered_models where id in (select model_id from mounts);
  drop table mounts;
`);
