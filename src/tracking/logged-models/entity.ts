import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy, protoEnum, shownInt64 } from '../../platform/fields.ts';
import { checkLength, refuseUnseen } from '../../platform/names.ts';
import { pythonRepr } from '../../platform/python.ts';

// In characters (mlflow/store/tracking/dbmodels/models.py, SqlLoggedModel and its side tables).
const MAX_NAME_LENGTH = 500;
const MAX_MODEL_TYPE_LENGTH = 500;
const MAX_RUN_ID_LENGTH = 32;
const MAX_KEY_LENGTH = 255;

/** A logged model's place: ids are unique over all scopes, but each is seen only in the scope of its experiment. */
export type LoggedModelKey = { scope: number; modelId: string };

/** The statuses, each at the place that is its number: filters and order_by go by numbers. */
export const STATUSES = [
  'LOGGED_MODEL_STATUS_UNSPECIFIED',
  'LOGGED_MODEL_PENDING',
  'LOGGED_MODEL_READY',
  'LOGGED_MODEL_UPLOAD_FAILED',
] as const;

export const loggedModelStatus = protoEnum({
  LOGGED_MODEL_STATUS_UNSPECIFIED: 0,
  LOGGED_MODEL_PENDING: 1,
  LOGGED_MODEL_READY: 2,
  LOGGED_MODEL_UPLOAD_FAILED: 3,
});

/** A name to be given to a logged model; empty means that one is made up (mlflow/utils/validation.py, _validate_logged_model_name). */
export const newLoggedModelName = checkedBy((name) => {
  if (/[/:.%"']/.test(name)) {
    throw invalidParameter(
      `Invalid model name (${pythonRepr(name)}) provided. Model name must be a non-empty string and cannot contain the following characters: ` +
        `('/', ':', '.', '%', '"', "'")`,
    );
  }
  refuseUnseen('name', name);
  checkLength('name', MAX_NAME_LENGTH, name);
}).default('');

export const modelType = checkedBy((type) => checkLength('model_type', MAX_MODEL_TYPE_LENGTH, type)).default('');
export const sourceRunId = checkedBy((id) => checkLength('source_run_id', MAX_RUN_ID_LENGTH, id)).default('');

const KeyValue = z.object({ key: z.string(), value: z.string() });

/** Tags or params. Any text is a key, as on the stock server. */
export const keyValues = z.array(
  z.object({ key: checkedBy((key) => checkLength('key', MAX_KEY_LENGTH, key)).default(''), value: z.string().default('') }),
);

const repeatedKeys = (list: { key: string }[]) => list.map(({ key }) => key).filter((key, i, keys) => keys.indexOf(key) < i);

/** Tags or params of which none may be there twice; `kind` is what a message calls them. */
export function distinctKeyValues(kind: 'tag' | 'parameter') {
  return keyValues
    .refine((list) => new Set(list.map(({ key }) => key)).size === list.length, {
      error: ({ input }) =>
        `Duplicate ${kind} keys have been submitted: [${repeatedKeys(input as { key: string }[])
          .map(pythonRepr)
          .join(', ')}]. Please ensure the request contains only one value per ${kind} key.`,
    })
    .default([]);
}

/** A point of a metric that a run logged about the model. */
const LoggedModelMetric = z.object({
  key: z.string(),
  value: z.union([z.number(), z.literal('NaN')]),
  timestamp: shownInt64,
  step: shownInt64,
  dataset_name: z.string().optional(),
  dataset_digest: z.string().optional(),
  model_id: z.string(),
  run_id: z.string(),
});

export const LoggedModel = z.object({
  info: z.object({
    model_id: z.string(),
    experiment_id: z.string(),
    name: z.string(),
    creation_timestamp_ms: z.int(),
    last_updated_timestamp_ms: z.int(),
    artifact_uri: z.string(),
    status: z.enum(STATUSES),
    model_type: z.string(),
    source_run_id: z.string(),
    status_message: z.string().optional(),
    tags: z.array(KeyValue).optional(),
  }),
  data: z.object({ params: z.array(KeyValue).optional(), metrics: z.array(LoggedModelMetric).optional() }),
});

export type LoggedModelRow = {
  model_id: string;
  experiment_id: number;
  name: string;
  artifact_uri: string;
  creation_timestamp_ms: number;
  last_updated_timestamp_ms: number;
  status: (typeof STATUSES)[number];
  status_message: string | null;
  model_type: string;
  source_run_id: string;
  tags: z.infer<typeof KeyValue>[] | null;
  params: z.infer<typeof KeyValue>[] | null;
  metrics: z.infer<typeof LoggedModelMetric>[] | null;
};

export const toLoggedModel = (row: LoggedModelRow): z.infer<typeof LoggedModel> => ({
  info: {
    model_id: row.model_id,
    experiment_id: String(row.experiment_id),
    name: row.name,
    creation_timestamp_ms: row.creation_timestamp_ms,
    last_updated_timestamp_ms: row.last_updated_timestamp_ms,
    artifact_uri: row.artifact_uri,
    status: row.status,
    model_type: row.model_type,
    source_run_id: row.source_run_id,
    ...(row.status_message && { status_message: row.status_message }),
    ...(row.tags && { tags: row.tags }),
  },
  data: {
    ...(row.params && { params: row.params }),
    ...(row.metrics && { metrics: row.metrics }),
  },
});
