import type { Knex } from 'knex';
import { sqlBuilder } from '../platform/db/database.ts';
import { invalidParameter } from '../platform/errors.ts';
import { pythonFloat, pythonRepr } from '../platform/python.ts';
import { whereCompares, whereFinds, whereTagCompares } from '../platform/search/compare.ts';
import { type FilterClause, trimKey, unquote } from '../platform/search/parse-filter.ts';
import { IS_PROMPT_TAG } from './registered-models/entity.ts';

/** What may stand in a filter of one of the registry's searches (mlflow/utils/search_utils.py, SearchModelUtils, SearchModelVersionUtils). */
export type AttributeFields = Record<string, { column: string; numeric?: boolean; lists?: boolean }>;

export type Term = { type: 'attribute' | 'tag'; key: string; comparator: string; value: string | number | string[] };

const STRING_COMPARATORS = ['=', '!=', 'LIKE', 'ILIKE'];
const NUMERIC_COMPARATORS = ['=', '!=', '<', '<=', '>', '>='];

/** Resolves a clause's identifier, comparator and value. Throws INVALID_PARAMETER_VALUE with MLflow's sentence for what is not allowed. */
export function toTerm(clause: FilterClause, fields: AttributeFields): Term {
  const { type, key } = identify(clause.identifier, fields);
  return type === 'tag' ? tagTerm(key, clause) : attributeTerm(key, clause, fields);
}

function identify(identifier: string, fields: AttributeFields): { type: 'attribute' | 'tag'; key: string } {
  const dot = identifier.indexOf('.');
  const entity = dot < 0 ? 'attribute' : identifier.slice(0, dot);
  const key = identifier.slice(dot + 1);
  if (!['attribute', 'tag', 'tags'].includes(entity)) {
    throw invalidParameter(`Invalid entity type '${entity}'. Valid entity types are ('attribute', 'tag', 'tags')`);
  }
  if (entity !== 'attribute') return { type: 'tag', key: trimKey(key) };
  if (!Object.hasOwn(fields, key)) {
    const valid = Object.keys(fields).map((name) => `'${name}'`);
    throw invalidParameter(`Invalid attribute key '${key}' specified. Valid keys are '{${valid.join(', ')}}'`);
  }
  return { type: 'attribute', key };
}

function tagTerm(key: string, { comparator, value }: FilterClause): Term {
  if (value.kind !== 'string' && value.kind !== 'identifier' && value.kind !== 'none') {
    throw invalidParameter(`Expected a quoted string value for tag (e.g. 'my-value'). Got value ${value.text}`);
  }
  const text = value.kind === 'none' ? '' : unquote(value.text);
  if (!STRING_COMPARATORS.includes(comparator)) throw invalidParameter(`Invalid comparator for tag: ${comparator}`);
  return { type: 'tag', key, comparator, value: text };
}

function attributeTerm(key: string, { comparator, value }: FilterClause, fields: AttributeFields): Term {
  const field = fields[key];
  if (field?.numeric) {
    if (value.kind === 'list') throw listsOnlyFor(fields);
    if (value.kind === 'other') throw textExpected(value.text);
    const text = value.kind === 'number' ? value.text : unquote(value.text);
    if (!NUMERIC_COMPARATORS.includes(comparator)) throw invalidParameter(`Invalid comparator for attribute ${key}: ${comparator}`);
    if (!/^\s*[+-]?\d+\s*$/.test(text)) {
      throw invalidParameter(
        `Invalid value for numeric attribute '${key}': ${value.kind === 'number' ? pythonFloat(Number(text)) : pythonRepr(text)}`,
      );
    }
    return { type: 'attribute', key, comparator, value: Number(text) };
  }
  if (value.kind === 'list') {
    if (!field?.lists) throw listsOnlyFor(fields);
    if (comparator !== 'IN' && comparator !== 'NOT IN') throw invalidParameter(`Invalid comparator for attribute: ${comparator}`);
    return { type: 'attribute', key, comparator, value: value.items };
  }
  if (value.kind === 'number') throw numberRefused(value.text, fields);
  if (value.kind === 'other') throw textExpected(value.text);
  const text = value.kind === 'none' ? '' : unquote(value.text);
  if (!STRING_COMPARATORS.includes(comparator)) throw invalidParameter(`Invalid comparator for attribute: ${comparator}`);
  return { type: 'attribute', key, comparator, value: text };
}

const textExpected = (text: string) =>
  invalidParameter(`Expected a quoted string value or a list of quoted string values for attributes. Got value ${text}`);

/** Both searches refuse a number for a text, each with a sentence of its own. */
function numberRefused(text: string, fields: AttributeFields) {
  if (!Object.values(fields).some(({ numeric }) => numeric)) return textExpected(text);
  return invalidParameter(
    "Only the '{'creation_timestamp', 'version_number', 'last_updated_timestamp'}' attributes support comparison with numeric values.",
  );
}

function listsOnlyFor(fields: AttributeFields) {
  const names = Object.keys(fields)
    .filter((name) => fields[name]?.lists)
    .sort();
  return invalidParameter(
    `Only [${names.map((name) => `'${name}'`).join(', ')}] attributes support comparison with a list of quoted string values.`,
  );
}

/**
 * True when a filter asks for prompts. Both searches hide prompts otherwise, and the clause that says so is dropped
 * (mlflow/store/model_registry/sqlalchemy_store.py, _is_querying_prompt): the first clause on the tag decides.
 */
export function asksForPrompts(terms: Term[]): boolean {
  const term = terms.find(({ type, key }) => type === 'tag' && key === IS_PROMPT_TAG);
  const value = String(term?.value).toLowerCase();
  return (term?.comparator === '=' && value === 'true') || (term?.comparator === '!=' && value === 'false');
}

/** Leaves prompts out; `model` is the id of a row's model. The tag is not bound, since an index of prompts alone serves who asks in its own words. */
export function whereNoPrompt(query: Knex.QueryBuilder, tags: string, model: Knex.Raw): void {
  query.whereNotExists((tag) => {
    tag.from(`${tags} as t`).whereRaw(`t.model_id = ? and t.key = '${IS_PROMPT_TAG}' and t.value = 'true'`, [model]);
  });
}

/** The name when a filter asks for one model's by `name = '…'`. */
export function exactName(terms: Term[]): string | undefined {
  const term = terms.find(({ type, key, comparator }) => type === 'attribute' && key === 'name' && comparator === '=');
  return term && String(term.value);
}

/** True when one plan is good for all values of a filter: it goes from the one model by index. */
export const isOfOneModel = (terms: Term[]): boolean => exactName(terms) !== undefined && terms.every(({ type }) => type === 'attribute');

/** Adds the attribute terms, and for each tag key one condition that a tag of that key meets all its comparisons: `!=` needs the tag to be there. */
export function whereTerms(query: Knex.QueryBuilder, terms: Term[], fields: AttributeFields, tags: { table: string; join: string }): void {
  for (const { type, key, comparator, value } of terms) {
    if (type === 'attribute') whereCompares(query, fields[key]?.column ?? '', comparator, value);
  }
  const keys = new Set(terms.filter(({ type }) => type === 'tag').map(({ key }) => key));
  for (const key of keys) {
    const tag = sqlBuilder(`${tags.table} as t`).whereRaw(tags.join).where('t.key', key);
    for (const term of terms) if (term.type === 'tag' && term.key === key) whereTagCompares(tag, term.comparator, term.value);
    whereFinds(query, tag);
  }
}
