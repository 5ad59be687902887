import { z } from 'zod';
import { checkedBy } from '../../platform/fields.ts';
import { checkLength } from '../../platform/names.ts';
import { experimentIds } from '../experiments/entity.ts';

// In characters (mlflow/utils/validation.py, _validate_dataset and _validate_input_tag).
const MAX_NAME_LENGTH = 500;
const MAX_DIGEST_LENGTH = 36;
const MAX_SOURCE_LENGTH = 65_535;
const MAX_SCHEMA_LENGTH = 1_048_575;
const MAX_PROFILE_LENGTH = 16_777_215;
const MAX_TAG_KEY_LENGTH = 255;
const MAX_TAG_VALUE_LENGTH = 500;
const MAX_EXPERIMENTS = 20;

/** The tag of a run's input that says what the data was used for: `training`, `evaluation`, ... */
export const CONTEXT_TAG = 'mlflow.data.context';

const atMost = (name: string, limit: number) => checkedBy((text) => checkLength(name, limit, text));

/** A data set as runs/log-inputs takes it. As on the stock server nothing but the lengths is checked: what is left out is empty. */
export const datasetInput = z.object({
  tags: z
    .array(z.object({ key: atMost('key', MAX_TAG_KEY_LENGTH).default(''), value: atMost('value', MAX_TAG_VALUE_LENGTH).default('') }))
    .default([]),
  dataset: z
    .object({
      name: atMost('name', MAX_NAME_LENGTH).default(''),
      digest: atMost('digest', MAX_DIGEST_LENGTH).default(''),
      source_type: z.string().default(''),
      source: atMost('source', MAX_SOURCE_LENGTH).default(''),
      schema: atMost('schema', MAX_SCHEMA_LENGTH).optional(),
      profile: atMost('profile', MAX_PROFILE_LENGTH).optional(),
    })
    .default({ name: '', digest: '', source_type: '', source: '' }),
});

export type DatasetInput = z.output<typeof datasetInput>;

/** A data set that a run had as input, as runs/get shows it. */
export const RunDatasetInput = z.object({
  tags: z.array(z.object({ key: z.string(), value: z.string() })).optional(),
  dataset: z.object({
    name: z.string(),
    digest: z.string(),
    source_type: z.string(),
    source: z.string(),
    schema: z.string().optional(),
    profile: z.string().optional(),
  }),
});

/** The experiments of a search for data sets: 1 to 20, counted before they are looked at. */
export const datasetExperimentIds = z
  .array(z.string())
  .default([])
  .refine((ids) => ids.length > 0, { message: 'SearchDatasets request must specify at least one experiment_id.' })
  .refine((ids) => ids.length <= MAX_EXPERIMENTS, {
    error: ({ input }) =>
      `SearchDatasets request cannot specify more than ${MAX_EXPERIMENTS} experiment_ids. Received ${(input as string[]).length} experiment_ids.`,
  })
  .pipe(experimentIds.unwrap());

export const DatasetSummary = z.object({
  experiment_id: z.string(),
  name: z.string(),
  digest: z.string(),
  context: z.string().optional(),
});

export type DatasetSummaryRow = { experiment_id: number; name: string; digest: string; context: string | null };

export const toDatasetSummary = (row: DatasetSummaryRow): z.infer<typeof DatasetSummary> => ({
  experiment_id: String(row.experiment_id),
  name: row.name,
  digest: row.digest,
  ...(row.context !== null && { context: row.context }),
});
