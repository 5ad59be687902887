import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type pg from 'pg';
import type { Logger } from 'pino';
import { type Db, identityOf, isPool, primaryOf } from '../db/database.ts';
import type { Metrics, Operation } from './metrics.ts';
import { type Trace, type Tracing, traced } from './tracing.ts';

const LONGEST_SQL = 500;
const NO_BYTES = { read: 0, written: 0 };
const OF_TRANSACTIONS = new Set(['begin', 'commit', 'rollback']);

/** A request that is under way. */
type Watched = { traceId: string | undefined; ended(res: ServerResponse, ms: number): void };

/** Who looks on while requests are answered and work is done: metrics, traces, the log of slow statements. */
export type Watch = {
  /** Told of each request that begins. Asked once for each endpoint, or null for what no endpoint answers. */
  requests(endpoint: Operation | null): (req: IncomingMessage) => Watched;
  /** `db`, looked at while it works for `op`, which is that of the endpoint of `req` or names work that nobody asked for. */
  database(db: Db, op: string, req?: IncomingMessage): Db;
  /** `store`, looked at while it works for a request. */
  store<Store extends object>(store: Store, system: string, req: IncomingMessage): Store;
};

/** `slowMs`: statements that take longer are logged; 0 for none. `tracing` is null when no traces are sent. */
export function openWatch({ metrics, tracing, log, slowMs }: WatchSettings): Watch {
  const traces = new WeakMap<IncomingMessage, Trace>();

  const ended = ({ op, req }: Work, { name, sql }: Asked, ms: number, db: Db): void => {
    metrics.statement(name.startsWith('built_') ? 'built' : name, ms);
    if (slowMs === 0 || ms < slowMs) return;
    const waiting = isPool(db) ? db.waitingCount : undefined;
    const requestId = req?.headers['x-request-id'];
    log.warn({ op, requestId, statement: name, sql: shortened(sql), ms: Math.round(ms), waiting }, 'a slow statement');
  };

  return {
    requests(endpoint) {
      const count = metrics.requestsOf(endpoint);
      const bytesOf = endpoint?.kind === 'stream' ? bytesOfSocket : noBytes;
      // Not what probes ask all the time.
      const isTraced = endpoint?.scoped !== false;
      return (req) => {
        const trace = isTraced ? tracing?.begin(endpoint, req) : undefined;
        if (trace?.id !== undefined) traces.set(req, trace);
        const { socket } = req;
        const before = bytesOf(socket);
        metrics.inFlight.count++;
        return {
          traceId: trace?.id,
          ended(res, ms) {
            metrics.inFlight.count--;
            const after = bytesOf(socket);
            count(req, res, ms, { read: after.read - before.read, written: after.written - before.written });
            trace?.end(res.statusCode);
          },
        };
      };
    },
    database(db, op, req) {
      return watched(db, { op, req, trace: req && traces.get(req), ended });
    },
    store(store, system, req) {
      const trace = traces.get(req);
      return trace ? traced(store, system, trace) : store;
    },
  };
}

const bytesOfSocket = ({ bytesRead, bytesWritten }: Socket) => ({ read: bytesRead, written: bytesWritten });
const noBytes = () => NO_BYTES;

const shortened = (sql: string) => sql.replace(/\s+/g, ' ').slice(0, LONGEST_SQL);

type WatchSettings = { metrics: Metrics; tracing: Tracing | null; log: Logger; slowMs: number };

/** What is worked for: a request, or what nobody asked for. */
type Work = {
  op: string;
  req: IncomingMessage | undefined;
  trace: Trace | undefined;
  ended(work: Work, asked: Asked, ms: number, db: Db): void;
};

/** A statement without its values. */
type Asked = { name: string; sql: string };

/** Passes all on to `db`, and tells of each statement and how long it took. A class: objects of closures and accessors took 4 µs for each request, these 0.1. */
class WatchedDb {
  readonly db: Db;
  readonly work: Work;
  readonly identity: Db;

  constructor(db: Db, work: Work) {
    this.db = db;
    this.work = work;
    this.identity = identityOf(db);
  }

  async query(sent: string | pg.QueryConfig, values?: unknown[]): Promise<pg.QueryResult> {
    const { db, work } = this;
    const asked = describe(sent);
    const end = work.trace?.child(asked.name, {
      'db.system.name': 'postgresql',
      'db.query.summary': asked.name,
      'db.query.text': shortened(asked.sql),
    });
    const started = performance.now();
    try {
      const result = await (db.query as (sent: unknown, values?: unknown[]) => Promise<pg.QueryResult>).call(db, sent, values);
      end?.();
      return result;
    } catch (error) {
      end?.(error);
      throw error;
    } finally {
      work.ended(work, asked, performance.now() - started, db);
    }
  }
}

class WatchedPool extends WatchedDb {
  get totalCount(): number {
    return (this.db as pg.Pool).totalCount;
  }

  async connect(): Promise<WatchedClient> {
    return new WatchedClient(await (this.db as pg.Pool).connect(), this.work);
  }
}

class WatchedClient extends WatchedDb {
  release(error?: Error): void {
    (this.db as pg.PoolClient).release(error);
  }
}

class WatchedReader extends WatchedDb {
  get primary(): Db {
    return watched(primaryOf(this.db), this.work);
  }
}

function watched(db: Db, work: Work): Db {
  const Kind = isPool(db) ? WatchedPool : primaryOf(db) === db ? WatchedDb : WatchedReader;
  return new Kind(db, work) as unknown as Db;
}

/** What a statement is called and its text, without values: SQL that comes without bindings may have some in it, and is not told. */
function describe(asked: string | pg.QueryConfig): Asked {
  if (typeof asked !== 'string') return { name: asked.name ?? 'built', sql: asked.text };
  const verb = /^\w+/.exec(asked)?.[0] ?? '';
  return { name: OF_TRANSACTIONS.has(verb) ? verb : 'other', sql: '' };
}
