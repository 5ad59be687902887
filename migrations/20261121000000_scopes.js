/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- Epoch milliseconds at the start of the transaction: MLflow's unit of time, and one clock for all servers.
  create function now_ms() returns bigint
    language sql stable parallel safe
    return floor(extract(epoch from now()) * 1000)::bigint;

  -- Workspaces and registries share one name space.
  create table scopes (
    id                 integer generated always as identity (start with 2) primary key,
    kind               text   not null check (kind in ('workspace', 'registry')),
    name               text collate "C" not null unique,
    description        text   not null default '',
    creation_timestamp bigint not null default now_ms()
  );

  -- Callers that name no workspace are in this one (mlflow/utils/workspace_utils.py, DEFAULT_WORKSPACE_NAME).
  insert into scopes (id, kind, name) overriding system value values (1, 'workspace', 'default');
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) => knex.raw('drop table scopes; drop function now_ms()');
