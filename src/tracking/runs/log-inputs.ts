import { type Db, run, statement } from '../../platform/db/database.ts';
import type { Int64 } from '../../platform/json.ts';
import type { DatasetInput } from '../datasets/entity.ts';
import { ACTIVE_RUN } from './columns.ts';
import type { RunKey } from './entity.ts';
import { inactiveRun } from './store.ts';

// Data sets are inserted in one order by all writers, so that two runs of one experiment cannot deadlock over them.
const LOG_INPUTS = statement(
  'log_inputs',
  `with run as (${ACTIVE_RUN}),
   given as (
     select run.run_id, run.experiment_id, d.* from run,
       unnest(:names::text[], :digests::text[], :sourceTypes::text[], :sources::text[], :schemas::text[], :profiles::text[], :tags::jsonb[])
         with ordinality as d (name, digest, source_type, source, schema, profile, tags, place)),
   dataset as (
     insert into datasets (experiment_id, name, digest, source_type, source, schema, profile)
     select experiment_id, name, digest, source_type, source, schema, profile from given order by name, digest
     on conflict (experiment_id, name, digest) do update set name = excluded.name
     returning dataset_id, name, digest),
   dataset_input as (
     insert into run_dataset_inputs (run_id, dataset_id, tags)
     select given.run_id, dataset.dataset_id, given.tags from given join dataset using (name, digest) order by given.place
     on conflict do nothing),
   model_input as (
     insert into run_model_inputs (run_id, model_id) select run.run_id, model_id from run, unnest(:modelIds::text[]) as model_id
     on conflict do nothing)
   select run_id from run`,
);

/**
 * Adds data sets and models to what a run was made from. A data set is known in its experiment by name and digest: the first one logged stays as it was,
 * and so do the tags of an input the run has already. Throws as `deleteRunTag` for an unknown or deleted run.
 */
export async function logInputs(db: Db, key: RunKey, inputs: { datasets: DatasetInput[]; models: { model_id: string }[] }): Promise<void> {
  const first = new Map<string, DatasetInput>();
  for (const input of inputs.datasets) {
    const id = JSON.stringify([input.dataset.name, input.dataset.digest]);
    if (!first.has(id)) first.set(id, input);
  }
  const datasets = [...first.values()];
  const rows = await run(db, LOG_INPUTS, {
    ...key,
    names: datasets.map(({ dataset }) => dataset.name),
    digests: datasets.map(({ dataset }) => dataset.digest),
    sourceTypes: datasets.map(({ dataset }) => dataset.source_type),
    sources: datasets.map(({ dataset }) => dataset.source),
    schemas: datasets.map(({ dataset }) => dataset.schema ?? null),
    profiles: datasets.map(({ dataset }) => dataset.profile ?? null),
    tags: datasets.map(({ tags }) => JSON.stringify(tags)),
    modelIds: inputs.models.map((model) => model.model_id),
  });
  if (rows.length === 0) throw await inactiveRun(db, key);
}

const LOG_OUTPUTS = statement(
  'log_outputs',
  `with run as (${ACTIVE_RUN}),
   output as (
     insert into run_model_outputs (run_id, model_id, step)
     select distinct on (model_id) run.run_id, o.model_id, o.step from run, unnest(:modelIds::text[], :steps::bigint[]) with ordinality as o (model_id, step, place)
     order by model_id, place desc
     on conflict (run_id, model_id) do update set step = excluded.step)
   select run_id from run`,
);

/** Adds models to what a run made. One logged again takes the new step. Throws as `deleteRunTag` for an unknown or deleted run. */
export async function logOutputs(db: Db, key: RunKey, models: { model_id: string; step: Int64 }[]): Promise<void> {
  const rows = await run(db, LOG_OUTPUTS, {
    ...key,
    modelIds: models.map((model) => model.model_id),
    steps: models.map((model) => model.step),
  });
  if (rows.length === 0) throw await inactiveRun(db, key);
}
