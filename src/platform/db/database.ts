import knex from 'knex';
import pg from 'pg';
import { exactInteger, parseExactJson } from '../json.ts';
import { LIMITS, type Pooler, PoolerClient } from './pooler.ts';
import { type Asked, sendQuickReadsTogether } from './quick-reads.ts';

/** What a store function needs of the database: a pool, or the one connection of a transaction. */
export type Db = Pick<pg.Pool | pg.PoolClient, 'query'>;

/** What reads from a replica of `primary`. */
export type Reader = Db & { primary: pg.Pool };

/** The database that is written to: for what remembers what it read, and is told of changes. */
export const primaryOf = (db: Db): Db => ('primary' in db ? (db as Reader).primary : db);

/** Builds SQL that varies (searches). It has no connection of its own: `runBuilt` sends what it made. */
export const sqlBuilder = knex({ client: 'pg' });

// Our own counts, sizes and times are far below 2^53; callers' times and steps may be bigints (Int64).
const PARSERS: Record<number, (text: string) => unknown> = {
  [pg.types.builtins.INT8]: exactInteger,
  [pg.types.builtins.JSON]: parseExactJson,
  [pg.types.builtins.JSONB]: parseExactJson,
};
const types = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    PARSERS[oid] ?? pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
};

/** Opens a pool on `url`. Waits are limited so that a dead database becomes an error, not a hang (times in ms). */
export function openPool(url: string, max: number, pooler: Pooler = 'none', limits: pg.PoolConfig = {}): pg.Pool {
  const config: pg.PoolConfig = {
    connectionString: url,
    max,
    types,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    ...(pooler === 'none'
      ? { options: startupOptions({ ...LIMITS, ...PLANNING }) }
      : { Client: PoolerClient as unknown as new () => pg.ClientBase }),
    application_name: 'model-commons',
    ...limits,
  };
  const pool = new pg.Pool(config);
  return pooler === 'none' ? sendQuickReadsTogether(pool, config) : pool;
}

/**
 * A named statement is planned once for a connection. Planned while a table is small it would read all of it, and go on doing so when the table has grown;
 * every statement has indices to go by. Before PostgreSQL 18 what has none is taken for so dear that it would be compiled (jit), which takes longer than to run it.
 */
const PLANNING = { enable_seqscan: 'off', jit: 'off' };

/** Settings of a session, as a connection starts with them. */
const startupOptions = (settings: Record<string, number | string>): string =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');

export type Statement = { name: string; text: string; keys: string[]; isQuick?: boolean };

/**
 * Declares SQL that does not vary. `:name` marks a binding (`::type` stays a cast). It is compiled once and sent as a named prepared
 * statement, which Postgres then need not parse and plan again.
 */
export function statement(name: string, sql: string): Statement {
  const keys: string[] = [];
  const text = sql.replace(/(?<!:):([a-z_]\w*)/gi, (_, key: string) => {
    const known = keys.indexOf(key);
    return `$${known >= 0 ? known + 1 : keys.push(key)}`;
  });
  return { name, text, keys };
}

/** Declares a read of a few rows by index, which never waits for a lock: outside of a transaction it shares a connection with others (quick-reads.ts). */
export const quickRead = (name: string, sql: string): Statement => ({ ...statement(name, sql), isQuick: true });

/** Runs a declared statement and gives its rows. A binding left out is a bug of the caller, and throws. */
export async function run<Row extends pg.QueryResultRow>(
  db: Db,
  { name, text, keys, isQuick = false }: Statement,
  bindings: Record<string, unknown> = {},
): Promise<Row[]> {
  const values = keys.map((key) => {
    if (bindings[key] === undefined) throw new Error(`statement ${name}: no value for :${key}`);
    return bindings[key];
  });
  const asked: Asked = { name, text, values, isQuick };
  const result = await db.query<Row>(asked);
  return result.rows;
}

const MAX_SHAPES = 500;
const shapes = new Map<string, string>();

/** A name for SQL whose values are all bound, so that the shapes searches usually have are prepared too. Only so many: each takes memory on every connection. */
function shapeName(sql: string): string | undefined {
  const known = shapes.get(sql);
  if (known !== undefined || shapes.size >= MAX_SHAPES) return known;
  const name = `built_${shapes.size}`;
  shapes.set(sql, name);
  return name;
}

/**
 * Runs a query made with `sqlBuilder`. `prepared: false` is for one whose best plan depends on its values, such as the share of the rows that have a tag:
 * PostgreSQL then plans it for these each time, where it would keep one plan for all of a prepared statement.
 */
export async function runBuilt<Row extends pg.QueryResultRow>(
  db: Db,
  query: { toSQL(): { toNative(): { sql: string; bindings: readonly unknown[] } } },
  { prepared = true } = {},
): Promise<Row[]> {
  const { sql, bindings } = query.toSQL().toNative();
  const name = prepared ? shapeName(sql) : undefined;
  const result = await db.query<Row>({ ...(name && { name }), text: sql, values: [...bindings] });
  return result.rows;
}

/** False for the one connection of a transaction. */
export const isPool = (db: Db): db is pg.Pool => 'totalCount' in db;

const begunOn = new WeakMap<Db, Db>();

/** The pool behind a transaction, or behind one that is looked at while it works for a request (observe/watch.ts): what is remembered of the database hangs on it. */
export const identityOf = (db: Db): Db => begunOn.get(db) ?? ('identity' in db ? (db.identity as Db) : primaryOf(db));

/** Runs `work` in one transaction: all of it is kept, or nothing. `settings` of the database hold until its end. */
export async function transaction<T>(db: Db, work: (tx: Db) => Promise<T>, settings: Record<string, string> = {}): Promise<T> {
  const pool = primaryOf(db);
  if (!isPool(pool)) return work(pool);
  const client = await pool.connect();
  begunOn.set(client, identityOf(pool));
  let broken: Error | undefined;
  try {
    const set = Object.entries(settings).map(([name, value]) => `; set local ${name} = ${pg.escapeLiteral(value)}`);
    await client.query(`begin${set.join('')}`);
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => {
      broken = failure;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/** After a statement that failed, by who is going to throw: makes a transaction that it was part of one in which it can be asked why. It keeps nothing. */
export async function undo(db: Db): Promise<void> {
  if (!('totalCount' in db)) await db.query('rollback; begin');
}

/** True when `error` is Postgres's refusal `code` (SQLSTATE). */
export const isDatabaseError = (error: unknown, code: string): boolean => error instanceof pg.DatabaseError && error.code === code;

export const UNIQUE_VIOLATION = '23505';
export const FOREIGN_KEY_VIOLATION = '23503';

/** True for a value that Postgres cannot hold or compare: text outside its encoding, a number out of range, a LIKE pattern that ends in its escape (class 22). */
export const isBadValue = (error: unknown): boolean => error instanceof pg.DatabaseError && (error.code ?? '').startsWith('22');

/** True when the database could not be reached, is stopping, is full of connections or took too long: trying again may help. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(08|53|57|55P03)/.test(error.code ?? '');
  return error instanceof Error && /connect|Connection terminated|ECONNRE|timeout exceeded/i.test(error.message);
}
