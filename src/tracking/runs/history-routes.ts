import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { exactInt64, int64, requiredText } from '../../platform/fields.ts';
import type { Int64 } from '../../platform/json.ts';
import { pythonInt } from '../../platform/python.ts';
import { canOnRun, canReadRuns } from '../permissions.ts';
import { Metric, runIdOf, withRunId } from './entity.ts';
import { findBulkMetricHistory, findMetricHistory, sampleMetricHistory } from './metric-history.ts';
import { refuseUnknownRuns } from './store.ts';

const MAX_RUNS = 100;
const MAX_BULK_RESULTS = 25_000;
const MAX_RESULTS_PER_RUN = 2500;
const SEE_DOCS = ' See the API docs for more information about request parameters.';

// Two calls read their numbers with Python's int() (mlflow/server/handlers.py, get_metric_history_bulk_interval_impl); all are limits, so clamped.
const looseInt = z.preprocess((value) => {
  const number = typeof value === 'string' ? pythonInt(value) : null;
  return number === null ? value : Math.max(Math.min(Number(number), Number.MAX_SAFE_INTEGER), Number.MIN_SAFE_INTEGER);
}, int64);
const MAX_INT64 = 2n ** 63n - 1n;
const looseStep = z.preprocess((value) => {
  const number = typeof value === 'string' ? pythonInt(value) : null;
  if (number === null) return value;
  return number > MAX_INT64 ? MAX_INT64 : number < -MAX_INT64 ? -MAX_INT64 : number;
}, exactInt64);

const MetricOfRun = Metric.extend({ run_id: z.string() });

const getHistory = endpoint({
  op: 'metric.get_history',
  summary: 'Get all points of a metric of a run',
  method: 'GET',
  path: '/mlflow/metrics/get-history',
  effect: 'read',
  input: withRunId({
    metric_key: requiredText,
    page_token: z.string().optional(),
    max_results: int64
      .pipe(
        z.number().refine((value) => value > 0, {
          error: ({ input }) => `Invalid value ${input} for parameter 'max_results' supplied. It must be a positive integer.`,
        }),
      )
      .optional(),
  }),
  output: z.object({ metrics: z.array(Metric).optional(), next_page_token: z.string().optional() }),
  permission: canOnRun('READ'),
  async handler({ db, scope, input }) {
    const key = { scope: scope.id, runId: runIdOf(input) };
    const page = { maxResults: input.max_results, pageToken: input.page_token };
    // A run that is not there is told before a page token that is wrong; where there are points, there is a run.
    if (scope.named && page.pageToken) await refuseUnknownRuns(db, scope.id, [key.runId]);
    const { rows, nextPageToken } = await findMetricHistory(db, key, input.metric_key, page);
    if (scope.named && rows.length === 0) await refuseUnknownRuns(db, scope.id, [key.runId]);
    const metrics = rows.map(({ key, value, timestamp, step }) => ({ key, value, timestamp, step }));
    return { ...(metrics.length > 0 && { metrics }), ...(nextPageToken && { next_page_token: nextPageToken }) };
  },
});

const getBulkHistory = endpoint({
  op: 'metric.get_bulk_history',
  summary: 'Get the points of a metric in several runs',
  method: 'GET',
  path: '/mlflow/metrics/get-history-bulk',
  effect: 'read',
  input: z.object({
    run_id: z.array(z.string()).default([]),
    metric_key: z.string().optional(),
    max_results: looseInt.pipe(z.number().nonnegative()).default(MAX_BULK_RESULTS),
  }),
  output: z.object({ metrics: z.array(MetricOfRun) }),
  permission: canReadRuns((input: { run_id: string[] }) => input.run_id),
  async handler({ db, scope, input }) {
    const runIds = input.run_id;
    if (runIds.length === 0) throw invalidParameter('GetMetricHistoryBulk request must specify at least one run_id.');
    if (runIds.length > MAX_RUNS) {
      throw invalidParameter(
        `GetMetricHistoryBulk request cannot specify more than ${MAX_RUNS} run_ids. Received ${runIds.length} run_ids.`,
      );
    }
    if (input.metric_key === undefined) throw invalidParameter('GetMetricHistoryBulk request must specify a metric_key.');
    const limit = Math.min(input.max_results, MAX_BULK_RESULTS);
    return { metrics: await findBulkMetricHistory(db, scope.id, { runIds, metricKey: input.metric_key, limit }) };
  },
});

const sampleHistory = endpoint({
  op: 'metric.sample_history',
  summary: 'Get points of a metric in several runs, evenly spread over each',
  method: 'GET',
  path: '/mlflow/metrics/get-history-bulk-interval',
  effect: 'read',
  input: z.object({
    run_ids: z.array(z.string()).refine((ids) => ids.length <= MAX_RUNS, {
      error: ({ input }) =>
        `GetMetricHistoryBulkInterval request must specify at most ${MAX_RUNS} run_ids. Received ${(input as string[]).length} run_ids.${SEE_DOCS}`,
    }),
    metric_key: requiredText,
    start_step: looseStep.optional(),
    end_step: looseStep.optional(),
    max_results: looseInt
      .pipe(
        z.number().refine((value) => value >= 1 && value <= MAX_RESULTS_PER_RUN, {
          message: `max_results must be between 1 and ${MAX_RESULTS_PER_RUN}.${SEE_DOCS}`,
        }),
      )
      .default(MAX_RESULTS_PER_RUN),
  }),
  output: z.object({ metrics: z.array(MetricOfRun).optional() }),
  permission: canReadRuns((input: { run_ids: string[] }) => input.run_ids),
  async handler({ db, scope, input }) {
    const range = stepRange(input.start_step, input.end_step);
    const metrics = await sampleMetricHistory(db, scope.id, {
      runIds: input.run_ids,
      metricKey: input.metric_key,
      limit: input.max_results,
      range,
    });
    const withPoints = new Set(metrics.map(({ run_id }) => run_id));
    const others = input.run_ids.filter((id) => !withPoints.has(id));
    if (scope.named && others.length > 0) await refuseUnknownRuns(db, scope.id, others);
    return metrics.length > 0 ? { metrics } : {};
  },
});

function stepRange(start: Int64 | undefined, end: Int64 | undefined): { start: Int64; end: Int64 } | null {
  if (start === undefined && end === undefined) return null;
  if (start === undefined || end === undefined) {
    throw invalidParameter('If either start step or end step are specified, both must be specified.');
  }
  if (start > end) {
    throw invalidParameter(`end_step must be greater than start_step. Found start_step=${start} and end_step=${end}.`);
  }
  return { start, end };
}

export const historyEndpoints = [getHistory, getBulkHistory, sampleHistory];
