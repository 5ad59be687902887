import type { Knex } from 'knex';
import { sqlBuilder } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { whereCompares, whereFinds, whereTagCompares } from '../../platform/search/compare.ts';
import { type FilterClause, trimKey, unquote } from '../../platform/search/parse-filter.ts';
import { CONTEXT_TAG } from '../datasets/entity.ts';

// What may stand in filter and order_by of runs/search (mlflow/utils/search_utils.py, SearchUtils).
const TYPES = ['metric', 'parameter', 'tag', 'attribute', 'dataset'] as const;
type Type = (typeof TYPES)[number];

const ALIASES: Record<string, Type> = {
  metrics: 'metric',
  parameters: 'parameter',
  param: 'parameter',
  params: 'parameter',
  tags: 'tag',
  attr: 'attribute',
  attributes: 'attribute',
  run: 'attribute',
  datasets: 'dataset',
};

const ATTRIBUTE_ALIASES: Record<string, string> = {
  created: 'start_time',
  Created: 'start_time',
  'run name': 'run_name',
  'Run name': 'run_name',
  'Run Name': 'run_name',
};

const ATTRIBUTE_COLUMNS: Record<string, string> = {
  run_id: 'r.run_id',
  run_name: 'r.name',
  status: 'r.status',
  user_id: 'r.user_id',
  artifact_uri: 'r.artifact_uri',
  start_time: 'r.start_time',
  end_time: 'r.end_time',
};

const NUMERIC_ATTRIBUTES = ['start_time', 'end_time'];
const DATASET_COLUMNS: Record<string, string> = { name: 'd.name', digest: 'd.digest', context: "tag ->> 'value'" };
const ORDERINGS = ['>', '>=', '!=', '=', '<', '<='];
const TEXTS = ['!=', '=', 'LIKE', 'ILIKE'];

/** What a name in filter or order_by stands for. An attribute's key has its own spelling, whatever alias it was `written` as. */
export type RunField = { type: Type; key: string; written: string };

export type RunTerm = RunField & { comparator: string; value: string | number | string[] };

/** Resolves `params.alpha`, `status`, `` tags.`a b` ``; `ordering` knows fewer names of attributes. Throws INVALID_PARAMETER_VALUE with MLflow's sentence for what there is not. */
export function identifyRunField(identifier: string, { ordering = false } = {}): RunField {
  const dot = identifier.indexOf('.');
  const prefix = dot < 0 ? 'attribute' : trimBackticks(identifier.slice(0, dot));
  const type = TYPES.find((known) => known === prefix) ?? (Object.hasOwn(ALIASES, prefix) ? ALIASES[prefix] : undefined);
  if (!type) {
    throw invalidParameter(`Invalid entity type '${prefix}'. Valid values are [${TYPES.map((name) => `'${name}'`).join(', ')}]`);
  }
  const written = trimKey(identifier.slice(dot + 1));
  if (type === 'dataset' && !Object.hasOwn(DATASET_COLUMNS, written)) {
    throw invalidParameter(`Invalid dataset key '${written}' specified. Valid keys are '${pythonSet(Object.keys(DATASET_COLUMNS))}'`);
  }
  if (type !== 'attribute') return { type, key: written, written };
  const key = Object.hasOwn(ATTRIBUTE_ALIASES, written) ? (ATTRIBUTE_ALIASES[written] ?? '') : written;
  const aliases = Object.keys(ATTRIBUTE_ALIASES).filter((alias) => !ordering || ATTRIBUTE_ALIASES[alias] === 'start_time');
  if (!Object.hasOwn(ATTRIBUTE_COLUMNS, written) && !aliases.includes(written)) {
    const valid = [...Object.keys(ATTRIBUTE_COLUMNS), ...aliases];
    throw invalidParameter(`Invalid attribute key '${written}' specified. Valid keys are '${pythonSet(valid)}'`);
  }
  return { type, key, written };
}

const trimBackticks = (text: string) => text.replace(/^`(.*)`$/s, '$1');
const pythonSet = (items: string[]) => `{${items.map((item) => `'${item}'`).join(', ')}}`;

/** The column of an attribute of a run, and whether it may be null. */
export const attributeColumn = (key: string): { sql: string; numeric: boolean; nullable: boolean } => ({
  sql: ATTRIBUTE_COLUMNS[key] ?? '',
  numeric: NUMERIC_ATTRIBUTES.includes(key),
  nullable: key === 'end_time',
});

/** Resolves a clause of a filter but for its comparator. Throws INVALID_PARAMETER_VALUE for a value of the wrong kind. */
export function toRunTerm({ identifier, comparator, value }: FilterClause): RunTerm {
  const field = identifyRunField(identifier);
  if (value.kind === 'none') {
    if (field.type === 'tag' || field.type === 'parameter') return { ...field, comparator, value: '' };
    throw invalidParameter(`IS NULL / IS NOT NULL is only supported for tags and params, not for '${field.type}' '${field.written}'`);
  }
  return { ...field, comparator, value: readValue(field, value) };
}

function readValue({ type, key, written }: RunField, value: FilterClause['value']): RunTerm['value'] {
  const isText = value.kind === 'string' || value.kind === 'identifier';
  if (type === 'metric' || (type === 'attribute' && NUMERIC_ATTRIBUTES.includes(key))) {
    if (value.kind === 'number') return Number(value.text);
    const what = type === 'metric' ? 'metric' : `numeric attribute: ${written}`;
    throw invalidParameter(`Expected numeric value type for ${what}. Found ${value.text}`);
  }
  if (isText) return unquote(value.text);
  if (value.kind === 'list' && (type === 'dataset' || type === 'attribute')) {
    if (type === 'dataset' || key === 'run_id') return value.items;
    throw invalidParameter("Only ['run_id'] attributes support comparison with a list of quoted string values.");
  }
  const what = {
    parameter: "parameter (e.g. 'my-value')",
    tag: "tag (e.g. 'my-value')",
    attribute: 'attributes',
    dataset: 'dataset attributes',
  };
  throw invalidParameter(`Expected a quoted string value for ${what[type]}. Got value ${value.text}`);
}

/** Adds a term to a query of `runs r`. Throws INVALID_PARAMETER_VALUE for a comparator that its kind does not have. */
export function whereRunTerm(query: Knex.QueryBuilder, term: RunTerm): void {
  refuseComparator(term);
  if (term.type === 'attribute') {
    const column = attributeColumn(term.key);
    whereCompares(query, column.numeric ? `${column.sql}::double precision` : column.sql, term.comparator, term.value);
  } else if (term.type === 'dataset') whereDataset(query, term);
  else if (term.type === 'metric') whereMetric(query, term);
  else whereText(query, term.type === 'tag' ? 'run_tags' : 'run_params', term);
}

function refuseComparator({ type, key, comparator, value }: RunTerm): void {
  const isNumber = type === 'metric' || (type === 'attribute' && NUMERIC_ATTRIBUTES.includes(key));
  const lists = type === 'dataset' || (type === 'attribute' && !isNumber) ? ['IN', 'NOT IN'] : [];
  const nulls = type === 'tag' || type === 'parameter' ? ['IS NULL', 'IS NOT NULL'] : [];
  const valid = isNumber ? ORDERINGS : [...TEXTS, ...lists, ...nulls];
  // A list goes with IN alone, which the stock server finds out only in its database.
  if (valid.includes(comparator) && Array.isArray(value) === lists.includes(comparator)) return;
  // The stock server leaves the last quote out for most kinds, and lists the comparators of texts for numeric attributes.
  const named = type === 'attribute' ? [...TEXTS, 'IN', 'NOT IN'] : valid;
  const quote = type === 'parameter' || (type === 'attribute' && !isNumber) ? "'" : '';
  throw invalidParameter(`Invalid comparator '${comparator}' not one of '${pythonSet(named)}${quote}`);
}

/** A NaN is stored as 0: it meets `!=` and nothing else. */
function whereMetric(query: Knex.QueryBuilder, { key, comparator, value }: RunTerm): void {
  const metric = sqlBuilder('run_latest_metrics as m').whereRaw('m.run_id = r.run_id').where('m.key', key);
  if (comparator === '!=') metric.whereRaw('(m.value <> ? or m.is_nan)', [value as number]);
  else whereCompares(metric.whereRaw('not m.is_nan'), 'm.value', comparator, value);
  whereFinds(query, metric);
}

function whereText(query: Knex.QueryBuilder, table: string, { key, comparator, value }: RunTerm): void {
  const found = sqlBuilder(`${table} as t`).whereRaw('t.run_id = r.run_id').where('t.key', key);
  const isAboutNull = comparator === 'IS NULL' || comparator === 'IS NOT NULL';
  if (!isAboutNull && table === 'run_tags') whereTagCompares(found, comparator, value as string);
  else if (!isAboutNull) whereCompares(found, 't.value', comparator, value);
  whereFinds(query, found, { none: comparator === 'IS NULL' });
}

/** Each term is met by some data set of the run, not all terms by one: as on the stock server. */
function whereDataset(query: Knex.QueryBuilder, { key, comparator, value }: RunTerm): void {
  const input = sqlBuilder('run_dataset_inputs as i')
    .joinRaw('join datasets as d on d.dataset_id = i.dataset_id')
    .whereRaw('i.run_id = r.run_id');
  if (key === 'context') input.joinRaw('cross join jsonb_array_elements(i.tags) as tag').whereRaw("tag ->> 'key' = ?", [CONTEXT_TAG]);
  whereCompares(input, `(${DATASET_COLUMNS[key] ?? ''})`, comparator, value);
  whereFinds(query, input);
}
