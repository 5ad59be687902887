import fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import knex from 'knex';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../src/platform/db/migrate.ts';
import { makeSite } from './helpers/site.ts';

const directory = fileURLToPath(new URL('../migrations', import.meta.url));
const migrations = (await fs.readdir(directory)).toSorted();
const SERVERS = 8;

/** The last migration that waits for a lock on a table which servers write to: it makes triggers on registered_models. */
const LOCKING = '20261121011000_access.js';

async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const applied = async (client: pg.Client): Promise<string[]> =>
  (await client.query<{ name: string }>('select name from schema_migrations order by name')).rows.map(({ name }) => name);

/** Undoes migrations, the last first, until those of `wanted` are left. */
async function downTo(url: string, wanted: (name: string) => boolean): Promise<void> {
  const db = knex({ client: 'pg', connection: url, migrations: { directory, tableName: 'schema_migrations' }, pool: { min: 0, max: 1 } });
  for (const name of migrations.toReversed()) {
    if (wanted(name)) break;
    await db.migrate.down();
  }
  await db.destroy();
}

describe('eight servers that start at the same moment', () => {
  it.each([
    ['an empty database', null],
    ['a database that lacks one migration', migrations.at(-1)],
  ])('on %s all come up, and each migration was applied once', { timeout: 180_000 }, async (_, lacking) => {
    const { databaseUrl, start } = await makeSite();
    if (lacking) {
      await migrate(databaseUrl);
      await downTo(databaseUrl, (name) => name !== lacking);
    }
    const servers = await Promise.all(Array.from({ length: SERVERS }, () => start()));
    const statuses = await Promise.all(
      servers.map(async ({ url }, i) => {
        const headers = { 'Content-Type': 'application/json' };
        const body = JSON.stringify({ name: `m${i}` });
        return (await fetch(`${url}/api/2.0/mlflow/registered-models/create`, { method: 'POST', headers, body })).status;
      }),
    );
    expect(statuses).toEqual(Array(SERVERS).fill(200));
    expect(servers.map(({ stderr }) => stderr())).toEqual(Array(SERVERS).fill(''));
    expect(await applied(await connectTo(databaseUrl))).toEqual(migrations);
  });
});

describe('a migration', () => {
  it('that has to wait for a table lets others write to it meanwhile', { timeout: 60_000 }, async () => {
    const { databaseUrl } = await makeSite();
    await migrate(databaseUrl);
    await downTo(databaseUrl, (name) => name < LOCKING);
    const [holder, writer] = [await connectTo(databaseUrl), await connectTo(databaseUrl)];
    await holder.query("begin; insert into registered_models (scope_id, name) values (1, 'long transaction')");
    let isDone = false;
    const migrating = migrate(databaseUrl).finally(() => {
      isDone = true;
    });
    let longest = 0;
    for (const until = Date.now() + 5000; Date.now() < until; await sleep(20)) {
      const began = performance.now();
      await writer.query("insert into registered_models (scope_id, name) values (1, 'm' || random())");
      longest = Math.max(longest, performance.now() - began);
    }
    expect(isDone).toBe(false);
    // It did wait, a second at a time, and whoever came behind it no longer than that.
    expect(longest).toBeGreaterThan(200);
    expect(longest).toBeLessThan(2000);
    await holder.query('commit');
    await migrating;
    expect(await applied(writer)).toEqual(migrations);
  });
});

describe('a database whose schema is of a newer release', () => {
  const newerBy = async (name: string) => {
    const site = await makeSite();
    await migrate(site.databaseUrl);
    const client = await connectTo(site.databaseUrl);
    await client.query('insert into schema_migrations (name, batch, migration_time) values ($1, 99, now())', [name]);
    return site;
  };

  it('is served: what the newer one added does not matter, nor what it took away that this one had replaced', {
    timeout: 60_000,
  }, async () => {
    const { start } = await newerBy('29990101000000_more.js');
    const { url } = await start();
    expect((await fetch(`${url}/api/2.0/mlflow/registered-models/search`)).status).toBe(200);
    const { databaseUrl } = await newerBy(`29990101000000_contract_${migrations.at(-1)?.split('_')[0]}_less.js`);
    expect(await migrate(databaseUrl)).toEqual([]);
  });

  it('is refused in one sentence when what this one needs was taken away', { timeout: 60_000 }, async () => {
    const { start } = await newerBy('29990101000000_contract_29980101000000_less.js');
    await expect(start()).rejects.toThrow(
      /It printed: model-commons: DATABASE_URL: the database was changed by a newer Model Commons, and this one is too old for it\. Start the newer one\.\n$/,
    );
  });
});
