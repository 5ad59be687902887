import cluster from 'node:cluster';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { Services } from './endpoint.ts';
import { openMetrics } from './platform/observe/metrics.ts';
import { openTracing, type TracingSettings } from './platform/observe/tracing.ts';
import { openWatch, type Watch } from './platform/observe/watch.ts';
import type { Attempted } from './registry/webhooks/deliver.ts';
import { MLFLOW_VERSION, VERSION } from './server-info/versions.ts';
import { shareMetrics } from './worker-metrics.ts';

export type ObserveSettings = {
  /** Null when no traces are sent. */
  tracing: TracingSettings | null;
  /** Statements that take longer are logged; 0 for none. */
  slowQueryMs: number;
};

export type Observation = Pick<Services, 'metricsText'> & {
  watch: Watch;
  /** Watches over a pool of connections. */
  pool(name: string, pool: pg.Pool): void;
  /** An attempt to deliver a webhook has ended. */
  attempted(how: Attempted): void;
  /** Sends the last traces. */
  stop(): Promise<void>;
};

/** Starts what looks on while the server works: metrics, traces, the log of slow statements. */
export async function observe({ tracing: settings, slowQueryMs: slowMs }: ObserveSettings, log: Logger): Promise<Observation> {
  const metrics = openMetrics({ version: VERSION, mlflow_version: MLFLOW_VERSION, node_version: process.version });
  const tracing = settings && (await openTracing(settings, VERSION, log));
  const { registry, pool } = metrics;
  return {
    watch: openWatch({ metrics, tracing, log, slowMs }),
    metricsText: cluster.isWorker ? shareMetrics(registry) : () => registry.metrics(),
    pool,
    attempted: metrics.counter('model_commons_webhook_attempts_total', 'Attempts to deliver a webhook, by how they ended.', 'outcome', [
      'delivered',
      'retried',
      'failed',
    ]),
    async stop() {
      await tracing?.stop();
    },
  };
}
