/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- People and service accounts. Who has no password signs in by a token, or elsewhere (OIDC).
  create table users (
    id            bigint  generated always as identity primary key,
    username      text    not null unique,
    kind          text    not null default 'USER' check (kind in ('USER', 'SERVICE_ACCOUNT')),
    password_hash text,
    -- Who signs in elsewhere is known by these two, never by a name that could be chosen there.
    oidc_issuer   text,
    oidc_subject  text,
    is_admin      boolean not null default false,
    creation_timestamp bigint not null default now_ms(),
    unique (oidc_issuer, oidc_subject)
  );

  create table groups (
    id   bigint generated always as identity primary key,
    name text   not null unique
  );

  create table group_members (
    group_id bigint not null references groups on delete cascade,
    user_id  bigint not null references users on delete cascade,
    primary key (group_id, user_id)
  );
  create index group_members_user_id on group_members (user_id);

  -- What may be done in one workspace or registry. A role of one user alone holds what was granted to that user by name.
  create table roles (
    id          bigint generated always as identity primary key,
    scope_id    bigint not null references scopes on delete cascade,
    name        text   not null,
    description text,
    user_id     bigint references users on delete cascade,
    group_id    bigint references groups on delete cascade,
    unique (scope_id, name)
  );
  create unique index roles_user_id on roles (user_id, scope_id) where user_id is not null;
  create unique index roles_group_id on roles (group_id, scope_id) where group_id is not null;

  create table role_permissions (
    id               bigint generated always as identity primary key,
    role_id          bigint not null references roles on delete cascade,
    resource_type    text   not null,
    -- An id or name, with * for any text.
    resource_pattern text   not null,
    permission       text   not null check (permission in ('READ', 'USE', 'EDIT', 'MANAGE', 'DENY', 'NO_PERMISSIONS')),
    unique (role_id, resource_type, resource_pattern)
  );

  create table role_assignments (
    id       bigint generated always as identity primary key,
    role_id  bigint not null references roles on delete cascade,
    user_id  bigint references users on delete cascade,
    group_id bigint references groups on delete cascade,
    check (num_nonnulls(user_id, group_id) = 1)
  );
  create unique index role_assignments_user_id on role_assignments (user_id, role_id) where user_id is not null;
  create unique index role_assignments_group_id on role_assignments (group_id, role_id) where group_id is not null;

  -- Tokens of 256 random bits, of which only the SHA-256 is kept.
  create table access_tokens (
    id            uuid   primary key default gen_random_uuid(),
    user_id       bigint not null references users on delete cascade,
    kind          text   not null check (kind in ('PERSONAL', 'SESSION', 'SETUP')),
    name          text   not null default '',
    sha256        bytea  not null unique,
    -- Names of workspaces and registries it is for; null for all.
    scopes        text[],
    -- The most it allows; null for what its user may do.
    permission    text   check (permission in ('READ', 'USE', 'EDIT', 'MANAGE')),
    creation_timestamp bigint not null default now_ms(),
    expiration_timestamp bigint,
    last_used_timestamp bigint
  );
  create index access_tokens_user_id on access_tokens (user_id);

  -- Failed attempts to sign in within a minute, of one user from one address, or of one user.
  create table failed_logins (
    attempt      text    primary key,
    failures     integer not null,
    window_start bigint  not null
  );

  -- How many requests of a caller all servers together had in a minute.
  create table request_counts (
    caller  text    not null,
    minute  bigint  not null,
    total   integer not null,
    primary key (caller, minute)
  );

  -- What was granted on a model by name follows it, and does not fall to a later model of the same name.
  create function move_model_grants() returns trigger language plpgsql as $$
  begin
    if tg_op = 'UPDATE' then
      update role_permissions p set resource_pattern = new.name from roles r
      where r.id = p.role_id and r.scope_id = old.scope_id and p.resource_type in ('registered_model', 'prompt') and p.resource_pattern = old.name;
    else
      delete from role_permissions p using roles r
      where r.id = p.role_id and r.scope_id = old.scope_id and p.resource_type in ('registered_model', 'prompt') and p.resource_pattern = old.name;
    end if;
    return null;
  end $$;
  create trigger move_model_grants after update of name on registered_models
    for each row when (old.name <> new.name) execute function move_model_grants();
  create trigger delete_model_grants after delete on registered_models
    for each row execute function move_model_grants();
  create index role_permissions_resource on role_permissions (resource_type, resource_pattern);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw(`
  drop trigger delete_model_grants on registered_models;
  drop trigger move_model_grants on registered_models;
  drop function move_model_grants;
  drop table request_counts, failed_logins, access_tokens, role_assignments, role_permissions, roles, group_members, groups, users;
`);
