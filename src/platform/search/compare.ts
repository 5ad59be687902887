import type { Knex } from 'knex';
import { sqlBuilder } from '../db/database.ts';
import { invalidParameter } from '../errors.ts';

/** SQL of MLflow's comparators. LIKE is SQL's own, with backslash as escape. */
const OPERATORS: Record<string, string> = {
  '=': '=',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  LIKE: 'like',
  ILIKE: 'ilike',
};

/** Adds `column comparator value` to a query; values are always bound. Throws INVALID_PARAMETER_VALUE for a pattern that ends in an escape. */
export function whereCompares(
  query: Knex.QueryBuilder,
  column: string,
  comparator: string,
  value: string | number | string[] | number[],
): void {
  if (Array.isArray(value)) {
    query.whereRaw(`${column} ${comparator === 'IN' ? '= any' : '<> all'} (?)`, [value]);
    return;
  }
  if (comparator.endsWith('LIKE') && /(?<!\\)(?:\\\\)*\\$/.test(String(value))) {
    throw invalidParameter(
      `Invalid pattern '${value}' for ${comparator}: it ends with a backslash, which escapes the character after it. Write two.`,
    );
  }
  const operator = OPERATORS[comparator];
  if (!operator) throw new Error(`no SQL for comparator ${comparator}`);
  query.whereRaw(`${column} ${operator} ?`, [value]);
}

/** As `whereCompares` on `t.value` of a table of tags `t`. Its index has the hash of values, which may be too long for it. */
export function whereTagCompares(tag: Knex.QueryBuilder, comparator: string, value: string | number | string[]): void {
  if (comparator === '=') tag.whereRaw('md5(t.value) = md5(?::text)', [value as string]);
  whereCompares(tag, 't.value', comparator, value);
}

const MAX_JOINS = 8;
const joined = new WeakMap<Knex.QueryBuilder, number>();

/**
 * Adds the condition that `found`, which refers to the row of `query`, finds a row (or none). The first few are EXISTS, which PostgreSQL makes joins
 * of, so that an index on a rare tag leads; with a hundred it would plan for a minute, so the others are probed row by row.
 */
export function whereFinds(query: Knex.QueryBuilder, found: Knex.QueryBuilder, { none = false } = {}): void {
  const joins = joined.get(query) ?? 0;
  joined.set(query, joins + 1);
  if (joins < MAX_JOINS) query[none ? 'whereNotExists' : 'whereExists'](found);
  else query.whereRaw(`(?) ${none ? 'is null' : ''}`, [found.select(sqlBuilder.raw('true')).limit(1)]);
}
