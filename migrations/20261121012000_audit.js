/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- Who did what, and who was refused it: one row a write, in the write's own transaction. It refers to nothing by key, since it outlives what it tells of.
  create table audit_events (
    event_id      bigint generated always as identity primary key,
    timestamp     bigint not null default now_ms(),
    actor         text   not null,
    actor_id      bigint,
    via           text   not null,
    token_id      uuid,
    on_behalf_of  text   not null,
    op            text   not null,
    outcome       text   not null check (outcome in ('SUCCESS', 'DENIED', 'UNAUTHENTICATED')),
    scope         text   collate "C" not null,
    scope_id      integer,
    resource_type text   not null,
    resource      text   collate "C" not null,
    version       text   not null,
    -- How often, of what is counted before it is written: reads, failed logins.
    count         integer not null default 1,
    -- The hash of a row is over these texts as they are.
    input         json,
    before        json,
    after         json,
    client        text   not null,
    request_id    text   not null
  );
  create index audit_events_by_scope on audit_events (scope_id, event_id);
  create index audit_events_by_actor on audit_events (actor, event_id);
  create index audit_events_by_resource on audit_events (resource, event_id);
  create index audit_events_by_time on audit_events using brin (timestamp);

  -- The hash of a row is the SHA-256 over the one before it and the event (docs/audit.md).
  create table audit_chain (
    sequence bigint primary key,
    event_id bigint not null unique,
    hash     bytea  not null
  );

  -- What is not in the chain yet. Late commits simply stand here later, so that none is passed by.
  create table audit_unsealed (
    event_id bigint primary key
  );

  create function refuse_audit_change() returns trigger language plpgsql as $$
  begin
    raise exception 'the audit is append-only: % of % is refused', tg_op, tg_table_name using errcode = 'insufficient_privilege';
  end $$;
  create trigger append_only before update or delete or truncate on audit_events for each statement execute function refuse_audit_change();
  create trigger append_only before update or delete or truncate on audit_chain for each statement execute function refuse_audit_change();
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) => knex.raw('drop table audit_unsealed, audit_chain, audit_events; drop function refuse_audit_change()');
