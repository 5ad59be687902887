/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  alter table blobs
    -- CRC-32 of each MiB, 4 bytes big-endian; null for bytes stored before there were any, until they are read the next time.
    add piece_crcs        bytea,
    -- When bytes were found missing or changed (epoch ms). They are not given out then.
    add damaged_timestamp bigint;

  -- Uploads in parts under way, and for a while those that are done: clients ask again when an answer got lost.
  create table artifact_uploads (
    id                 uuid    primary key default gen_random_uuid(),
    scope_id           integer not null references scopes on delete cascade,
    path               text    collate "C" not null,
    storage_key        text    not null,
    store_upload_id    text    not null,
    part_count         integer not null,
    creation_timestamp bigint  not null default now_ms(),
    -- Until when one server alone puts the parts together; null while none does.
    leased_until       bigint,
    finished_timestamp bigint
  );
  create index artifact_uploads_by_age on artifact_uploads (creation_timestamp);

  -- Signs the addresses that work without a login, for a while. One row.
  create table signing_key (
    id     integer primary key check (id = 1),
    secret bytea   not null
  );
  insert into signing_key values (1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

  -- Deleted versions with files, kept until a collection finds them old enough.
  create table deleted_model_versions (
    id                bigint generated always as identity primary key,
    model_id          bigint  not null,
    version           integer not null,
    details           jsonb   not null,
    deleted_timestamp bigint  not null default now_ms()
  );
  create index deleted_model_versions_by_age on deleted_model_versions (deleted_timestamp);
  create table deleted_model_version_files (
    deleted_version_id bigint not null references deleted_model_versions on delete cascade,
    path               text   collate "C" not null,
    blob_id            bigint not null references blobs,
    primary key (deleted_version_id, path)
  );
  create index deleted_model_version_files_by_blob on deleted_model_version_files (blob_id);

  create function keep_deleted_model_version() returns trigger language plpgsql as $$
  declare
    kept bigint;
  begin
    insert into deleted_model_versions (model_id, version, details)
    values (old.model_id, old.version,
      to_jsonb(old) || jsonb_build_object('name', (select name from registered_models where id = old.model_id)))
    returning id into kept;
    insert into deleted_model_version_files (deleted_version_id, path, blob_id)
    select kept, path, blob_id from model_version_files where model_id = old.model_id and version = old.version;
    return old;
  end $$;
  create trigger keep_deleted before delete on model_versions
    for each row when (old.digest is not null) execute function keep_deleted_model_version();
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw(`
  drop trigger keep_deleted on model_versions;
  drop function keep_deleted_model_version;
  drop table deleted_model_version_files, deleted_model_versions, signing_key, artifact_uploads;
  alter table blobs drop piece_crcs, drop damaged_timestamp;
`);
