import type { Knex } from 'knex';

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

/** Adds `column comparator value` to a query; values are always bound. */
export function whereCompares(query: Knex.QueryBuilder, column: string, comparator: string, value: string | number | string[]): void {
  if (Array.isArray(value)) {
    query.whereRaw(`${column} ${comparator === 'IN' ? '= any' : '<> all'} (?)`, [value]);
    return;
  }
  const operator = OPERATORS[comparator];
  if (!operator) throw new Error(`no SQL for comparator ${comparator}`);
  query.whereRaw(`${column} ${operator} ?`, [value]);
}
