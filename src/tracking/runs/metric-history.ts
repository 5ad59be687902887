import type { z } from 'zod';
import { type Db, run, sqlBuilder, statement } from '../../platform/db/database.ts';
import type { Int64 } from '../../platform/json.ts';
import { fetchPage } from '../../platform/search/page.ts';
import { METRIC_VALUE } from './columns.ts';
import type { Metric, RunKey } from './entity.ts';

type MetricRow = z.infer<typeof Metric>;
export type MetricOfRun = MetricRow & { run_id: string };

/**
 * A metric's points by time, step and value. Without `maxResults` there is no page: all of them come. A run that is not in the scope has no points,
 * as on the stock server.
 */
export function findMetricHistory(
  db: Db,
  key: RunKey,
  metricKey: string,
  page: { maxResults: number | undefined; pageToken: string | undefined },
): Promise<{ rows: MetricRow[]; nextPageToken: string | null }> {
  const query = sqlBuilder('run_metrics as m')
    .joinRaw('join runs as r on r.run_id = m.run_id join experiments as e on e.experiment_id = r.experiment_id')
    .select(sqlBuilder.raw(`m.key, ${METRIC_VALUE} as value, m.timestamp, m.step`))
    .where({ 'm.run_id': key.runId, 'm.key': metricKey, 'e.scope_id': key.scope });
  return fetchPage<MetricRow>(db, query, {
    sorts: ['m.timestamp', 'm.step', 'm.value', 'm.is_nan::integer'].map((sql) => ({ sql, descending: false })),
    limit: Math.min(page.maxResults ?? Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER - 1),
    pageToken: page.pageToken,
    fingerprint: ['metric_history', key.scope, key.runId, metricKey],
  });
}

const FROM_METRICS = `
  from run_metrics m join runs r on r.run_id = m.run_id join experiments e on e.experiment_id = r.experiment_id
  where e.scope_id = :scope and m.run_id = any (:runIds::text[]) and m.key = :metricKey`;

const FIND_BULK_HISTORY = statement(
  'find_bulk_metric_history',
  `select m.run_id, m.key, ${METRIC_VALUE} as value, m.timestamp, m.step ${FROM_METRICS}
   order by m.run_id, m.timestamp, m.step, m.value limit :limit`,
);

/** A metric's points in several runs, `limit` altogether, by run, time, step and value. */
export function findBulkMetricHistory(
  db: Db,
  scope: number,
  search: { runIds: string[]; metricKey: string; limit: number },
): Promise<MetricOfRun[]> {
  return run<MetricOfRun>(db, FIND_BULK_HISTORY, { scope, ...search });
}

// Equal shares of each run's points, the first of each share but the last of the last one, so that both ends of the curve are there.
const SAMPLE_HISTORY = statement(
  'sample_metric_history',
  `select m.run_id, m.key, ${METRIC_VALUE} as value, m.timestamp, m.step
   from (
     select shared.*, row_number() over (partition by run_id, share order by place) as place_in_share
     from (
       select m.*, ntile(:limit::integer) over points as share, row_number() over points as place, count(*) over (partition by m.run_id) as total
       ${FROM_METRICS} and (:start::bigint is null or m.step between :start::bigint and :end::bigint)
       window points as (partition by m.run_id order by m.step, m.timestamp, m.value, m.is_nan)) shared) m
   where place = total or (place_in_share = 1 and share < :limit::integer)
   order by array_position(:runIds::text[], m.run_id), m.place`,
);

/** At most `limit` points of each run, evenly spread over all of them or over the steps of `range` (both ends included), runs in the order given. */
export function sampleMetricHistory(
  db: Db,
  scope: number,
  search: { runIds: string[]; metricKey: string; limit: number; range: { start: Int64; end: Int64 } | null },
): Promise<MetricOfRun[]> {
  const { range, ...rest } = search;
  return run<MetricOfRun>(db, SAMPLE_HISTORY, { scope, ...rest, start: range?.start ?? null, end: range?.end ?? null });
}
