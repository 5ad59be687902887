import { z } from 'zod';
import { protoEnum, shownInt64 } from '../../platform/fields.ts';
import type { Int64 } from '../../platform/json.ts';
import { checkLength } from '../../platform/names.ts';
import { RunDatasetInput } from '../datasets/entity.ts';

/** The tag that repeats a run's name (mlflow/utils/mlflow_tags.py, MLFLOW_RUN_NAME). Whoever sets one sets the other. */
export const RUN_NAME_TAG = 'mlflow.runName';

const MAX_NAME_LENGTH = 250;

/** A run's place: ids are unique over all scopes, but each is seen only in the scope of its experiment. */
export type RunKey = { scope: number; runId: string };

type NamesRun = { run_id?: string | undefined; run_uuid?: string | undefined };

/** The run that a request is about: old clients say `run_uuid`. */
export const runIdOf = (input: NamesRun): string => input.run_id || input.run_uuid || '';

/** The arguments of a call on a run (see `runIdOf`). One that names no run is told so before anything else. */
export const withRunId = <Fields extends z.ZodRawShape>(fields: Fields) =>
  z
    .object({ run_id: z.string().optional(), run_uuid: z.string().optional(), ...fields })
    .refine((input) => runIdOf(input as NamesRun) !== '', { path: ['run_id'], when: () => true });

export const runStatus = protoEnum({ RUNNING: 1, SCHEDULED: 2, FINISHED: 3, FAILED: 4, KILLED: 5 });

export const checkRunName = (name: string): void => checkLength('run_name', MAX_NAME_LENGTH, name);

const Tag = z.object({ key: z.string(), value: z.string() });

/** A point of a metric. NaN is a string on the wire; infinities are shown as +-1.7976931348623157e308. */
export const Metric = z.object({
  key: z.string(),
  value: z.union([z.number(), z.literal('NaN')]),
  timestamp: shownInt64,
  step: shownInt64,
});

export const RunInfo = z.object({
  run_id: z.string(),
  run_uuid: z.string(),
  run_name: z.string(),
  experiment_id: z.string(),
  user_id: z.string(),
  status: z.enum(['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED']),
  start_time: shownInt64,
  end_time: shownInt64.optional(),
  artifact_uri: z.string(),
  lifecycle_stage: z.enum(['active', 'deleted']),
});

export const Run = z.object({
  info: RunInfo,
  data: z.object({ metrics: z.array(Metric).optional(), params: z.array(Tag).optional(), tags: z.array(Tag).optional() }),
  inputs: z.object({
    dataset_inputs: z.array(RunDatasetInput).optional(),
    model_inputs: z.array(z.object({ model_id: z.string() })).optional(),
  }),
  outputs: z.object({ model_outputs: z.array(z.object({ model_id: z.string(), step: shownInt64 })).optional() }).optional(),
});

export type RunInfoRow = {
  run_id: string;
  experiment_id: number;
  name: string;
  user_id: string;
  status: z.infer<typeof RunInfo>['status'];
  start_time: Int64;
  end_time: Int64 | null;
  lifecycle_stage: 'active' | 'deleted';
  artifact_uri: string;
};

export type RunRow = RunInfoRow & {
  tags: z.infer<typeof Tag>[] | null;
  params: z.infer<typeof Tag>[] | null;
  metrics: z.infer<typeof Metric>[] | null;
  dataset_inputs: z.infer<typeof RunDatasetInput>[] | null;
  model_inputs: { model_id: string }[] | null;
  model_outputs: { model_id: string; step: Int64 }[] | null;
};

export const toRunInfo = (row: RunInfoRow): z.infer<typeof RunInfo> => ({
  run_id: row.run_id,
  run_uuid: row.run_id,
  run_name: row.name,
  experiment_id: String(row.experiment_id),
  user_id: row.user_id,
  status: row.status,
  start_time: row.start_time,
  ...(row.end_time && { end_time: row.end_time }),
  artifact_uri: row.artifact_uri,
  lifecycle_stage: row.lifecycle_stage,
});

export const toRun = (row: RunRow): z.infer<typeof Run> => ({
  info: toRunInfo(row),
  data: {
    ...(row.metrics && { metrics: row.metrics }),
    ...(row.params && { params: row.params }),
    ...(row.tags && { tags: row.tags }),
  },
  inputs: {
    ...(row.dataset_inputs && { dataset_inputs: row.dataset_inputs }),
    ...(row.model_inputs && { model_inputs: row.model_inputs }),
  },
  outputs: { ...(row.model_outputs && { model_outputs: row.model_outputs }) },
});
