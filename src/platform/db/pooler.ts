import pg from 'pg';

/**
 * What stands between the servers and PostgreSQL. Behind a pooler that gives a connection to another client after each transaction nothing may be left
 * on a connection, such as a named prepared statement, and the start of a connection cannot carry settings.
 */
export type Pooler = 'none' | 'transaction';

/** Limits (ms) after which a database that is dead or blocked becomes an error, not a hang. */
export const LIMITS = { statement_timeout: 60_000, lock_timeout: 20_000, idle_in_transaction_session_timeout: 60_000 };

const limits = Object.entries(LIMITS);
const SET_LOCAL = limits.map(([name, ms]) => `set local ${name} = ${ms}`).join('; ');
const SET_BEFORE = `select ${limits.map(([name, ms]) => `set_config('${name}', '${ms}', true)`).join(', ')}`;

const BEGIN = /^(rollback; )?begin\b[^;]*/;

type Callback = (error: Error | null, result?: unknown) => void;
type QueryConfig = { name?: string; text: string; values?: unknown[] };

/** The messages of the extended protocol, as pg's own queries send and take them; its types leave them out. */
type Wire = { parse(message: { text: string }): void; bind(message: object): void; execute(message: object): void };
type PgQuery = pg.Submittable & {
  callback: Callback;
  prepare(connection: Wire): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Wire): void;
};
const PgQuery = pg.Query as unknown as new (config: QueryConfig & { queryMode: 'extended' }) => PgQuery;

/** A statement on its own, with the limits set in the same message to PostgreSQL: what is sent before one Sync is one transaction, and limits that are local to it. */
class LimitedQuery extends PgQuery {
  private isLimited = false;

  override prepare(connection: Wire): void {
    connection.parse({ text: SET_BEFORE });
    connection.bind({});
    connection.execute({});
    super.prepare(connection);
  }

  override handleDataRow(message: unknown): void {
    if (this.isLimited) super.handleDataRow(message);
  }

  override handleCommandComplete(message: unknown, connection: Wire): void {
    if (this.isLimited) super.handleCommandComplete(message, connection);
    this.isLimited = true;
  }
}

/** A client for PgBouncer in transaction mode: it names no statement, and sets its limits in every transaction. */
export class PoolerClient extends pg.Client {
  // @ts-expect-error: of the many ways to call it, these are ours and the pool's.
  override query(asked: string | QueryConfig, values?: unknown[], callback?: Callback): Promise<unknown> | undefined {
    const send = super.query as (config: unknown, values?: unknown[], callback?: Callback) => Promise<unknown> | undefined;
    const { text, values: given = values } = typeof asked === 'string' ? { text: asked } : asked;
    if (BEGIN.test(text)) return send.call(this, text.replace(BEGIN, `$&; ${SET_LOCAL}`), undefined, callback);
    // Null on a connection that has just begun.
    if (!['I', null].includes(this.getTransactionStatus())) return send.call(this, text, given, callback);
    const query = new LimitedQuery({ text, ...(given && { values: given }), queryMode: 'extended' });
    if (callback) {
      query.callback = callback;
      return send.call(this, query);
    }
    return new Promise((resolve, reject) => {
      query.callback = (error, result) => (error ? reject(error) : resolve(result));
      send.call(this, query);
    });
  }
}
