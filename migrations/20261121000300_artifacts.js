/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- Bytes, each content once. They lie in the artifact store under storage_key.
  create table blobs (
    id                 bigint generated always as identity primary key,
    sha256             text   not null unique,
    size               bigint not null,
    storage_key        text   not null,
    creation_timestamp bigint not null default now_ms()
  );

  -- The artifact tree of a scope: one row a file, its path relative to mlflow-artifacts:/ and already checked.
  create table artifacts (
    scope_id               integer not null references scopes,
    path                   text collate "C" not null,
    blob_id                bigint  not null references blobs,
    last_updated_timestamp bigint  not null default now_ms(),
    primary key (scope_id, path)
  );
  create index artifacts_by_blob on artifacts (blob_id);

  -- The files of a registered version as they were when it was made: never changed afterwards.
  create table model_version_files (
    model_id bigint  not null,
    version  integer not null,
    path     text collate "C" not null,
    blob_id  bigint  not null references blobs,
    primary key (model_id, version, path),
    foreign key (model_id, version) references model_versions on delete cascade
  );
  create index model_version_files_by_blob on model_version_files (blob_id);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) => knex.raw('drop table model_version_files, artifacts, blobs');
