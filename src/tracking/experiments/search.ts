import type { Knex } from 'knex';
import { whereVisible } from '../../access/can.ts';
import { visibleIn } from '../../access/grants.ts';
import type { Services } from '../../endpoint.ts';
import { sqlBuilder } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { pythonFloat, pythonRepr } from '../../platform/python.ts';
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

const ORDERINGS = ['=', '!=', '<', '<=', '>', '>='];
const TEXTS = ['=', '!=', 'LIKE', 'ILIKE'];
const COMPARATORS = "{'!=', '=', 'LIKE', 'ILIKE', 'IN', 'NOT IN'}";

type Term = { type: 'attribute' | 'tag'; key: string; comparator: string; value: string | string[] };

export type ExperimentSearch = {
  stages: string[];
  filter?: string | undefined;
  order_by: string[];
  max_results: number;
  page_token?: string | undefined;
};

/** Finds experiments, the newest first unless told otherwise. */
export async function searchExperiments(
  { db, scope: { id: scope }, caller }: Pick<Services, 'db' | 'scope' | 'caller'>,
  search: ExperimentSearch,
): Promise<{ rows: ExperimentRow[]; nextPageToken: string | null }> {
  const terms = parseFilter(search.filter, toTerm);
  const query = sqlBuilder('experiments as e')
    .select(sqlBuilder.raw(EXPERIMENT_COLUMNS))
    .where('e.scope_id', scope)
    .whereRaw('e.lifecycle_stage = any (?)', [search.stages]);
  for (const term of terms) whereTerm(query, term);
  whereVisible(query, 'e.experiment_id::text', visibleIn(caller, { id: scope }, 'experiment'));
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

/** Resolves a clause but for what its comparator may be. Throws INVALID_PARAMETER_VALUE for a value of the wrong kind. */
function toTerm({ identifier, comparator, value }: FilterClause): Term {
  const { type, key } = identify(identifier);
  return { type, key, comparator, value: type === 'tag' ? tagValue(value) : attributeValue(key, value) };
}

function tagValue(value: FilterClause['value']): string {
  if (value.kind === 'none') return '';
  if (value.kind !== 'string' && value.kind !== 'identifier') {
    throw invalidParameter(`Expected a quoted string value for tag (e.g. 'my-value'). Got value ${value.text}`);
  }
  return unquote(value.text);
}

function attributeValue(key: string, value: FilterClause['value']): Term['value'] {
  if (value.kind === 'none') {
    throw invalidParameter(`IS NULL / IS NOT NULL is only supported for tags, not for attribute '${key}'`);
  }
  if (NUMERIC.includes(key)) {
    if (value.kind === 'number') return value.text;
    throw invalidParameter(`Expected numeric value type for numeric attribute: ${key}. Found ${value.text}`);
  }
  if (value.kind === 'number' || value.kind === 'other')
    throw invalidParameter(`Expected a quoted string value for attributes. Got value ${value.text}`);
  if (value.kind !== 'list') return unquote(value.text);
  if (key === 'experiment_id') return value.items;
  throw invalidParameter("Only ['experiment_id'] attributes support comparison with a list of quoted string values.");
}

function whereTerm(query: Knex.QueryBuilder, { type, key, comparator, value }: Term): void {
  if (type === 'attribute') {
    whereCompares(query, COLUMNS[key] ?? '', comparator, comparedWith(key, comparator, value));
    return;
  }
  const nulls = comparator === 'IS NULL' || comparator === 'IS NOT NULL';
  if (!nulls && !TEXTS.includes(comparator)) throw invalidParameter(`Invalid comparator for tag: ${comparator}`);
  const tag = sqlBuilder('experiment_tags as t').whereRaw('t.experiment_id = e.experiment_id').where('t.key', key);
  if (!nulls) whereCompares(tag, 't.value', comparator, value);
  whereFinds(query, tag, { none: comparator === 'IS NULL' });
}

/** What an attribute's column is compared with. Throws INVALID_PARAMETER_VALUE for a comparator that the attribute does not have. */
function comparedWith(key: string, comparator: string, value: Term['value']): string | number | number[] {
  const isList = Array.isArray(value);
  if (key === 'experiment_id') {
    if ((isList ? ['IN', 'NOT IN'] : ['=', '!=']).includes(comparator)) return isList ? value.map(toId) : toId(value);
    throw invalidParameter(`Invalid comparator for experiment_id: ${comparator}`);
  }
  if (isList) throw new Error(`a list for ${key}`);
  if (!NUMERIC.includes(key)) {
    if (TEXTS.includes(comparator)) return value;
    throw invalidParameter(`Invalid comparator '${comparator}' not one of '${COMPARATORS}'`);
  }
  // The stock server lists the comparators of texts here, and leaves the last quote out.
  if (!ORDERINGS.includes(comparator)) throw invalidParameter(`Invalid comparator '${comparator}' not one of '${COMPARATORS}`);
  if (!/^-?\d+$/.test(value))
    throw invalidParameter(`Invalid value for numeric attribute '${key}': ${pythonRepr(pythonFloat(Number(value)))}`);
  return Math.max(Math.min(Number(value), Number.MAX_SAFE_INTEGER), Number.MIN_SAFE_INTEGER);
}

function toId(text: string): number {
  const id = parseExperimentId(text);
  if (id === null) throw invalidParameter(badExperimentId(text));
  return id;
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
