import { fileURLToPath } from 'node:url';
import knex from 'knex';
import pg from 'pg';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { migrate } from '../src/platform/db/migrate.ts';
import { databaseUrl } from './helpers/global-setup.ts';

const DATABASE = 'test_migrations';
const admin = new pg.Client({ connectionString: inject('postgresUrl') });
await admin.connect();
await admin.query(`drop database if exists ${DATABASE}`);
await admin.query(`create database ${DATABASE}`);
await admin.end();
const url = databaseUrl(inject('postgresUrl'), DATABASE);
const directory = fileURLToPath(new URL('../migrations', import.meta.url));
const db = knex({ client: 'pg', connection: url, migrations: { directory, tableName: 'schema_migrations' }, pool: { min: 0, max: 1 } });

afterAll(() => db.destroy());

/** Tables with their columns, constraints, indexes and functions, in a fixed order: what a review wants to see of a migration. */
async function describeSchema(): Promise<string> {
  const { rows } = await db.raw<{ rows: { line: string }[] }>(`
    with tables as (select c.oid, c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname not like 'schema_migrations%')
    select line from (
      select relname, 0 as part, 0 as place, 'table ' || relname as line from tables
      union all
      select relname, 1, a.attnum, '  ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || coalesce(' collate ' || (select collname from pg_collation l where l.oid = a.attcollation and l.collname <> 'default'), '')
        || case when a.attnotnull then ' not null' else '' end
        || case when a.attidentity <> '' then ' identity' else '' end
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
      from tables join pg_attribute a on a.attrelid = tables.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      union all
      select relname, 2, row_number() over (partition by relname order by k.contype, k.conname), '  ' || pg_get_constraintdef(k.oid)
      from tables join pg_constraint k on k.conrelid = tables.oid and k.contype <> 'n'
      union all
      select relname, 3, row_number() over (partition by relname order by i.indexrelid::regclass::text collate "C"), '  ' || pg_get_indexdef(i.indexrelid)
      from tables join pg_index i on i.indrelid = tables.oid and not i.indisprimary
    ) lines order by relname collate "C", part, place`);
  return `${rows.map(({ line }) => line).join('\n')}\n`;
}

/** Somebody who may make tables in a database of its own, and cannot add extensions to it. */
async function databaseOfLimitedRole(): Promise<string> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  await admin.query(`drop database if exists ${DATABASE}_limited`);
  await admin.query('drop role if exists limited');
  await admin.query("create role limited login password 'limited'");
  await admin.query(`create database ${DATABASE}_limited`);
  await admin.end();
  const url = new URL(databaseUrl(inject('postgresUrl'), `${DATABASE}_limited`));
  const owner = new pg.Client({ connectionString: url.href });
  await owner.connect();
  await owner.query('grant all on schema public to limited');
  await owner.end();
  return Object.assign(url, { username: 'limited', password: 'limited' }).href;
}

describe('the migrations', () => {
  it('go up, down and up again, to the schema in schema.txt', async () => {
    await db.migrate.latest();
    await db.migrate.rollback(undefined, true);
    expect(await describeSchema()).toBe('\n');
    await db.migrate.latest();
    await expect(await describeSchema()).toMatchFileSnapshot('schema.txt');
  });

  it('do without the index on parts of names where pg_trgm cannot be had', async () => {
    const limited = await databaseOfLimitedRole();
    await migrate(limited);
    const client = new pg.Client({ connectionString: limited });
    await client.connect();
    const { rows } = await client.query(
      "select indexname from pg_indexes where indexname in ('registered_models_name_trigrams', 'run_tags_by_key')",
    );
    await client.end();
    expect(rows).toEqual([{ indexname: 'run_tags_by_key' }]);
  });
});
