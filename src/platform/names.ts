import { z } from 'zod';
import { invalidParameter } from './errors.ts';
import { checkedBy } from './fields.ts';
import { normpath, pythonRepr, shownJson } from './python.ts';

const MAX_TAG_KEY_LENGTH = 250;

/** Throws when `name`, read as a file's path, would be another one (mlflow/utils/validation.py, path_not_unique). */
export function refusePathLike(parameter: string, name: string): void {
  const normal = normpath(name);
  if (normal === name && normal !== '.' && !normal.startsWith('..') && !normal.startsWith('/')) return;
  throw invalidParameter(
    `Invalid value ${shownJson(name)} for parameter '${parameter}' supplied: Names may be treated as files in certain cases, and must not resolve to other names` +
      ` when treated as such. This name would resolve to ${pythonRepr(normal)}`,
  );
}

/** Throws for line breaks, tabs and the like in a name: nobody can see them, or type them again. */
export function refuseControlCharacters(parameter: string, name: string): void {
  if (!/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) return;
  throw invalidParameter(
    `Invalid value ${shownJson(name)} for parameter '${parameter}' supplied: Names must not contain control characters such as line breaks and tabs.`,
  );
}

/** The one rule for keys of tags and params and names of metrics (mlflow/utils/validation.py, _validate_tag_name and its siblings; a newline at the end is refused too). */
export function checkKey(parameter: string, key: string): void {
  if (!/^[/\w.\- :\p{L}\p{N}]*$/u.test(key)) {
    throw invalidParameter(
      `Invalid value ${shownJson(key)} for parameter '${parameter}' supplied: Names may only contain alphanumerics, underscores (_), dashes (-), periods (.),` +
        ' spaces ( ), colon(:) and slashes (/).',
    );
  }
  refusePathLike(parameter, key);
}

/** Throws MLflow's sentence for a text that is too long; `limit` is in characters. */
export function checkLength(parameter: string, limit: number, text: string): void {
  if (text.length > limit && [...text].length > limit)
    throw invalidParameter(`'${parameter}' exceeds the maximum length of ${limit} characters`);
}

/** The key of a tag that may be there; one to be set is `tagKey`. */
export const knownTagKey = z
  .string()
  .min(1)
  .pipe(checkedBy((key) => checkKey('key', key)));

/** A registry or experiment tag's key. */
export const tagKey = knownTagKey.pipe(checkedBy((key) => checkLength('key', MAX_TAG_KEY_LENGTH, key)));

/** Tags of a create call: a key given twice keeps its last value (as the stock server's dict does). */
export function lastValues(tags: { key: string; value: string }[]): { keys: string[]; values: string[] } {
  const last = new Map(tags.map(({ key, value }) => [key, value]));
  return { keys: [...last.keys()], values: [...last.values()] };
}
