import fs from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import knex from 'knex';
import pg from 'pg';
import { isDatabaseError } from './database.ts';

const directory = fileURLToPath(new URL('../../../migrations', import.meta.url));
const OLDEST_POSTGRES = 14;
const CONNECT_WITHIN_MS = 10_000;

/**
 * Brings the database's schema up to date; gives the names of the migrations it applied, oldest first.
 * Servers that start at once wait for each other on an advisory lock. Knex's own lock is a row that a killed migration leaves behind, so it is
 * cleared while the advisory lock, which cannot be stale, is held. Throws one sentence when no PostgreSQL, or one older than 14, answers.
 */
export async function migrate(url: string): Promise<string[]> {
  const guard = await connect(url);
  try {
    const { rows } = await guard.query<{ version: number }>("select current_setting('server_version_num')::int / 10000 as version");
    const version = rows[0]?.version ?? 0;
    if (version < OLDEST_POSTGRES)
      throw new Error(`DATABASE_URL: PostgreSQL ${version} is too old, version ${OLDEST_POSTGRES} or newer is needed.`);
    await guard.query("select pg_advisory_lock(hashtext('model-commons migrate'))");
    return await applyMigrations(url);
  } finally {
    await guard.end();
  }
}

const UNDEFINED_TABLE = '42P01';

/** Throws one sentence that says what to do when the database's schema is not the one of this program. Changes nothing. */
export async function checkSchema(url: string): Promise<void> {
  const client = await connect(url);
  try {
    const { rows } = await client.query<{ name: string }>('select name from schema_migrations').catch((error) => {
      if (isDatabaseError(error, UNDEFINED_TABLE)) return { rows: [] };
      throw error;
    });
    const applied = new Set(rows.map(({ name }) => name));
    const known = (await fs.readdir(directory)).filter((name) => name.endsWith('.js'));
    if (known.some((name) => !applied.delete(name)))
      throw new Error(
        'The database is not up to date: start the server of this version once (`model-commons serve`), then run this again.',
      );
    if (applied.size > 0) throw new Error('The database was made by a newer Model Commons: run this with that one.');
  } finally {
    await client.end();
  }
}

async function connect(url: string): Promise<pg.Client> {
  try {
    const client = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: CONNECT_WITHIN_MS });
    await client.connect();
    return client;
  } catch (error) {
    // A host of several addresses fails with an error without a text.
    const { message, code } = error as NodeJS.ErrnoException;
    throw new Error(`DATABASE_URL: the PostgreSQL at ${new URL(url).host} cannot be used: ${message || code}.`);
  }
}

async function applyMigrations(url: string): Promise<string[]> {
  const db = knex({ client: 'pg', connection: url, pool: { min: 0, max: 2 } });
  try {
    const migrations = { directory, loadExtensions: ['.js'], tableName: 'schema_migrations' };
    await db.migrate.forceFreeMigrationsLock(migrations).catch(() => {});
    const [, applied] = (await db.migrate.latest(migrations)) as [number, string[]];
    return applied;
  } finally {
    await db.destroy();
  }
}
