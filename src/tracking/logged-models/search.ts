import type { Knex } from 'knex';
import { type Db, sqlBuilder } from '../../platform/db/database.ts';
import { attributeNotFound, invalidParameter } from '../../platform/errors.ts';
import { pythonRepr } from '../../platform/python.ts';
import { whereCompares, whereFinds } from '../../platform/search/compare.ts';
import { fetchPage, type Sort } from '../../platform/search/page.ts';
import { type FilterClause, type FilterValue, parseFilter, trimKey, unquote } from '../../platform/search/parse-filter.ts';
import { type LoggedModelRow, STATUSES } from './entity.ts';
import { LOGGED_MODEL_COLUMNS } from './store.ts';

const STATUS_NUMBER = `array_position(array[${STATUSES.map((name) => `'${name}'`).join(', ')}], l.status) - 1`;

/** What may stand in filter and order_by (mlflow/store/tracking/dbmodels/models.py, SqlLoggedModel); `sql` is what is compared. */
const ATTRIBUTES: Record<string, { sql: string; sort?: string; numeric?: boolean; status?: boolean; nullable?: boolean }> = {
  model_id: { sql: 'l.model_id' },
  experiment_id: { sql: 'l.experiment_id::text', sort: 'l.experiment_id' },
  name: { sql: 'l.name' },
  artifact_location: { sql: 'l.artifact_uri' },
  creation_timestamp_ms: { sql: 'l.creation_timestamp_ms::double precision', sort: 'l.creation_timestamp_ms', numeric: true },
  last_updated_timestamp_ms: { sql: 'l.last_updated_timestamp_ms::double precision', sort: 'l.last_updated_timestamp_ms', numeric: true },
  status: { sql: STATUS_NUMBER, status: true },
  status_message: { sql: 'l.status_message', nullable: true },
  lifecycle_stage: { sql: 'l.lifecycle_stage' },
  model_type: { sql: 'l.model_type' },
  source_run_id: { sql: 'l.source_run_id' },
};
const ALIASES: Record<string, string> = {
  creation_time: 'creation_timestamp_ms',
  creation_timestamp: 'creation_timestamp_ms',
  last_updated_timestamp: 'last_updated_timestamp_ms',
  artifact_uri: 'artifact_location',
};
const TYPES = ['attributes', 'metrics', 'params', 'tags'] as const;
const NUMERIC_COMPARATORS = ['<', '<=', '>', '>=', '=', '!='];
const STRING_COMPARATORS = ['=', '!=', 'LIKE', 'ILIKE', 'IN', 'NOT IN'];
const STATUS_COMPARATORS = ['=', '!=', 'IN', 'NOT IN'];

/** A data set that metrics were measured on; an empty digest means any. */
type Dataset = { dataset_name: string; dataset_digest: string };

export type LoggedModelSearch = {
  experiment_ids: number[];
  filter?: string | undefined;
  datasets: Dataset[];
  order_by: (Dataset & { field_name: string; ascending: boolean })[];
  max_results: number;
  page_token?: string | undefined;
};

type Field = { type: (typeof TYPES)[number]; key: string };
type Term = Field & { comparator: string; value: string | number | string[] };

/**
 * Finds logged models that are not deleted, the newest first unless told otherwise. Metrics in the filter are those measured on one of the data sets,
 * if any are given; without metrics in the filter a model needs any metric on one of them. Experiments of another scope have none.
 */
export async function searchLoggedModels(
  db: Db,
  scope: number,
  search: LoggedModelSearch,
): Promise<{ rows: LoggedModelRow[]; nextPageToken: string | null }> {
  const terms = parseFilter(search.filter, toTerm, { quoteFilter: true });
  const query = sqlBuilder('logged_models as l')
    .joinRaw('join experiments as e on e.experiment_id = l.experiment_id')
    .select(sqlBuilder.raw(LOGGED_MODEL_COLUMNS))
    .where({ 'e.scope_id': scope, 'l.lifecycle_stage': 'active' });
  const [first, ...others] = search.experiment_ids;
  // One experiment is named so that its index gives the models in order.
  if (first !== undefined && others.length === 0) query.where('l.experiment_id', first);
  else query.whereRaw('l.experiment_id = any (?)', [search.experiment_ids]);
  for (const term of terms) whereTerm(query, term, search.datasets);
  if (search.datasets.length > 0 && !terms.some(({ type }) => type === 'metrics')) whereFinds(query, metricsOn(search.datasets));
  const sorts = sortModels(query, search.order_by);
  return fetchPage<LoggedModelRow>(db, query, {
    sorts,
    limit: search.max_results,
    pageToken: search.page_token,
    fingerprint: ['logged_models', scope, search.experiment_ids, search.filter ?? '', search.datasets, search.order_by],
  });
}

/** The key of an attribute is not checked yet; `written` is how messages name it. */
function identify(identifier: string): Field & { written: string } {
  const [, prefix, rest] = /^([a-z]+)\.(.+)$/.exec(identifier) ?? [];
  if (prefix === undefined || rest === undefined)
    return { type: 'attributes', key: trimKey(identifier), written: `attributes.${resolveAlias(identifier)}` };
  const type = TYPES.find((known) => known === prefix);
  if (!type) throw invalidParameter(`Invalid entity type: '${prefix}'. Expected one of [${TYPES.map((name) => `'${name}'`).join(', ')}].`);
  return { type, key: trimKey(rest), written: `${type}.${rest.replace(/^`+|`+$/g, '')}` };
}

function attributeKey(written: string): string {
  const key = resolveAlias(written);
  if (Object.hasOwn(ATTRIBUTES, key)) return key;
  throw invalidParameter(`Invalid attribute key '${written}' specified. Valid keys are ${pythonTuple(Object.keys(ATTRIBUTES))}`);
}

const resolveAlias = (name: string): string => (Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined) ?? name;
const pythonTuple = (items: readonly string[]) => `(${items.map((item) => `'${item}'`).join(', ')})`;

function toTerm({ identifier, comparator, value }: FilterClause): Term {
  const { type, key: named, written } = identify(identifier);
  const attribute = type === 'attributes' ? ATTRIBUTES[resolveAlias(named)] : undefined;
  const numeric = type === 'metrics' || attribute?.numeric === true;
  const comparators = numeric ? NUMERIC_COMPARATORS : attribute?.status ? STATUS_COMPARATORS : STRING_COMPARATORS;
  if (!comparators.includes(comparator)) {
    throw invalidParameter(`Invalid comparison operator for ${written}: '${comparator}'. Expected one of ${pythonTuple(comparators)}.`);
  }
  const key = type === 'attributes' ? attributeKey(named) : named;
  if (numeric) return { type, key, comparator, value: readNumber(`${type}.${key}`, value) };
  const read = readText(`${type}.${key}`, comparator, value);
  return { type, key, comparator, value: attribute?.status ? toStatusNumber(read) : read };
}

function readNumber(name: string, value: FilterValue): number {
  if (value.kind === 'number') return Number(value.text);
  throw invalidParameter(`Expected a number as value for ${name}. Found ${value.text}`);
}

/** Numbers and words need no quotes here: `params.lr = 0.01`. */
function readText(name: string, comparator: string, value: FilterValue): string | string[] {
  const wantsList = comparator === 'IN' || comparator === 'NOT IN';
  if (wantsList !== (value.kind === 'list')) {
    const wanted = wantsList ? "a list of quoted values, for example ('a', 'b')," : 'one value';
    throw invalidParameter(`Expected ${wanted} after ${comparator} for ${name}. Found ${value.text}`);
  }
  if (value.kind === 'list') return value.items;
  return /^['"]/.test(value.text) ? unquote(value.text) : value.text;
}

/** Filters of the stock server give a status as its number; its name is clearer. */
function toStatusNumber(read: string | string[]): number | string[] {
  if (Array.isArray(read)) return read.map((item) => String(toStatusNumber(item)));
  const number = STATUSES.findIndex((name, i) => [String(i), name, name.replace('LOGGED_MODEL_', '')].includes(read.trim().toUpperCase()));
  if (number >= 0) return number;
  throw invalidParameter(
    `Invalid status ${pythonRepr(read)} in the filter. Expected a number from 0 to 3 or one of ${pythonTuple(STATUSES)}.`,
  );
}

function whereTerm(query: Knex.QueryBuilder, { type, key, comparator, value }: Term, datasets: Dataset[]): void {
  if (type === 'attributes') {
    whereCompares(query, ATTRIBUTES[key]?.sql ?? '', comparator, value);
    return;
  }
  // NaN compares with nothing.
  const found =
    type === 'metrics'
      ? metricsOn(datasets).whereRaw('not x.is_nan')
      : sqlBuilder(type === 'params' ? 'logged_model_params as x' : 'logged_model_tags as x').whereRaw('x.model_id = l.model_id');
  whereCompares(found.where('x.key', key), 'x.value', comparator, value);
  whereFinds(query, found);
}

/** Metrics of a model `l`, measured on one of the data sets if any are given. */
function metricsOn(datasets: Dataset[]): Knex.QueryBuilder {
  const metrics = sqlBuilder('logged_model_metrics as x').whereRaw('x.model_id = l.model_id');
  if (datasets.length === 0) return metrics;
  return metrics.whereRaw(
    `exists (select from unnest(?::text[], ?::text[]) as d (name, digest) where d.name = x.dataset_name and d.digest in ('', x.dataset_digest))`,
    [datasets.map(({ dataset_name }) => dataset_name), datasets.map(({ dataset_digest }) => dataset_digest)],
  );
}

/** Models without a value, or with NaN, come last in either direction; ties are broken by creation, the latest first, then by id. */
function sortModels(query: Knex.QueryBuilder, orderBy: LoggedModelSearch['order_by']): Sort[] {
  const sorts = orderBy.flatMap((entry, i) => {
    const descending = !entry.ascending;
    return entry.field_name.includes('.') ? metricSorts(query, `latest_${i}`, entry) : attributeSorts(entry.field_name, descending);
  });
  const missing = [
    { sql: 'l.creation_timestamp_ms', descending: true },
    { sql: 'l.model_id', descending: false },
  ].filter(({ sql }) => !sorts.some((sort) => sort.sql === sql));
  return [...sorts, ...missing];
}

function attributeSorts(name: string, descending: boolean): Sort[] {
  const key = resolveAlias(name);
  const attribute = Object.hasOwn(ATTRIBUTES, key) ? ATTRIBUTES[key] : undefined;
  if (!attribute) throw attributeNotFound(`Invalid order by field name: ${name}`);
  const sql = attribute.sort ?? attribute.sql;
  if (!attribute.nullable) return [{ sql, descending }];
  return [
    { sql: `(${sql} is null)::int`, descending: false },
    { sql: `coalesce(${sql}, '')`, descending },
  ];
}

function metricSorts(query: Knex.QueryBuilder, name: string, entry: LoggedModelSearch['order_by'][number]): Sort[] {
  const key = /^metrics\.(.*)$/s.exec(entry.field_name)?.[1];
  if (key === undefined) throw invalidParameter(`Invalid order by field name: ${entry.field_name}. Only metrics are supported.`);
  query.joinRaw(
    `left join lateral (
       select x.value, x.is_nan from logged_model_metrics x
       where x.model_id = l.model_id and x.key = :key and :dataset_name in ('', x.dataset_name) and :dataset_digest in ('', x.dataset_digest)
       order by x.timestamp desc, x.step desc, x.run_id, x.dataset_name, x.dataset_digest
       limit 1) as ${name} on true`,
    { key, dataset_name: entry.dataset_name, dataset_digest: entry.dataset_digest },
  );
  return [
    { sql: `case when ${name}.value is null then 2 when ${name}.is_nan then 1 else 0 end`, descending: false },
    { sql: `coalesce(${name}.value, 0)`, descending: !entry.ascending },
  ];
}
