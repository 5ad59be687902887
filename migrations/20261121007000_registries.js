/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- What a registry says about itself. A workspace leaves these as they are.
  alter table scopes
    add display_name           text   not null default '',
    add tags                   jsonb  not null default '{}',
    add visibility             text   not null default 'ORGANIZATION' check (visibility in ('PRIVATE', 'ORGANIZATION', 'PUBLIC')),
    add owner                  text   not null default '',
    add last_updated_timestamp bigint not null default now_ms(),
    -- Of a registry that was made although workspaces have models whose names begin with its name and a dot.
    add hides_models           boolean not null default false;
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw('alter table scopes drop display_name, drop tags, drop visibility, drop owner, drop last_updated_timestamp, drop hides_models');
