/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- Who resolves and downloads which version of a registry: one row for each version, workspace, user and client. Times are epoch ms.
  create table model_version_consumers (
    model_id       bigint  not null,
    version        integer not null,
    -- Its name, since a row outlives its workspace.
    workspace      text    collate "C" not null,
    user_name      text    collate "C" not null,
    client         text    collate "C" not null,
    aliases        text[]  not null default '{}',
    first_time     bigint  not null,
    last_time      bigint  not null,
    resolve_count  bigint  not null,
    download_count bigint  not null,
    primary key (model_id, version, workspace, user_name, client),
    foreign key (model_id, version) references model_versions on delete cascade
  );
  create index model_version_consumers_by_time on model_version_consumers (model_id, version, last_time desc);

  -- Which runs have used a logged model.
  create index run_model_inputs_by_model on run_model_inputs (model_id);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) => knex.raw('drop index run_model_inputs_by_model; drop table model_version_consumers;');
