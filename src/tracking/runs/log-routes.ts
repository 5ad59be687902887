import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy, exactInt64, requiredText } from '../../platform/fields.ts';
import { pythonJson } from '../../platform/python.ts';
import { datasetInput } from '../datasets/entity.ts';
import { canOnRun } from '../permissions.ts';
import { runIdOf, withRunId } from './entity.ts';
import { type Batch, checkBatch, logBatch, metricFields } from './log-batch.ts';
import { logInputs, logOutputs } from './log-inputs.ts';
import { recordLoggedModel, toHistoryEntry } from './log-model.ts';

const MIB = 1024 * 1024;
const Nothing = z.object({});

/** A run's id in the calls that check its form (mlflow/utils/validation.py, _validate_run_id). */
const wellFormedRunId = requiredText.pipe(
  checkedBy((id) => {
    if (!/^[a-zA-Z0-9][\w-]{0,255}$/.test(id)) throw invalidParameter(`Invalid value ${pythonJson(id)} for parameter 'run_id' supplied.`);
  }),
);

const nothingBut = (batch: Partial<Batch>): Batch => ({ metrics: [], params: [], tags: [], ...batch });

const logMetric = endpoint({
  op: 'run.log_metric',
  summary: 'Log one point of a metric',
  method: 'POST',
  path: '/mlflow/runs/log-metric',
  effect: 'write',
  input: withRunId(metricFields),
  output: Nothing,
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    const key = { scope: scope.id, runId: runIdOf(input) };
    const batch = nothingBut({ metrics: [input] });
    checkBatch(batch, { single: true });
    await logBatch(db, key, batch, { single: true });
    return {};
  },
});

const keyAndValue = { key: requiredText, value: z.string().default('') };

const logParameter = endpoint({
  op: 'run.log_parameter',
  summary: 'Log a param; its value cannot be changed later',
  method: 'POST',
  path: '/mlflow/runs/log-parameter',
  effect: 'write',
  input: withRunId(keyAndValue),
  output: Nothing,
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    const key = { scope: scope.id, runId: runIdOf(input) };
    const batch = nothingBut({ params: [{ key: input.key, value: input.value }] });
    checkBatch(batch, { single: true });
    await logBatch(db, key, batch, { single: true });
    return {};
  },
});

const setTag = endpoint({
  op: 'run.set_tag',
  summary: 'Set a tag of a run',
  method: 'POST',
  path: '/mlflow/runs/set-tag',
  effect: 'write',
  input: withRunId(keyAndValue),
  output: Nothing,
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    const key = { scope: scope.id, runId: runIdOf(input) };
    const batch = nothingBut({ tags: [{ key: input.key, value: input.value }] });
    checkBatch(batch, { single: true });
    await logBatch(db, key, batch, { single: true });
    return {};
  },
});

const logMany = endpoint({
  op: 'run.log_batch',
  summary: 'Log metrics, params and tags, all of them or none',
  method: 'POST',
  path: '/mlflow/runs/log-batch',
  effect: 'write',
  bodyLimit: 8 * MIB,
  input: z.object({
    run_id: wellFormedRunId,
    metrics: z.array(z.object(metricFields)).default([]),
    params: z.array(z.object(keyAndValue)).default([]),
    tags: z.array(z.object(keyAndValue)).default([]),
  }),
  output: Nothing,
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    checkBatch(input);
    await logBatch(db, { scope: scope.id, runId: input.run_id }, input);
    return {};
  },
});

const logModel = endpoint({
  op: 'run.log_model',
  summary: 'Record a model in the run’s history tag, for clients before MLflow 3',
  method: 'POST',
  path: '/mlflow/runs/log-model',
  effect: 'write',
  bodyLimit: 8 * MIB,
  input: z.object({ run_id: requiredText, model_json: requiredText }),
  output: Nothing,
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    await recordLoggedModel(db, { scope: scope.id, runId: input.run_id }, toHistoryEntry(input.model_json));
    return {};
  },
});

const logRunInputs = endpoint({
  op: 'run.log_inputs',
  summary: 'Log the data sets and models a run used',
  method: 'POST',
  path: '/mlflow/runs/log-inputs',
  effect: 'write',
  bodyLimit: 64 * MIB,
  input: z.object({
    run_id: wellFormedRunId,
    datasets: z.array(datasetInput).default([]),
    models: z.array(z.object({ model_id: requiredText })).default([]),
  }),
  output: Nothing,
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    await logInputs(db, { scope: scope.id, runId: input.run_id }, input);
    return {};
  },
});

const logRunOutputs = endpoint({
  op: 'run.log_outputs',
  summary: 'Log the models a run made',
  method: 'POST',
  path: '/mlflow/runs/outputs',
  effect: 'write',
  input: z.object({ run_id: requiredText, models: z.array(z.object({ model_id: requiredText, step: exactInt64.default(0) })) }),
  output: Nothing,
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    await logOutputs(db, { scope: scope.id, runId: input.run_id }, input.models);
    return {};
  },
});

export const logEndpoints = [logMetric, logParameter, setTag, logMany, logModel, logRunInputs, logRunOutputs];
