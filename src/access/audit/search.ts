import type { Knex } from 'knex';
import { invalidParameter } from '../../platform/errors.ts';
import { whereCompares } from '../../platform/search/compare.ts';
import { type FilterClause, parseFilter, trimKey, unquote } from '../../platform/search/parse-filter.ts';

/** What may stand in a filter. */
const TEXTS = ['actor', 'on_behalf_of', 'via', 'op', 'outcome', 'scope', 'resource_type', 'resource', 'version', 'client', 'request_id'];
const NUMBERS = ['timestamp', 'event_id'];

const TEXT_COMPARATORS = ['=', '!=', 'LIKE', 'ILIKE', 'IN', 'NOT IN'];
const NUMBER_COMPARATORS = ['=', '!=', '<', '<=', '>', '>='];

export type EventFilter = { key: string; comparator: string; value: string | number | string[] }[];

/**
 * Reads a filter in MLflow's grammar, such as `actor = 'ann' AND op LIKE 'model_version.%' AND timestamp >= 1700000000000`; a time may be a text too, as
 * `'2026-11-21T09:00:00Z'`. Throws INVALID_PARAMETER_VALUE.
 */
export const readEventFilter = (filter: string | undefined): EventFilter => parseFilter(filter, toTerm);

function toTerm({ identifier, comparator, value }: FilterClause): EventFilter[number] {
  const key = trimKey(identifier.replace(/^attributes?\./, ''));
  const isNumber = NUMBERS.includes(key);
  if (!isNumber && !TEXTS.includes(key))
    throw invalidParameter(`Invalid attribute key '${key}' specified. Valid keys are: ${[...TEXTS, ...NUMBERS].join(', ')}.`);
  if (!(isNumber ? NUMBER_COMPARATORS : TEXT_COMPARATORS).includes(comparator))
    throw invalidParameter(`Invalid comparator for attribute '${key}': ${comparator}`);
  if (isNumber) return { key, comparator, value: toNumber(key, value) };
  const isList = comparator === 'IN' || comparator === 'NOT IN';
  if (isList !== (value.kind === 'list') || (value.kind !== 'list' && value.kind !== 'string' && value.kind !== 'identifier'))
    throw invalidParameter(
      `Expected ${isList ? 'a list of quoted string values' : 'a quoted string value'} for '${key}'. Got value ${value.text}`,
    );
  return { key, comparator, value: value.kind === 'list' ? value.items : unquote(value.text) };
}

function toNumber(key: string, { kind, text }: FilterClause['value']): number {
  const number = kind === 'number' ? Number(text) : key === 'timestamp' && kind === 'string' ? Date.parse(unquote(text)) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  throw invalidParameter(
    `Invalid value for '${key}': ${text}. Give a whole number${key === 'timestamp' ? " of milliseconds, or '2026-11-21T09:00:00Z'" : ''}.`,
  );
}

/** Adds a filter to a query of `audit_events e`. */
export function whereEvents(query: Knex.QueryBuilder, filter: EventFilter): void {
  for (const { key, comparator, value } of filter) whereCompares(query, `e.${key}`, comparator, value);
}
