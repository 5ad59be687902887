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

// Zero-width spaces, soft hyphens, marks of direction. In an emoji two of them change what is seen.
const INVISIBLE = /(?!\u200d|\ufe0f)\p{DI}|(?<!\p{ExtPict}(?:\p{EMod}|\ufe0f)?)(?:\u200d|\ufe0f)/u;

/** Throws for what nobody can see in a name, or type again: line breaks, tabs and the like, invisible characters. */
export function refuseUnseen(parameter: string, name: string): void {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) throw badName(parameter, name, 'contain control characters such as line breaks and tabs');
  if (INVISIBLE.test(name)) throw badName(parameter, name, 'contain invisible characters such as zero-width spaces');
}

/** Throws for a blank at an end of a name. */
export function refuseEdgeBlanks(parameter: string, name: string): void {
  if (/^\s|\s$/.test(name)) throw badName(parameter, name, 'begin or end with a blank');
}

const badName = (parameter: string, name: string, must: string) =>
  invalidParameter(`Invalid value ${shownJson(name)} for parameter '${parameter}' supplied: Names must not ${must}.`);

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
