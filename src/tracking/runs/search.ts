import type { Knex } from 'knex';
import { type Db, sqlBuilder } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { pythonRepr } from '../../platform/python.ts';
import { parseOrderBy } from '../../platform/search/order-by.ts';
import { fetchPage, type Sort } from '../../platform/search/page.ts';
import { parseFilter } from '../../platform/search/parse-filter.ts';
import { FOUND_RUN_COLUMNS } from './columns.ts';
import type { RunRow } from './entity.ts';
import { attributeColumn, identifyRunField, type RunField, toRunTerm, whereRunTerm } from './search-terms.ts';

export type RunSearch = {
  experiment_ids: number[];
  stages: string[];
  filter?: string | undefined;
  order_by: string[];
  max_results: number;
  page_token?: string | undefined;
};

/** Finds runs of these experiments, those started last first unless told otherwise. Experiments of another scope have none. */
export async function searchRuns(db: Db, scope: number, search: RunSearch): Promise<{ rows: RunRow[]; nextPageToken: string | null }> {
  const query = sqlBuilder('runs as r')
    .joinRaw('join experiments as e on e.experiment_id = r.experiment_id')
    .select(sqlBuilder.raw(FOUND_RUN_COLUMNS))
    .where('e.scope_id', scope)
    .whereRaw('r.lifecycle_stage = any (?)', [search.stages]);
  for (const term of parseFilter(search.filter, toRunTerm, { quoteInvalid: true })) whereRunTerm(query, term);
  const sorts = sortRuns(query, search.order_by);
  const [first, ...others] = search.experiment_ids;
  if (first === undefined) return { rows: [], nextPageToken: null };
  // One experiment can be read from the index in the order of start times.
  if (others.length === 0) query.whereRaw('r.experiment_id = ?', [first]);
  else query.whereRaw('r.experiment_id = any (?)', [search.experiment_ids]);
  return fetchPage<RunRow>(db, query, {
    sorts,
    limit: search.max_results,
    pageToken: search.page_token,
    prepared: others.length === 0 && !search.filter && search.order_by.length === 0,
    fingerprint: ['runs', scope, search.experiment_ids, search.stages, search.filter ?? '', search.order_by],
  });
}

/** Runs without a value, or with NaN, come last in either direction; ties are broken by start time, the latest first, then by run id. */
function sortRuns(query: Knex.QueryBuilder, orderBy: string[]): Sort[] {
  const fields = orderBy.map((clause) => {
    const { key, descending } = parseOrderBy(clause);
    return { ...identifyRunField(key, { ordering: true }), descending };
  });
  if (new Set(fields.map(({ type, key }) => `${type} ${key}`)).size < fields.length) {
    throw invalidParameter(`\`order_by\` contains duplicate fields: [${orderBy.map(pythonRepr).join(', ')}]`);
  }
  const sorts = fields.flatMap((field, i) => sortField(query, field, `s${i}`));
  const ties: Sort[] = [
    { sql: 'r.start_time', descending: true },
    { sql: 'r.run_id', descending: false },
  ];
  return [...sorts, ...ties.filter((tie) => !sorts.some(({ sql }) => sql === tie.sql))];
}

function sortField(query: Knex.QueryBuilder, field: RunField & { descending: boolean }, alias: string): Sort[] {
  const { type, key, descending } = field;
  if (type === 'dataset') throw invalidParameter(`Invalid identifier type '${type}'`);
  if (type === 'attribute') {
    const { sql, nullable } = attributeColumn(key);
    if (!nullable) return [{ sql, descending }];
    return [
      { sql: `(${sql} is null)::integer`, descending: false },
      { sql: `coalesce(${sql}, 0)`, descending },
    ];
  }
  const table = { metric: 'run_latest_metrics', tag: 'run_tags', parameter: 'run_params' }[type];
  query.joinRaw(`left join ${table} as ${alias} on ${alias}.run_id = r.run_id and ${alias}.key = ?`, [key]);
  if (type === 'metric') {
    return [
      { sql: `case when ${alias}.is_nan then 1 when ${alias}.value is null then 2 else 0 end`, descending: false },
      { sql: `coalesce(${alias}.value, 0)`, descending },
    ];
  }
  return [
    { sql: `(${alias}.value is null)::integer`, descending: false },
    { sql: `coalesce(${alias}.value, '')`, descending },
  ];
}
