/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  create table registered_models (
    id                     bigint generated always as identity primary key,
    scope_id               integer not null references scopes,
    name                   text collate "C" not null check (char_length(name) <= 256),
    description            text    not null default '',
    creation_timestamp     bigint  not null default now_ms(),
    last_updated_timestamp bigint  not null default now_ms(),
    -- The highest number ever given to a version: numbers are never reused.
    last_version           integer not null default 0,
    unique (scope_id, name)
  );
  create index registered_models_by_update on registered_models (scope_id, last_updated_timestamp desc, name);

  create table registered_model_tags (
    model_id bigint not null references registered_models on delete cascade,
    key      text collate "C" not null,
    value    text collate "C" not null,
    primary key (model_id, key)
  );

  create table model_versions (
    model_id               bigint  not null references registered_models on delete cascade,
    version                integer not null,
    creation_timestamp     bigint  not null default now_ms(),
    last_updated_timestamp bigint  not null default now_ms(),
    description            text,
    current_stage          text collate "C" not null default 'None',
    source                 text collate "C" not null,
    -- Where the bytes are: the frozen snapshot's own URI, or the live place a source points to.
    storage_location       text    not null,
    -- Hex SHA-256 over the frozen files; null while the version is a live reference.
    digest                 text,
    run_id                 text collate "C" not null default '' check (char_length(run_id) <= 32),
    run_link               text    not null default '',
    logged_model_id        text    not null default '',
    status                 text    not null default 'READY',
    status_message         text,
    primary key (model_id, version)
  );
  create index model_versions_by_stage on model_versions (model_id, current_stage, version desc);
  create index model_versions_by_update on model_versions (last_updated_timestamp desc);
  create index model_versions_by_run on model_versions (run_id) where run_id <> '';
  create index model_versions_by_source on model_versions using hash (source);

  create table model_version_tags (
    model_id bigint  not null,
    version  integer not null,
    key      text collate "C" not null,
    value    text collate "C" not null,
    primary key (model_id, version, key),
    foreign key (model_id, version) references model_versions on delete cascade
  );
  create index model_version_tags_by_key on model_version_tags (key, md5(value));

  create table registered_model_aliases (
    model_id bigint  not null,
    alias    text collate "C" not null,
    version  integer not null,
    primary key (model_id, alias),
    foreign key (model_id, version) references model_versions on delete cascade
  );
  create index registered_model_aliases_by_version on registered_model_aliases (model_id, version);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw('drop table registered_model_aliases, model_version_tags, model_versions, registered_model_tags, registered_models');
