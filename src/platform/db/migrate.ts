import { fileURLToPath } from 'node:url';
import knex from 'knex';
import pg from 'pg';

const directory = fileURLToPath(new URL('../../../migrations', import.meta.url));
const OLDEST_POSTGRES = 14;

/**
 * Brings the database's schema up to date; gives the names of the migrations it applied, oldest first.
 * Servers that start at once wait for each other on an advisory lock. Knex's own lock is a row that a killed migration leaves behind, so it is
 * cleared while the advisory lock, which cannot be stale, is held. Throws when the PostgreSQL is older than 14.
 */
export async function migrate(url: string): Promise<string[]> {
  const guard = new pg.Client({ connectionString: url });
  await guard.connect();
  try {
    const { rows } = await guard.query<{ version: number }>("select current_setting('server_version_num')::int / 10000 as version");
    const version = rows[0]?.version ?? 0;
    if (version < OLDEST_POSTGRES) throw new Error(`PostgreSQL ${version} is too old: version ${OLDEST_POSTGRES} or newer is needed.`);
    await guard.query("select pg_advisory_lock(hashtext('model-commons migrate'))");
    return await applyMigrations(url);
  } finally {
    await guard.end();
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
