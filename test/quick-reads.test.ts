import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isDatabaseError, quickRead, run, transaction } from '../src/platform/db/database.ts';
import { startTestServer } from './helpers/server.ts';

const { db } = await startTestServer();
const ECHO = quickRead('echo', 'select :value::integer as value, pg_backend_pid() as connection');
const SLEEP = quickRead('echo_later', 'select :value::integer as value from pg_sleep(:seconds::float8)');
const DESCRIBE = quickRead('describe_model', 'select description from registered_models where name = :name');

type Echo = { value: number; connection: number };
const echo = async (value: number | string) => (await run<Echo>(db, ECHO, { value }))[0];
const BAD_TEXT = '22P02';

describe('quick reads', () => {
  it('are answered each by its own, over two connections however many there are', async () => {
    const numbers = Array.from({ length: 500 }, (_, i) => i);
    const rows = await Promise.all(numbers.map(echo));
    expect(rows.map((row) => row?.value)).toEqual(numbers);
    expect(new Set(rows.map((row) => row?.connection)).size).toBe(2);
  });

  it('fail one by one', async () => {
    const asked = await Promise.allSettled([1, 'x', 2, 'y', 3].map(echo));
    expect(asked.map((one) => (one.status === 'fulfilled' ? one.value?.value : isDatabaseError(one.reason, BAD_TEXT)))).toEqual([
      1,
      true,
      2,
      true,
      3,
    ]);
  });

  it('do not wait behind a slow one while there is another connection', async () => {
    const slow = run(db, SLEEP, { value: 1, seconds: 1 });
    await sleep(50);
    const started = performance.now();
    await echo(1);
    expect(performance.now() - started).toBeLessThan(900);
    await slow;
  });

  it('are asked again when their connection is lost', async () => {
    db.on('error', () => {});
    const before = await Promise.all([echo(1), echo(2)]);
    const underWay = Promise.all([
      run<Echo>(db, SLEEP, { value: 3, seconds: 0.5 }),
      run<Echo>(db, SLEEP, { value: 4, seconds: 0.5 }),
      echo(5),
    ]);
    await db.query('select pg_terminate_backend(pid) from unnest($1::integer[]) as pid', [before.map((row) => row?.connection)]);
    const at = await Promise.all([echo(6), echo(7)]);
    expect((await underWay).flat().map((row) => row?.value)).toEqual([3, 4, 5]);
    expect(at.map((row) => row?.value)).toEqual([6, 7]);
    expect(before.map((row) => row?.connection)).not.toContain(at[0]?.connection);
  });

  it('see what their transaction wrote', async () => {
    const rows = await transaction(db, async (tx) => {
      await tx.query("insert into registered_models (scope_id, name, description) values (1, 'uncommitted', 'here')");
      return [await run(tx, DESCRIBE, { name: 'uncommitted' }), await run(db, DESCRIBE, { name: 'uncommitted' })];
    });
    expect(rows).toEqual([[{ description: 'here' }], []]);
  });
});
