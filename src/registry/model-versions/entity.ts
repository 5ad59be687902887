import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy } from '../../platform/fields.ts';
import { checkLength } from '../../platform/names.ts';
import { pythonInt } from '../../platform/python.ts';

const MAX_TAG_VALUE_LENGTH = 100_000;
const PROMPT_TEXT_TAG = 'mlflow.prompt.text';
const MAX_SOURCE_LENGTH = 500;

/** MLflow's stages in their own spelling (mlflow/entities/model_registry/model_version_stages.py). */
export const STAGES = ['None', 'Staging', 'Production', 'Archived'] as const;

/** The number of a version as clients write it: whatever Python's int() takes. Clamped to 2^53: no version has such a number. */
export const integerVersion = z.string().transform((text, context) => {
  const number = pythonInt(text);
  if (number === null) {
    context.issues.push({ code: 'custom', message: `Parameter 'version' must be an integer, got '${text}'.`, input: text });
    return z.NEVER;
  }
  return Math.min(Number(number), Number.MAX_SAFE_INTEGER);
});

export const versionNumber = z.string().min(1).pipe(integerVersion);

/** A stage in its own spelling, whatever case it came in. Throws MLflow's sentence for anything else. */
export function canonicalStage(stage: string): (typeof STAGES)[number] {
  const found = STAGES.find((candidate) => candidate.toLowerCase() === stage.toLowerCase());
  if (!found) throw invalidParameter(`Invalid Model Version stage: ${stage}. Value must be one of ${STAGES.join(', ')}.`);
  return found;
}

/** Refuses a tag whose value is too long; a prompt's text is told by its name (mlflow/utils/validation.py, _validate_model_version_tag). */
export function checkTagValue({ value: { key, value }, issues }: z.core.ParsePayload<{ key: string; value: string }>): void {
  const tooLong = value.length > MAX_TAG_VALUE_LENGTH && [...value].length > MAX_TAG_VALUE_LENGTH;
  if (!tooLong) return;
  const message =
    key === PROMPT_TEXT_TAG
      ? `Prompt text exceeds max length of ${MAX_TAG_VALUE_LENGTH} characters.`
      : `'value' exceeds the maximum length of ${MAX_TAG_VALUE_LENGTH} characters`;
  issues.push({ code: 'custom', message, input: value });
}

/** What a stock client sends as source: it may be empty, which is refused only when it is known what to clean up (trap T3). */
export const createdSource = checkedBy((source) => checkLength('source', MAX_SOURCE_LENGTH, source));
export const sourceUri = z.string().min(1).pipe(createdSource);
export const runLink = checkedBy((link) => checkLength('run_link', MAX_SOURCE_LENGTH, link));

export const ModelVersion = z.object({
  name: z.string(),
  version: z.string(),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
  current_stage: z.enum(STAGES),
  description: z.string().optional(),
  source: z.string(),
  run_id: z.string(),
  run_link: z.string(),
  status: z.enum(['PENDING_REGISTRATION', 'FAILED_REGISTRATION', 'READY']),
  status_message: z.string().optional(),
  tags: z.array(z.object({ key: z.string(), value: z.string() })).optional(),
  aliases: z.array(z.string()).optional(),
});

export type ModelVersionRow = {
  name: string;
  version: number;
  creation_timestamp: number;
  last_updated_timestamp: number;
  current_stage: (typeof STAGES)[number];
  description: string | null;
  source: string;
  run_id: string;
  run_link: string;
  status: 'PENDING_REGISTRATION' | 'FAILED_REGISTRATION' | 'READY';
  status_message: string | null;
  tags: { key: string; value: string }[] | null;
  aliases: string[] | null;
};

export const toModelVersion = (row: ModelVersionRow): z.infer<typeof ModelVersion> => ({
  name: row.name,
  version: String(row.version),
  creation_timestamp: row.creation_timestamp,
  last_updated_timestamp: row.last_updated_timestamp,
  current_stage: row.current_stage,
  ...(row.description !== null && { description: row.description }),
  source: row.source,
  run_id: row.run_id,
  run_link: row.run_link,
  status: row.status,
  ...(row.status_message !== null && { status_message: row.status_message }),
  ...(row.tags && { tags: row.tags }),
  ...(row.aliases && { aliases: row.aliases }),
});
