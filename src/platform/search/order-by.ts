import { invalidParameter } from '../errors.ts';

/** One part of a dotted name. */
const PART = '(?:[\\p{L}_][\\w$#@\\p{L}]*|`[^`]*`|"[^"]*")';
const CLAUSE = new RegExp(`^(${PART}(?:\\.(?:${PART}|[\\w$#@]+)?)*)(?:\\s+(\\S+))?$`, 'u');

/** One entry of `order_by`: the key as it was written, without the direction. */
export type OrderBy = { key: string; descending: boolean };

/** Reads `key [ASC|DESC]`, the direction in any case. Throws MLflow's sentences for anything else. */
export function parseOrderBy(clause: string): OrderBy {
  const [, key, word] = CLAUSE.exec(clause) ?? [];
  if (!key || /[,;]/.test(word ?? '')) throw invalidParameter(`Invalid order_by clause '${clause}'. Could not be parsed.`);
  const direction = word?.toLowerCase();
  if (direction !== undefined && direction !== 'asc' && direction !== 'desc') {
    throw invalidParameter(`Invalid ordering key in order_by clause '${clause}'.`);
  }
  return { key, descending: direction === 'desc' };
}
