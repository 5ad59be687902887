import { oneOf, unique } from './fixture.ts';
import type { Operation } from './operations.ts';
import { API, call, callAll, post, type Target } from './requests.ts';

const RUNS = 200;
const RUNS_PER_PAGE = 50;
const METRICS_PER_BATCH = 100;

let serial = 0;

export const trackingOperations: Operation[] = [
  {
    name: 'runs-search-metric',
    gate: 8,
    async prepare(target) {
      const { experiment_id, runs } = await makeRuns(target);
      await callAll(
        target,
        runs.map((run_id, i) =>
          post(target, `${API}/runs/log-batch`, {
            run_id,
            metrics: [
              { key: 'acc', value: i / RUNS, timestamp: 1, step: 0 },
              { key: 'loss', value: 1 - i / RUNS, timestamp: 1, step: 0 },
            ],
            params: [{ key: 'lr', value: '0.1' }],
          }),
        ),
      );
      const search = { experiment_ids: [experiment_id], filter: 'metrics.acc >= 0.5', max_results: RUNS_PER_PAGE };
      const request = post(target, `${API}/runs/search`, search);
      return { next: () => request };
    },
    isRight: (json) => (json as { runs?: unknown[] }).runs?.length === RUNS_PER_PAGE,
  },
  {
    // To runs of its own: a faster server would have logged more to those that are searched, and have heavier answers to make.
    name: 'log-batch-100',
    gate: 10,
    async prepare(target) {
      const { runs } = await makeRuns(target);
      return {
        next() {
          const step = serial++;
          const metrics = Array.from({ length: METRICS_PER_BATCH }, (_, i) => ({ key: `m${i}`, value: i / 100, timestamp: step, step }));
          return post(target, `${API}/runs/log-batch`, { run_id: oneOf(runs), metrics });
        },
      };
    },
  },
  {
    name: 'runs-create',
    gate: 10,
    async prepare(target) {
      const { experiment_id } = await call(target, post(target, `${API}/experiments/create`, { name: unique('runs-create') }));
      return {
        next: () =>
          post(target, `${API}/runs/create`, {
            experiment_id,
            start_time: serial,
            run_name: `r${serial++}`,
            tags: [{ key: 'mlflow.user', value: 'x' }],
          }),
      };
    },
    isRight: (json) => typeof (json as { run?: { info?: { run_id?: unknown } } }).run?.info?.run_id === 'string',
  },
];

/** An experiment of 200 runs. */
async function makeRuns(target: Target): Promise<{ experiment_id: unknown; runs: string[] }> {
  const { experiment_id } = await call(target, post(target, `${API}/experiments/create`, { name: unique('runs') }));
  const made = await callAll(
    target,
    Array.from({ length: RUNS }, (_, i) =>
      post(target, `${API}/runs/create`, { experiment_id, start_time: i + 1, tags: [{ key: 'k', value: String(i) }] }),
    ),
  );
  return { experiment_id, runs: made.map(({ run }) => (run as { info: { run_id: string } }).info.run_id) };
}
