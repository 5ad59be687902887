import { fileURLToPath } from 'node:url';
import knex from 'knex';
import pg from 'pg';

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
