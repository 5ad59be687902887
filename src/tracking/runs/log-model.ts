import { type Db, run, statement } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { parseExactJson, stringifyExactJson } from '../../platform/json.ts';
import { ACTIVE_RUN } from './columns.ts';
import type { RunKey } from './entity.ts';
import { inactiveRun } from './store.ts';

/** The tag with the list of models a 1.x or 2.x client logged (mlflow/utils/mlflow_tags.py, MLFLOW_LOGGED_MODELS). */
const HISTORY_TAG = 'mlflow.log-model.history';

const REQUIRED = ['artifact_path', 'flavors', 'utc_time_created', 'run_id'];

type Entry = Record<string, unknown>;
const isEntry = (value: unknown): value is Entry => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What the history keeps of a model's MLmodel file (mlflow/models/model.py, get_tags_dict). Throws INVALID_PARAMETER_VALUE for what is no such file. */
export function toHistoryEntry(modelJson: string): Entry {
  let model: unknown;
  try {
    model = parseExactJson(modelJson);
  } catch {
    throw invalidParameter(`Malformed model info. \n ${modelJson.slice(0, 1000)} \n is not a valid JSON.`);
  }
  if (!isEntry(model)) throw invalidParameter('Malformed model info. It must be a JSON object.');
  const missing = REQUIRED.filter((field) => !Object.hasOwn(model, field));
  if (missing.length > 0) {
    throw invalidParameter(`Model json is missing mandatory fields: {${missing.map((field) => `'${field}'`).join(', ')}}`);
  }
  if (!isEntry(model.flavors)) throw invalidParameter("Malformed model info. Its 'flavors' must be a JSON object.");
  const { run_id, artifact_path, utc_time_created, model_uuid = null, flavors } = model;
  const bare = Object.entries(flavors).map(([flavor, settings]) => {
    if (!isEntry(settings)) return [flavor, settings];
    const { config: _, ...rest } = settings;
    return [flavor, rest];
  });
  return { run_id, artifact_path, utc_time_created, model_uuid, flavors: Object.fromEntries(bare) };
}

const ascii = (value: unknown) =>
  stringifyExactJson(value).replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** JSON as Python's json.dumps writes it: spaces after commas and colons, ASCII only. */
function pythonDumps(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonDumps).join(', ')}]`;
  if (!isEntry(value)) return ascii(value);
  const fields = Object.entries(value).map(([key, item]) => `${ascii(key)}: ${pythonDumps(item)}`);
  return `{${fields.join(', ')}}`;
}

// Text is joined, not JSON: reading and printing it again would change numbers and the order of keys.
const APPEND_TO_HISTORY = statement(
  'append_to_model_history',
  `with run as (${ACTIVE_RUN})
   insert into run_tags as old (run_id, key, value) select run_id, '${HISTORY_TAG}', '[' || :entry || ']' from run
   on conflict (run_id, key) do update
     set value = case when old.value ~ '^\\[.*\\S.*\\]$' then left(old.value, -1) || ', ' || substr(excluded.value, 2) else excluded.value end
   returning run_id`,
);

/** Adds a model to the run's history tag; two at once are both kept. Throws as `deleteRunTag` for an unknown or deleted run. */
export async function recordLoggedModel(db: Db, key: RunKey, entry: Entry): Promise<void> {
  const rows = await run(db, APPEND_TO_HISTORY, { ...key, entry: pythonDumps(entry) });
  if (rows.length === 0) throw await inactiveRun(db, key);
}
