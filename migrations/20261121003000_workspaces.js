/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- What a workspace says about itself; unset is null, as an empty description is one too.
  alter table scopes
    alter description drop not null,
    alter description drop default,
    -- Where the experiments of a workspace have their artifacts; null: with this server, below workspaces/<name>.
    add default_artifact_root    text,
    add trace_archival_location  text,
    add trace_archival_retention text,
    -- Names of removed workspaces whose artifacts are here, at the paths they had.
    add merged_workspaces        text[] not null default '{}';

  update scopes set description = nullif(description, '');
  update scopes set description = 'Default workspace for legacy resources' where id = 1 and description is null;
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw(`
  update scopes set description = '' where description is null or id = 1;
  alter table scopes
    drop default_artifact_root,
    drop trace_archival_location,
    drop trace_archival_retention,
    drop merged_workspaces,
    alter description set default '',
    alter description set not null;
`);
