import { invalidParameter } from '../errors.ts';

/** One entry of `order_by`: the key as it was written, without the direction. */
export type OrderBy = { key: string; descending: boolean };

/** Reads `key [ASC|DESC]`, the direction in any case. Throws MLflow's sentences for anything else. */
export function parseOrderBy(clause: string): OrderBy {
  const text = clause.trim();
  if (text === '' || /[,;]/.test(text) || text.split(/\s+/).length > 2)
    throw invalidParameter(`Invalid order_by clause '${clause}'. Could not be parsed.`);
  const match = /^((?:`[^`]*`|"[^"]*"|[^\s`"])+)(?:\s+(\S+))?$/s.exec(text);
  const direction = match?.[2]?.toLowerCase();
  if (!match?.[1] || (direction !== undefined && direction !== 'asc' && direction !== 'desc')) {
    throw invalidParameter(`Invalid ordering key in order_by clause '${clause}'.`);
  }
  return { key: match[1], descending: direction === 'desc' };
}
