import { IS_PROMPT_TAG } from '../registered-models/entity.ts';

type Tags = { key: string; value: string }[];

// As mlflow/prompt/constants.py names them.
const TYPE_TAG = '_mlflow_prompt_type';
const TEXT_TAG = 'mlflow.prompt.text';

/** A creation is a prompt's when the request's own tags say so (mlflow/server/handlers.py, _is_prompt_request); of a key given twice the last counts. */
const makesPrompt = (tags: Tags) => tags.findLast(({ key }) => key === IS_PROMPT_TAG)?.value.toLowerCase() === 'true';

const valuesOf = (tags: Tags, leftOut: string[] = []) =>
  Object.fromEntries(tags.filter(({ key }) => !leftOut.includes(key)).map(({ key, value }) => [key, value]));

/** The event of a new registered model or prompt, with the data the stock server sends. */
export function modelCreated(input: { name: string; tags: Tags; description: string }) {
  const { name, tags, description } = input;
  return makesPrompt(tags)
    ? { event: 'prompt.created' as const, data: { name, tags: valuesOf(tags, [IS_PROMPT_TAG, TYPE_TAG]), description } }
    : { event: 'registered_model.created' as const, data: { name, tags: valuesOf(tags), description } };
}

/** The event of a new version of a model or prompt. */
export function versionCreated(
  input: { name: string; tags: Tags; description: string },
  made: { version: string; source: string; run_id: string },
) {
  const { name, tags } = input;
  const { version, source } = made;
  const description = input.description || null;
  if (!makesPrompt(tags)) {
    const data = { name, version, source, run_id: made.run_id || null, tags: valuesOf(tags), description };
    return { event: 'model_version.created' as const, data };
  }
  const template = tags.findLast(({ key }) => key === TEXT_TAG)?.value ?? null;
  const data = { name, version, template, tags: valuesOf(tags, [IS_PROMPT_TAG, TYPE_TAG, TEXT_TAG]), description };
  return { event: 'prompt_version.created' as const, data };
}
