import type { IncomingMessage, ServerResponse } from 'node:http';
import type pg from 'pg';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const REQUEST_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const STATEMENT_SECONDS = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1, 10];

/** What is known of an endpoint here: as it is declared (http/endpoint.ts). */
export type Operation = { op: string; method: string; path: string; kind: 'json' | 'stream'; scoped?: false };

/** A request whose reply has left, or broke off. */
type Ended = (req: IncomingMessage, res: ServerResponse, ms: number, bytes: { read: number; written: number }) => void;

/**
 * What this process counts of itself, for Prometheus. Every label has few values, whatever callers send: the op of an endpoint, a method, a status, the
 * name of a declared statement. Names are the stock server's where it has the like (mlflow/server/prometheus_exporter.py).
 */
export type Metrics = {
  registry: Registry;
  /** What is to be told of each request that has ended. Asked once for each endpoint, or null for what no endpoint answers. */
  requestsOf(endpoint: Operation | null): Ended;
  /** Begun and not ended. */
  inFlight: { count: number };
  /** A statement took `ms`, the wait for a connection included. */
  statement(name: string, ms: number): void;
  /** Makes a counter by one label, of which these are all values; what it gives counts one. */
  counter<Value extends string>(name: string, help: string, label: string, values: Value[]): (value: Value) => void;
  /** Watches over a pool of connections. */
  pool(name: string, pool: pg.Pool): void;
};

/** Starts to count. `build` are the labels of the one metric that says what runs. */
export function openMetrics(build: Record<string, string>): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'model_commons_build_info',
    help: 'What runs: always 1.',
    labelNames: Object.keys(build),
    aggregator: 'first',
    registers,
  }).set(build, 1);

  const labelNames = ['op', 'method', 'status'] as const;
  const requests = new Counter({
    name: 'mlflow_http_request_total',
    help: 'Requests that ended, by operation and status.',
    labelNames,
    registers,
  });
  const seconds = new Histogram({
    name: 'mlflow_http_request_duration_seconds',
    help: 'Time from the headers of a request to the end of its reply, by operation and class of status (2xx).',
    labelNames,
    buckets: REQUEST_SECONDS,
    registers,
  });
  const bytes = new Counter({
    name: 'model_commons_http_stream_bytes_total',
    help: 'Bytes that streamed requests received and sent: the contents of artifacts.',
    labelNames: ['op', 'direction'],
    registers,
  });
  const inFlight = { count: 0 };
  new Gauge({
    name: 'model_commons_http_requests_in_flight',
    help: 'Requests that have begun and not ended.',
    registers,
    collect() {
      this.set(inFlight.count);
    },
  });

  const statements = new Histogram({
    name: 'model_commons_db_statement_duration_seconds',
    help: 'Time of SQL statements by name, with the wait for a connection; built: searches.',
    labelNames: ['statement'],
    buckets: STATEMENT_SECONDS,
    registers,
  });
  const byName = new Map<string, Histogram.Internal<'statement'>>();
  const pools = new Map<string, pg.Pool>();
  const ofPools = (name: string, help: string, measure: (pool: pg.Pool) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['pool'],
      registers,
      collect() {
        for (const [pool, of] of pools) this.set({ pool }, measure(of));
      },
    });
  ofPools('model_commons_db_pool_max', 'Most connections to the database there may be.', ({ options }) => options.max);
  ofPools('model_commons_db_pool_connections', 'Connections to the database.', ({ totalCount }) => totalCount);
  ofPools('model_commons_db_pool_idle', 'Connections that nobody uses at the moment.', ({ idleCount }) => idleCount);
  ofPools('model_commons_db_pool_waiting', 'Who waits for a connection.', ({ waitingCount }) => waitingCount);

  return {
    registry,
    inFlight,
    requestsOf(endpoint) {
      const { op, method } = endpoint ?? { op: 'none', method: 'any' };
      const ofStatus = new Map<number, { count: Counter.Internal; seconds: Histogram.Internal<string> }>();
      const streamed = endpoint?.kind === 'stream' && { in: bytes.labels(op, 'in'), out: bytes.labels(op, 'out') };
      return (req, { statusCode }, ms, { read, written }) => {
        let known = ofStatus.get(statusCode);
        if (!known) {
          const statusClass = `${Math.floor(statusCode / 100)}xx`;
          known = { count: requests.labels(op, method, String(statusCode)), seconds: seconds.labels(op, method, statusClass) };
          ofStatus.set(statusCode, known);
        }
        known.count.inc();
        known.seconds.observe(ms / 1000);
        if (!streamed) return;
        // What came in one piece with the headers was read before the request began.
        const length = req.complete ? Number(req.headers['content-length']) || 0 : 0;
        streamed.in.inc(Math.max(read, length));
        // What was to be sent before it on the same connection may have been given up.
        streamed.out.inc(Math.max(written, 0));
      };
    },
    statement(name, ms) {
      let known = byName.get(name);
      if (!known) {
        known = statements.labels(name);
        byName.set(name, known);
      }
      known.observe(ms / 1000);
    },
    counter(name, help, label, values) {
      const counter = new Counter({ name, help, labelNames: [label], registers });
      for (const value of values) counter.inc({ [label]: value }, 0);
      return (value) => counter.inc({ [label]: value });
    },
    pool: (name, pool) => void pools.set(name, pool),
  };
}
