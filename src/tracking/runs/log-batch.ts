import pg from 'pg';
import { z } from 'zod';
import { type Db, isDatabaseError, run, statement, undo } from '../../platform/db/database.ts';
import { doesNotExist, invalidParameter, type MlflowError } from '../../platform/errors.ts';
import { double, exactInt64 } from '../../platform/fields.ts';
import { checkKey, checkLength, lastValues } from '../../platform/names.ts';
import { pythonFloat, pythonRepr } from '../../platform/python.ts';
import { ACTIVE_RUN } from './columns.ts';
import { checkRunName, RUN_NAME_TAG, type RunKey } from './entity.ts';
import {
  MAX_ENTITIES_PER_BATCH,
  MAX_KEY_LENGTH,
  MAX_METRICS_PER_BATCH,
  MAX_PARAM_VALUE_LENGTH,
  MAX_PARAMS_TAGS_PER_BATCH,
  MAX_TAG_VALUE_LENGTH,
  truncate,
} from './limits.ts';
import { inactiveRun } from './store.ts';

/** A point of a metric as it is logged; with a `model_id` it is a metric of that logged model too. */
export const metricFields = {
  key: z.string().min(1),
  value: double,
  timestamp: exactInt64,
  step: exactInt64.default(0),
  model_id: z.string().default(''),
  dataset_name: z.string().default(''),
  dataset_digest: z.string().default(''),
};

type MetricInput = z.output<z.ZodObject<typeof metricFields>>;
export type Batch = { metrics: MetricInput[]; params: { key: string; value: string }[]; tags: { key: string; value: string }[] };

/** Throws for too many entries, bad names and bad times. In messages `single` leaves out which entry it is: for the calls that log one thing. */
export function checkBatch({ metrics, params, tags }: Batch, { single = false } = {}): void {
  const at = (list: string, i: number, field: string) => (single ? field : `${list}[${i}].${field}`);
  if (metrics.some((metric) => (metric.dataset_name === '') !== (metric.dataset_digest === ''))) {
    throw invalidParameter('Both dataset_name and dataset_digest must be provided if one is provided');
  }
  for (const [i, metric] of metrics.entries()) {
    checkKey(at('metrics', i, 'name'), metric.key);
    if (metric.timestamp < 0) {
      throw invalidParameter(
        `Invalid value ${metric.timestamp} for parameter '${at('metrics', i, 'timestamp')}' supplied: metric '${metric.key}' (value=${pythonFloat(metric.value)}).` +
          ' Timestamp must be a nonnegative long (64-bit integer) ',
      );
    }
    checkLength('Metric name', MAX_KEY_LENGTH, metric.key);
  }
  for (const [i, { key }] of params.entries()) {
    checkKey(at('params', i, 'key'), key);
    checkLength('Param key', MAX_KEY_LENGTH, key);
  }
  for (const [i, { key, value }] of tags.entries()) {
    checkKey(at('tags', i, 'key'), key);
    checkLength(at('tags', i, 'key'), MAX_KEY_LENGTH, key);
    if (key === RUN_NAME_TAG) checkRunName(value);
  }
  checkCount('metrics', MAX_METRICS_PER_BATCH, metrics.length);
  checkCount('params', MAX_PARAMS_TAGS_PER_BATCH, params.length);
  checkCount('tags', MAX_PARAMS_TAGS_PER_BATCH, tags.length);
  checkCount('metrics, params, and tags', MAX_ENTITIES_PER_BATCH, metrics.length + params.length + tags.length);
  const repeated = params.map(({ key }) => key).filter((key, i, keys) => keys.indexOf(key) < i);
  if (repeated.length > 0) {
    throw invalidParameter(
      `Duplicate parameter keys have been submitted: [${repeated.map(pythonRepr).join(', ')}]. Please ensure the request contains only one param value per param key.`,
    );
  }
}

function checkCount(name: string, limit: number, count: number): void {
  if (count <= limit) return;
  throw invalidParameter(
    `A batch logging request can contain at most ${limit} ${name}. Got ${count} ${name}. Please split up ${name} across multiple requests and try again.`,
  );
}

const LOG_BATCH = statement(
  'log_batch',
  `with run as (${ACTIVE_RUN}),
   metric as (
     select run.run_id, point.* from run,
       unnest(:metricKeys::text[], :timestamps::bigint[], :steps::bigint[], :numbers::float8[], :nans::boolean[])
         with ordinality as point (key, timestamp, step, value, is_nan, place)),
   history as (
     insert into run_metrics (run_id, key, timestamp, step, value, is_nan) select run_id, key, timestamp, step, value, is_nan from metric
     on conflict do nothing),
   latest as (
     insert into run_latest_metrics as old (run_id, key, timestamp, step, value, is_nan)
     select distinct on (key) run_id, key, timestamp, step, value, is_nan from metric order by key, step desc, timestamp desc, value desc, place
     on conflict (run_id, key) do update
       set timestamp = excluded.timestamp, step = excluded.step, value = excluded.value, is_nan = excluded.is_nan
       where (excluded.step, excluded.timestamp, excluded.value) > (old.step, old.timestamp, old.value)),
   model_metric as (
     insert into logged_model_metrics (model_id, key, timestamp, step, value, is_nan, run_id, dataset_name, dataset_digest)
     select
       (select l.model_id from logged_models l join experiments e on e.experiment_id = l.experiment_id where l.model_id = of.model_id and e.scope_id = :scope),
       m.key, m.timestamp, m.step, m.value, m.is_nan, m.run_id, of.dataset_name, of.dataset_digest
     from metric m join unnest(:places::bigint[], :modelIds::text[], :datasetNames::text[], :datasetDigests::text[])
       as of (place, model_id, dataset_name, dataset_digest) on of.place = m.place
     on conflict do nothing),
   param as (
     insert into run_params as old (run_id, key, value) select run.run_id, p.key, p.value from run, unnest(:paramKeys::text[], :paramValues::text[]) as p (key, value)
     on conflict (run_id, key) do update set value = null where old.value <> excluded.value),
   tag as (
     insert into run_tags (run_id, key, value) select run.run_id, t.key, t.value from run, unnest(:tagKeys::text[], :tagValues::text[]) as t (key, value)
     on conflict (run_id, key) do update set value = excluded.value),
   renamed as (
     update runs set name = :name from run where runs.run_id = run.run_id and :name::text is not null)
   select run_id from run`,
);

const NOT_NULL_VIOLATION = '23502';
const MAX_DOUBLE = 1.7976931348623157e308;

/**
 * Logs everything of a batch or nothing of it: one statement, one round trip. A point logged before is kept once; the latest value of a metric is that
 * of the greatest (step, timestamp, value); values of params and tags are cut to 6000 and 8000 characters; the tag of the run's name renames it.
 * Throws RESOURCE_DOES_NOT_EXIST for an unknown run or logged model, INVALID_PARAMETER_VALUE for a deleted run and for a param that has another value.
 */
export async function logBatch(db: Db, key: RunKey, batch: Batch, { single = false } = {}): Promise<void> {
  const params = batch.params.map((param) => ({ key: param.key, value: truncate(param.value, MAX_PARAM_VALUE_LENGTH) }));
  const name = batch.tags.findLast((tag) => tag.key === RUN_NAME_TAG)?.value || null;
  const tags = lastValues(batch.tags.filter((tag) => tag.key !== RUN_NAME_TAG || tag.value !== ''));
  const { metrics } = batch;
  const ofModels = metrics.flatMap((metric, i) => (metric.model_id ? [{ ...metric, place: i + 1 }] : []));
  try {
    const rows = await run(db, LOG_BATCH, {
      ...key,
      name,
      metricKeys: metrics.map((metric) => metric.key),
      timestamps: metrics.map((metric) => metric.timestamp),
      steps: metrics.map((metric) => metric.step),
      numbers: metrics.map(({ value }) => (Number.isNaN(value) ? 0 : Math.max(-MAX_DOUBLE, Math.min(MAX_DOUBLE, value)))),
      nans: metrics.map(({ value }) => Number.isNaN(value)),
      places: ofModels.map((metric) => metric.place),
      modelIds: ofModels.map((metric) => metric.model_id),
      datasetNames: ofModels.map((metric) => metric.dataset_name),
      datasetDigests: ofModels.map((metric) => metric.dataset_digest),
      paramKeys: params.map((param) => param.key),
      paramValues: params.map((param) => param.value),
      tagKeys: tags.keys,
      tagValues: tags.values.map((value) => truncate(value, MAX_TAG_VALUE_LENGTH)),
    });
    if (rows.length === 0) throw await inactiveRun(db, key);
  } catch (error) {
    // A null is put where a param would change or a model is unknown, so that the database undoes the whole statement.
    if (!isDatabaseError(error, NOT_NULL_VIOLATION) || !(error instanceof pg.DatabaseError)) throw error;
    await undo(db);
    if (error.table === 'run_params') throw await changedParams(db, key, params, single);
    if (error.table === 'logged_model_metrics') throw await unknownModel(db, key, ofModels);
    throw error;
  }
}

const FIND_PARAMS = statement('find_run_params', 'select key, value from run_params where run_id = :runId and key = any (:keys)');

async function changedParams(db: Db, { runId }: RunKey, params: Batch['params'], single: boolean): Promise<MlflowError> {
  const rows = await run<{ key: string; value: string }>(db, FIND_PARAMS, { runId, keys: params.map((param) => param.key) });
  const old = new Map(rows.map((row) => [row.key, row.value]));
  const changes = params.flatMap(({ key, value }) => {
    const oldValue = old.get(key);
    return oldValue === undefined || oldValue === value ? [] : [{ key, oldValue, value }];
  });
  const [first] = changes;
  if (single && first) {
    return invalidParameter(
      `Changing param values is not allowed. Param with key='${first.key}' was already logged with value='${first.oldValue}' for run ID='${runId}'.` +
        ` Attempted logging new value '${first.value}'.`,
    );
  }
  const list = changes.map(
    ({ key, oldValue, value }) => `{'key': ${pythonRepr(key)}, 'old_value': ${pythonRepr(oldValue)}, 'new_value': ${pythonRepr(value)}}`,
  );
  return invalidParameter(`Changing param values is not allowed. Params were already logged='[${list.join(', ')}]' for run ID='${runId}'.`);
}

const FIND_MODELS = statement(
  'find_logged_models',
  `select l.model_id from logged_models l join experiments e on e.experiment_id = l.experiment_id where l.model_id = any (:modelIds) and e.scope_id = :scope`,
);

async function unknownModel(db: Db, { scope }: RunKey, metrics: MetricInput[]): Promise<MlflowError> {
  const modelIds = metrics.map((metric) => metric.model_id);
  const known = new Set((await run<{ model_id: string }>(db, FIND_MODELS, { scope, modelIds })).map((row) => row.model_id));
  return doesNotExist(`Logged model with ID '${modelIds.find((id) => !known.has(id))}' not found.`);
}
