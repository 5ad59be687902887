import type { Knex } from 'knex';
import { type Db, sqlBuilder } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { pythonRepr } from '../../platform/python.ts';
import { whereCompares, whereFinds } from '../../platform/search/compare.ts';
import { parseOrderBy } from '../../platform/search/order-by.ts';
import { fetchPage, type Sort } from '../../platform/search/page.ts';
import { type FilterClause, parseFilter, trimKey, unquote } from '../../platform/search/parse-filter.ts';
import { badExperimentId, type ExperimentRow, parseExperimentId } from './entity.ts';
import { EXPERIMENT_COLUMNS } from './store.ts';

/** What may stand in filter and order_by (mlflow/utils/search_utils.py, SearchExperimentsUtils). */
const COLUMNS: Record<string, string> = {
  name: 'e.name',
  experiment_id: 'e.experiment_id',
  creation_time: 'e.creation_time',
  last_update_time: 'e.last_update_time',
};
const NUMERIC = ['creation_time', 'last_update_time'];

type Term = { type: 'attribute' | 'tag'; key: string; comparator: string; value: string | number | (string | number)[] };

export type ExperimentSearch = {
  stages: string[];
  filter?: string | undefined;
  order_by: string[];
  max_results: number;
  page_token?: string | undefined;
};

/** Finds experiments, the newest first unless told otherwise. */
export async function searchExperiments(
  db: Db,
  scope: number,
  search: ExperimentSearch,
): Promise<{ rows: ExperimentRow[]; nextPageToken: string | null }> {
  const terms = parseFilter(search.filter).map(toTerm);
  const query = sqlBuilder('experiments as e')
    .select(sqlBuilder.raw(EXPERIMENT_COLUMNS))
    .where('e.scope_id', scope)
    .whereRaw('e.lifecycle_stage = any (?)', [search.stages]);
  for (const term of terms) whereTerm(query, term);
  return fetchPage<ExperimentRow>(db, query, {
    sorts: sortsOf(search.order_by.length > 0 ? search.order_by : ['creation_time DESC', 'experiment_id ASC']),
    limit: search.max_results,
    pageToken: search.page_token,
    fingerprint: ['experiments', scope, search.stages, search.filter ?? '', search.order_by],
  });
}

function identify(identifier: string): { type: 'attribute' | 'tag'; key: string } {
  const dot = identifier.indexOf('.');
  const entity = dot < 0 ? 'attribute' : identifier.slice(0, dot);
  const key = trimKey(identifier.slice(dot + 1));
  if (entity === 'tag' || entity === 'tags') return { type: 'tag', key };
  if (entity !== 'attribute') {
    throw invalidParameter(`Invalid entity type '${entity}'. Valid entity types are ('attribute', 'tag', 'tags')`);
  }
  if (!Object.hasOwn(COLUMNS, key)) {
    const valid = Object.keys(COLUMNS).map((name) => `'${name}'`);
    throw invalidParameter(`Invalid attribute key '${key}' specified. Valid keys are '{${valid.join(', ')}}'`);
  }
  return { type: 'attribute', key };
}

function toTerm(clause: FilterClause): Term {
  const { type, key } = identify(clause.identifier);
  const { comparator } = clause;
  const value = type === 'tag' ? tagValue(clause) : attributeValue(key, clause);
  return { type, key, comparator, value };
}

function tagValue({ value, comparator }: FilterClause): string {
  if (value.kind === 'none') return '';
  if (value.kind !== 'string' && value.kind !== 'identifier') {
    throw invalidParameter(`Expected a quoted string value for tag (e.g. 'my-value'). Got value ${value.text}`);
  }
  const text = unquote(value.text);
  if (!['=', '!=', 'LIKE', 'ILIKE'].includes(comparator)) throw invalidParameter(`Invalid comparator for tag: ${comparator}`);
  return text;
}

function attributeValue(key: string, { value, comparator }: FilterClause): Term['value'] {
  if (value.kind === 'none') {
    throw invalidParameter(`IS NULL / IS NOT NULL is only supported for tags, not for attribute '${key}'`);
  }
  if (NUMERIC.includes(key)) return numericValue(key, value, comparator);
  if (value.kind === 'number') throw invalidParameter(`Expected a quoted string value for attributes. Got value ${value.text}`);
  if (value.kind === 'list' && key !== 'experiment_id') {
    throw invalidParameter("Only ['experiment_id'] attributes support comparison with a list of quoted string values.");
  }
  const items = value.kind === 'list' ? value.items : [unquote(value.text)];
  const isList = value.kind === 'list';
  if (key === 'experiment_id') {
    if (!(isList ? ['IN', 'NOT IN'] : ['=', '!=']).includes(comparator)) {
      throw invalidParameter(`Invalid comparator for experiment_id: ${comparator}`);
    }
    const ids = items.map(toId);
    return isList ? ids : (ids[0] ?? 0);
  }
  if (!['=', '!=', 'LIKE', 'ILIKE'].includes(comparator)) throw badComparator(comparator);
  return items[0] ?? '';
}

function numericValue(key: string, value: FilterClause['value'], comparator: string): number {
  if (value.kind !== 'number') {
    throw invalidParameter(`Expected numeric value type for numeric attribute: ${key}. Found ${value.text}`);
  }
  if (!['=', '!=', '<', '<=', '>', '>='].includes(comparator)) throw badComparator(comparator);
  if (!/^-?\d{1,18}$/.test(value.text)) throw invalidParameter(`Invalid value for numeric attribute '${key}': ${pythonRepr(value.text)}`);
  return Number(value.text);
}

// The stock server lists these for numeric attributes as well.
const badComparator = (comparator: string) =>
  invalidParameter(`Invalid comparator '${comparator}' not one of '{'!=', '=', 'LIKE', 'ILIKE', 'IN', 'NOT IN'}'`);

function toId(text: string): number {
  const id = parseExperimentId(text);
  if (id === null) throw invalidParameter(badExperimentId(text));
  return id;
}

function whereTerm(query: Knex.QueryBuilder, { type, key, comparator, value }: Term): void {
  if (type === 'attribute') {
    whereCompares(query, COLUMNS[key] ?? '', comparator, value as string | number | string[]);
    return;
  }
  const tag = sqlBuilder('experiment_tags as t').whereRaw('t.experiment_id = e.experiment_id').where('t.key', key);
  if (comparator !== 'IS NULL' && comparator !== 'IS NOT NULL') whereCompares(tag, 't.value', comparator, value as string);
  whereFinds(query, tag, { none: comparator === 'IS NULL' });
}

function sortsOf(orderBy: string[]): Sort[] {
  const sorts: Sort[] = [];
  for (const clause of orderBy) {
    const { key, descending } = parseOrderBy(clause);
    const field = identify(key);
    if (field.type !== 'attribute') throw invalidParameter(`Invalid order_by entity: ${field.type}`);
    const sql = COLUMNS[field.key] ?? '';
    if (!sorts.some((sort) => sort.sql === sql)) sorts.push({ sql, descending });
  }
  return sorts.some(({ sql }) => sql === 'e.experiment_id') ? sorts : [...sorts, { sql: 'e.experiment_id', descending: true }];
}
