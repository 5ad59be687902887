/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- Every move of an alias, for ever: from_version is null when it was new, to_version when it was removed.
  create table alias_moves (
    id              bigint generated always as identity primary key,
    model_id        bigint  not null references registered_models on delete cascade,
    alias           text    collate "C" not null,
    from_version    integer,
    to_version      integer,
    moved_by        text    not null default coalesce(current_setting('model_commons.actor', true), ''),
    moved_timestamp bigint  not null default now_ms()
  );
  create index alias_moves_by_alias on alias_moves (model_id, alias, id desc);

  create function keep_alias_move() returns trigger language plpgsql as $$
  begin
    if tg_op = 'UPDATE' and old.version = new.version then
      return null;
    end if;
    insert into alias_moves (model_id, alias, from_version, to_version)
    select id, coalesce(new.alias, old.alias), old.version, new.version
    -- With its model an alias goes without a trace: there is nothing left to have a history.
    from registered_models where id = coalesce(new.model_id, old.model_id);
    return null;
  end $$;
  create trigger keep_move after insert or update or delete on registered_model_aliases
    for each row execute function keep_alias_move();
  insert into alias_moves (model_id, alias, to_version) select model_id, alias, version from registered_model_aliases;

  -- Where a registry's version came from, as it was then: kept when its source is changed, renamed or removed.
  create table model_version_provenance (
    model_id          bigint  not null,
    version           integer not null,
    promotion_id      uuid    not null,
    -- JSON with sorted keys (RFC 8785), and its hex SHA-256.
    snapshot          text    not null,
    sha256            text    not null,
    -- The source, as long as it is there.
    source_scope_id   integer,
    source_model_id   bigint,
    source_version    integer,
    primary key (model_id, version),
    foreign key (model_id, version) references model_versions on delete cascade
  );
  create index model_version_provenance_by_source on model_version_provenance (source_model_id, source_version);

  create index deleted_model_versions_by_number on deleted_model_versions (model_id, version);

  create table promotions (
    promotion_id       uuid   primary key default gen_random_uuid(),
    status             text   not null check (status in ('COMPLETED', 'FAILED')),
    source             jsonb  not null,
    target             jsonb  not null,
    target_scope_id    integer references scopes on delete set null,
    digest             text,
    requested_by       text   not null default '',
    reason             text   not null default '',
    creation_timestamp bigint not null default now_ms()
  );
  create index promotions_by_time on promotions (creation_timestamp desc, promotion_id);
  create index promotions_by_target on promotions (target_scope_id, creation_timestamp desc);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw(`
  drop index deleted_model_versions_by_number;
  drop table promotions, model_version_provenance;
  drop trigger keep_move on registered_model_aliases;
  drop function keep_alias_move;
  drop table alias_moves;
`);
