/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- From a list of what is still to be sent it becomes the log of what was sent: a row stays for some days after its delivery has ended.
  alter table webhook_deliveries
    add position          bigint generated always as identity,
    add status            text collate "C" not null default 'PENDING' check (status in ('PENDING', 'SUCCEEDED', 'FAILED')),
    add last_attempt_time timestamptz,
    -- Of the last attempt that is over.
    add response_status   integer,
    add error_message     text,
    -- From when on it is sent again and again: when it was stored, or redelivered.
    add due_time          timestamptz not null default now(),
    add end_time          timestamptz,
    add check ((status = 'PENDING') = (end_time is null));

  update webhook_deliveries set due_time = creation_time;

  drop index webhook_deliveries_by_next_attempt;
  create index webhook_deliveries_pending on webhook_deliveries (webhook_id, next_attempt) where status = 'PENDING';
  create index webhook_deliveries_ended on webhook_deliveries (end_time) where status <> 'PENDING';
  create index webhook_deliveries_by_position on webhook_deliveries (webhook_id, position desc);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw(`
  delete from webhook_deliveries where status <> 'PENDING';
  drop index webhook_deliveries_pending, webhook_deliveries_ended, webhook_deliveries_by_position;
  alter table webhook_deliveries
    drop position, drop status, drop last_attempt_time, drop response_status, drop error_message, drop due_time, drop end_time;
  create index webhook_deliveries_by_next_attempt on webhook_deliveries (webhook_id, next_attempt);
`);
