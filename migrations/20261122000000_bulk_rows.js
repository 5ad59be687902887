/** @param {import('knex').Knex} knex */
export const up = (knex) =>
  knex.raw(`
  -- Rows that come by the hundred. PostgreSQL looks a foreign key up for each row; for 100 metrics that took longer than to write them. Every statement
  -- that writes such rows holds the row they belong to, so that they cannot be left alone; what deletes that row deletes them here.
  create function delete_rows_of_run() returns trigger language plpgsql as $$
  begin
    delete from run_metrics where run_id = old.run_id;
    delete from run_latest_metrics where run_id = old.run_id;
    delete from run_params where run_id = old.run_id;
    return null;
  end $$;
  create trigger delete_rows after delete on runs for each row execute function delete_rows_of_run();
  alter table run_metrics drop constraint run_metrics_run_id_fkey;
  alter table run_latest_metrics drop constraint run_latest_metrics_run_id_fkey;
  alter table run_params drop constraint run_params_run_id_fkey;

  create function delete_files_of_model_version() returns trigger language plpgsql as $$
  begin
    delete from model_version_files where model_id = old.model_id and version = old.version;
    return null;
  end $$;
  create trigger delete_files after delete on model_versions for each row execute function delete_files_of_model_version();
  alter table model_version_files drop constraint model_version_files_model_id_version_fkey;

  -- These are replaced with each step of a training: room on the page spares the index another entry.
  alter table run_latest_metrics set (fillfactor = 50);
`);

/** @param {import('knex').Knex} knex */
export const down = (knex) =>
  knex.raw(`
  alter table run_latest_metrics reset (fillfactor);
  alter table model_version_files add constraint model_version_files_model_id_version_fkey
    foreign key (model_id, version) references model_versions on delete cascade;
  drop trigger delete_files on model_versions;
  drop function delete_files_of_model_version();
  alter table run_params add constraint run_params_run_id_fkey foreign key (run_id) references runs on delete cascade;
  alter table run_latest_metrics add constraint run_latest_metrics_run_id_fkey foreign key (run_id) references runs on delete cascade;
  alter table run_metrics add constraint run_metrics_run_id_fkey foreign key (run_id) references runs on delete cascade;
  drop trigger delete_rows on runs;
  drop function delete_rows_of_run();
`);
