/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  create table webhooks (
    webhook_id             text    collate "C" primary key,
    scope_id               integer not null references scopes,
    name                   text    not null,
    description            text    not null default '',
    url                    text    not null,
    -- Each as 'model_version.created'.
    events                 text[]  not null check (cardinality(events) > 0),
    status                 text    collate "C" not null default 'ACTIVE' check (status in ('ACTIVE', 'DISABLED')),
    -- AES-256-GCM: nonce, tag, cipher text. Null for a webhook whose requests are not signed.
    secret                 bytea,
    creation_timestamp     bigint  not null default now_ms(),
    last_updated_timestamp bigint  not null default now_ms(),
    -- Deliveries that failed since the last that did not; until when nothing is sent because of them.
    failures               integer     not null default 0,
    paused_until           timestamptz not null default now()
  );
  create index webhooks_by_creation on webhooks (scope_id, creation_timestamp desc, webhook_id desc);

  -- What is still to be sent: a row goes when its delivery has succeeded or is given up.
  create table webhook_deliveries (
    delivery_id     text        collate "C" primary key default gen_random_uuid()::text,
    webhook_id      text        collate "C" not null references webhooks on delete cascade,
    body            text        not null,
    creation_time   timestamptz not null default now(),
    attempts        integer     not null default 0,
    -- A server that is sending it has moved this beyond its own time limit.
    next_attempt    timestamptz not null default now()
  );
  create index webhook_deliveries_by_next_attempt on webhook_deliveries (webhook_id, next_attempt);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) => knex.raw('drop table webhook_deliveries, webhooks');
