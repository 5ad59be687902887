import type { EventName } from './events.ts';

const model = { name: 'example_model' };
const prompt = { name: 'example_prompt' };
const version = { version: '1' };
const alias = { alias: 'example_alias' };
const key = { key: 'example_key' };
const value = { value: 'example_value' };
const tags = { tags: { example_key: 'example_value' } };

/** What the `test` call sends (mlflow/webhooks/types.py, the payloads' `example`). */
export const EXAMPLE_DATA: Record<EventName, Record<string, unknown>> = {
  'registered_model.created': { ...model, ...tags, description: 'An example registered model' },
  'model_version.created': {
    ...model,
    ...version,
    source: 'models:/123',
    run_id: 'abcd1234abcd5678',
    ...tags,
    description: 'An example model version',
  },
  'model_version_tag.set': { ...model, ...version, ...key, ...value },
  'model_version_tag.deleted': { ...model, ...version, ...key },
  'model_version_alias.created': { ...model, ...alias, ...version },
  'model_version_alias.deleted': { ...model, ...alias },
  'prompt.created': { ...prompt, ...tags, description: 'An example prompt' },
  'prompt_version.created': {
    ...prompt,
    ...version,
    template: 'Hello {{name}}!',
    ...tags,
    description: 'An example prompt version',
  },
  'prompt_tag.set': { ...prompt, ...key, ...value },
  'prompt_tag.deleted': { ...prompt, ...key },
  'prompt_version_tag.set': { ...prompt, ...version, ...key, ...value },
  'prompt_version_tag.deleted': { ...prompt, ...version, ...key },
  'prompt_alias.created': { ...prompt, ...alias, ...version },
  'prompt_alias.deleted': { ...prompt, ...alias },
  'budget_policy.exceeded': {
    budget_policy_id: 'bp-abc123',
    budget_unit: 'USD',
    budget_amount: 100,
    current_spend: 105.5,
    duration_unit: 'MONTHS',
    duration_value: 1,
    target_scope: 'ENDPOINT',
    workspace: 'default',
    target_value: 'ep-abc123',
    window_start: 1704067200000,
  },
};
