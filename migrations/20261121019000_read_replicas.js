/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- The read replicas that servers know of, and which of them may be read from: all servers agree on it here (docs/decisions/0012).
  create table read_replicas (
    -- host:port/database
    name        text        collate "C" primary key,
    -- The timeline of the primary's WAL on which it may be read from; null: it may not.
    admitted_on text        collate "C",
    -- Another one after every change, by which a replica shows that it has replayed it.
    change      uuid        not null default gen_random_uuid(),
    changed_at  timestamptz not null default '-infinity'
  );
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) => knex.raw('drop table read_replicas');
