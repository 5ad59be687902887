import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import knex, { type Knex } from 'knex';
import pg from 'pg';
import type { Logger } from 'pino';
import { isDatabaseError } from './database.ts';
import type { Pooler } from './pooler.ts';

const directory = fileURLToPath(new URL('../../../migrations', import.meta.url));
const OLDEST_POSTGRES = 14;
const CONNECT_WITHIN_MS = 10_000;
const ASK_FOR_TURN_EVERY_MS = 100;
// For so long whoever else wants the table waits behind a migration that waits for it.
const LOCK_WITHIN_MS = 1000;
const LOCK_TRIES = 60;
const LOCK_PAUSE_MS = 2000;

/**
 * Brings the database's schema up to date; gives the names of the migrations it applied, oldest first. Each is a transaction of its own, beside which other
 * servers go on. Servers that start at once take turns (docs/decisions/0011-upgrades.md). A schema that is newer than this program is left as it is. Throws
 * one sentence when no PostgreSQL, or one older than 14, answers, or the schema is too new. Calls `waits` each time that a table is held by another transaction.
 */
export async function migrate(url: string, pooler: Pooler = 'none', waits: () => void = () => {}): Promise<string[]> {
  const guard = await connect(url, pooler);
  try {
    const { rows } = await guard.query<{ version: number }>("select current_setting('server_version_num')::int / 10000 as version");
    const version = rows[0]?.version ?? 0;
    if (version < OLDEST_POSTGRES)
      throw new Error(`DATABASE_URL: PostgreSQL ${version} is too old, version ${OLDEST_POSTGRES} or newer is needed.`);
    if ((await missingMigrations(guard)).length === 0) return [];
    await takeTurn(guard);
    return await applyMigrations(url, waits);
  } finally {
    await guard.end();
  }
}

/** `migrate` for a server that starts: its log tells what was applied, and what is waited for. */
export async function migrateAtStart(url: string, pooler: Pooler, log: Logger): Promise<void> {
  const applied = await migrate(url, pooler, () => log.warn('waiting to change the schema: other transactions hold its tables'));
  if (applied.length > 0) log.info({ applied }, 'database schema is up to date');
}

/** Throws one sentence that says what to do when the database's schema is not the one of this program. Changes nothing. */
export async function checkSchema(url: string, pooler: Pooler = 'none'): Promise<void> {
  const client = await connect(url, pooler);
  try {
    if ((await missingMigrations(client)).length > 0)
      throw new Error(
        'The database is not up to date: start the server of this version once (`model-commons serve`), then run this again.',
      );
    if ((await appliedMigrations(client)).length > (await knownMigrations()).length)
      throw new Error('The database was made by a newer Model Commons: run this with that one.');
  } finally {
    await client.end();
  }
}

const knownMigrations = async (): Promise<string[]> => (await fs.readdir(directory)).filter((name) => name.endsWith('.js')).sort();

const UNDEFINED_TABLE = '42P01';

async function appliedMigrations(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('select name from schema_migrations').catch((error) => {
    if (isDatabaseError(error, UNDEFINED_TABLE)) return { rows: [] };
    throw error;
  });
  return rows.map(({ name }) => name);
}

/** The migrations that the database lacks. Throws when it has one that took away what this program needs. */
async function missingMigrations(client: pg.Client): Promise<string[]> {
  const [applied, known] = await Promise.all([appliedMigrations(client), knownMigrations()]);
  const newer = applied.filter((name) => !known.includes(name));
  // <its stamp>_contract_<the stamp of the migration that made what replaces it>_<noun>.js
  const replacedBy = newer.flatMap((name) => /^\d+_contract_(\d+)_/.exec(name)?.[1] ?? []);
  if (replacedBy.some((stamp) => !known.some((name) => name.startsWith(`${stamp}_`))))
    throw new Error(
      'DATABASE_URL: the database was changed by a newer Model Commons, and this one is too old for it. Start the newer one.',
    );
  return known.filter((name) => !applied.includes(name));
}

async function connect(url: string, pooler: Pooler): Promise<pg.Client> {
  try {
    const client = new pg.Client({
      connectionString: url,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
      // As the pool has options too, a pooler that does not take them is to say so here.
      ...(pooler === 'none' && { options: '-c statement_timeout=0' }),
    });
    await client.connect();
    return client;
  } catch (error) {
    // A host of several addresses fails with an error without a text.
    const { message, code } = error as NodeJS.ErrnoException;
    const hint = /startup parameter: options/.test(message) ? ' It is a connection pooler: set DATABASE_POOLER=transaction.' : '';
    throw new Error(`DATABASE_URL: the PostgreSQL at ${new URL(url).host} cannot be used: ${message || code}.${hint}`);
  }
}

/**
 * Begins a transaction that holds the one lock of migrations; it is free again when its holder ends in whatever way. It is tried, not waited for: `create index
 * concurrently` of who has it waits for every statement that is under way.
 */
async function takeTurn(guard: pg.Client): Promise<void> {
  for (;;) {
    await guard.query('begin; set local idle_in_transaction_session_timeout = 0');
    const { rows } = await guard.query<{ locked: boolean }>(
      "select pg_try_advisory_xact_lock(hashtext('model-commons migrate')) as locked",
    );
    if (rows[0]?.locked) return;
    await guard.query('rollback');
    await sleep(ASK_FOR_TURN_EVERY_MS);
  }
}

type Migration = { up(db: Knex): Promise<unknown>; down(db: Knex): Promise<unknown>; config?: { transaction?: boolean } };

/** Knex's own lock is a row that a killed migration leaves behind: it is cleared, since who is here has the other one, which cannot be stale. */
async function applyMigrations(url: string, waits: () => void): Promise<string[]> {
  // What it warns of is thrown as well.
  const db = knex({ client: 'pg', connection: url, pool: { min: 0, max: 2 }, log: { warn() {} } });
  try {
    const settings = { tableName: 'schema_migrations', migrationSource: impatientMigrations, disableMigrationsListValidation: true };
    await db.migrate.forceFreeMigrationsLock(settings).catch(() => {});
    const applied: string[] = [];
    for (let tries = 1; ; ) {
      try {
        const [, [name]] = (await db.migrate.up(settings)) as [number, string[]];
        if (name === undefined) return applied;
        applied.push(name);
      } catch (error) {
        if (!isDatabaseError(error, LOCK_NOT_AVAILABLE)) throw error;
        if (tries++ === LOCK_TRIES)
          throw new Error(
            'DATABASE_URL: the schema cannot be changed, since other transactions hold its tables. Start again when they are through.',
          );
        waits();
        await sleep(LOCK_PAUSE_MS);
      }
    }
  } finally {
    await db.destroy();
  }
}

const LOCK_NOT_AVAILABLE = '55P03';

/** The folder's migrations; what runs in a transaction gives a lock up soon. */
const impatientMigrations: Knex.MigrationSource<string> = {
  getMigrations: knownMigrations,
  getMigrationName: (name) => name,
  async getMigration(name) {
    const migration = (await import(pathToFileURL(path.join(directory, name)).href)) as Migration;
    if (migration.config?.transaction === false) return migration;
    return {
      ...migration,
      async up(db) {
        await db.raw(`set local lock_timeout = ${LOCK_WITHIN_MS}`);
        await migration.up(db);
      },
    };
  },
};
