import type { Db } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import type { Int64 } from '../../platform/json.ts';
import { checkLength } from '../../platform/names.ts';
import type { ExperimentKey } from '../experiments/entity.ts';
import { checkRunName, RUN_NAME_TAG, type RunRow } from './entity.ts';
import { MAX_KEY_LENGTH, MAX_TAG_VALUE_LENGTH } from './limits.ts';
import { generateRunName } from './run-name.ts';
import { insertRun } from './store.ts';

const MAX_USER_LENGTH = 256;

/**
 * Starts a run under the name it is given, as an argument or as tag, or under a made-up one. The keys of its tags are not checked, only their lengths
 * are (mlflow/store/tracking/sqlalchemy_store.py, create_run). Throws as `insertRun`.
 */
export async function createRun(
  db: Db,
  key: ExperimentKey,
  input: { run_name: string; user_id: string; start_time: Int64; tags: { key: string; value: string }[] },
): Promise<RunRow> {
  const nameTag = input.tags.findLast((tag) => tag.key === RUN_NAME_TAG)?.value ?? '';
  if (input.run_name && nameTag && input.run_name !== nameTag) {
    throw invalidParameter(
      `Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='${input.run_name}', mlflow.runName='${nameTag}').`,
    );
  }
  const name = input.run_name || nameTag || generateRunName();
  checkRunName(name);
  checkLength('user_id', MAX_USER_LENGTH, input.user_id);
  for (const tag of input.tags) {
    checkLength('key', MAX_KEY_LENGTH, tag.key);
    checkLength('value', MAX_TAG_VALUE_LENGTH, tag.value);
  }
  return insertRun(db, key, { name, userId: input.user_id, startTime: input.start_time, tags: input.tags });
}
