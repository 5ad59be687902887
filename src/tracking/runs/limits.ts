// Lengths in characters, and entries of one batch (mlflow/utils/validation.py).
export const MAX_KEY_LENGTH = 250;
export const MAX_PARAM_VALUE_LENGTH = 6000;
export const MAX_TAG_VALUE_LENGTH = 8000;
export const MAX_METRICS_PER_BATCH = 1000;
export const MAX_PARAMS_TAGS_PER_BATCH = 100;
export const MAX_ENTITIES_PER_BATCH = 1000;

/** A text cut to `limit` characters, never in the middle of one. */
export const truncate = (text: string, limit: number): string => (text.length <= limit ? text : [...text].slice(0, limit).join(''));
