import { z } from 'zod';
import { doesNotExist, invalidParameter } from '../../platform/errors.ts';
import { checkedBy, requiredText } from '../../platform/fields.ts';
import { checkKey, checkLength } from '../../platform/names.ts';
import { pythonInt } from '../../platform/python.ts';

const MAX_NAME_LENGTH = 256;
const MAX_TAG_KEY_LENGTH = 250;
const MAX_TAG_VALUE_LENGTH = 20_000;

/** An experiment's place: ids are unique over all scopes, but each is seen in its own only. */
export type ExperimentKey = { scope: number; experimentId: number };

/** Reads an id as Python's int() does, clamped to 2^53: no experiment has such a number. Null where int() raises. */
export function parseExperimentId(text: string): number | null {
  const number = pythonInt(text);
  return number === null ? null : Math.max(Math.min(Number(number), Number.MAX_SAFE_INTEGER), Number.MIN_SAFE_INTEGER);
}

/** The sentence for a text that is no id (mlflow/utils/validation.py, _parse_experiment_id). */
export const badExperimentId = (text: string) => `Invalid experiment ID '${text}'. Experiment ID must be a valid integer.`;

const toExperimentId = z.string().transform((text, context) => {
  const id = parseExperimentId(text);
  if (id !== null) return id;
  context.issues.push({ code: 'custom', message: badExperimentId(text), input: text });
  return z.NEVER;
});

/** Throws RESOURCE_DOES_NOT_EXIST for a number that no experiment can have, as it cannot be looked for. */
const refuseUnthinkable = z.string().transform((text) => {
  const id = pythonInt(text);
  if (id !== null && !Number.isSafeInteger(Number(id))) throw doesNotExist(`No Experiment with id=${id} exists`);
  return text;
});

export const experimentId = requiredText.pipe(refuseUnthinkable).pipe(toExperimentId);
export const experimentIds = z.array(toExperimentId).default([]);

/** A name to be given to an experiment: any text (mlflow/utils/validation.py, _validate_experiment_name). */
export const newExperimentName = requiredText.pipe(checkedBy((name) => checkLength('name', MAX_NAME_LENGTH, name)));

export const experimentTagValue = checkedBy((value) => checkLength('value', MAX_TAG_VALUE_LENGTH, value));

/** The tags that hold the views people made of an experiment's page (mlflow/utils/mlflow_tags.py, MLFLOW_CUSTOM_VIEW_TAG_PREFIX). */
export const CUSTOM_VIEW_PREFIX = 'mlflow.customView.view';
export const MAX_CUSTOM_VIEWS = 50;

export const tooManyCustomViews = (ofExperiment = '') =>
  invalidParameter(
    `Unable to create another custom view${ofExperiment}; the maximum number of custom views per experiment is ${MAX_CUSTOM_VIEWS}.` +
      ' Delete an existing custom view before creating a new one.',
  );

/** Tags of a create call. */
export const experimentTags = z
  .array(
    z.object({
      key: checkedBy((key) => {
        checkKey('key', key);
        checkLength('key', MAX_TAG_KEY_LENGTH, key);
      }).prefault(''),
      value: experimentTagValue.default(''),
    }),
  )
  .refine((tags) => tags.filter(({ key }) => key.startsWith(CUSTOM_VIEW_PREFIX)).length <= MAX_CUSTOM_VIEWS, {
    error: () => tooManyCustomViews().message,
  })
  .default([]);

export const Experiment = z.object({
  experiment_id: z.string(),
  name: z.string(),
  artifact_location: z.string(),
  lifecycle_stage: z.enum(['active', 'deleted']),
  last_update_time: z.int(),
  creation_time: z.int(),
  tags: z.array(z.object({ key: z.string(), value: z.string() })).optional(),
  workspace: z.string(),
});

export type ExperimentRow = {
  experiment_id: number;
  name: string;
  artifact_location: string;
  lifecycle_stage: 'active' | 'deleted';
  last_update_time: number;
  creation_time: number;
  tags: { key: string; value: string }[] | null;
};

export const toExperiment = (row: ExperimentRow, workspace: string): z.infer<typeof Experiment> => ({
  experiment_id: String(row.experiment_id),
  name: row.name,
  artifact_location: row.artifact_location,
  lifecycle_stage: row.lifecycle_stage,
  last_update_time: row.last_update_time,
  creation_time: row.creation_time,
  ...(row.tags && { tags: row.tags }),
  workspace,
});
