import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer, type TestServer } from './helpers/server.ts';

type Line = Record<string, unknown>;

/** A server that logs statements slower than this, and what it logged. */
async function startLogging(slowQueryMs: number) {
  const lines: Line[] = [];
  const webhooks = { allowedSchemes: ['http'], allowPrivateIps: true };
  const log = pino({ level: 'warn' }, { write: (line) => lines.push(JSON.parse(line)) });
  const server = await startTestServer(undefined, webhooks, undefined, undefined, undefined, undefined, undefined, { slowQueryMs, log });
  return { ...server, lines };
}

/** Makes what `ask` asks for wait for a lock for `ms` or some more: writes of a table, or all that is done with it. */
async function delayed(
  { db }: TestServer,
  ask: () => PromiseLike<{ status: number }>,
  ms: number,
  lock = 'registered_models in share mode',
): Promise<void> {
  const blocker = await db.connect();
  await blocker.query(`begin; lock table ${lock}`);
  const replied = Promise.resolve(ask());
  const isWaiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  await expect.poll(async () => (await db.query(isWaiting)).rowCount, { timeout: 10_000 }).toBe(1);
  await sleep(ms);
  await blocker.query('rollback');
  blocker.release();
  expect((await replied).status).toBe(200);
}

it('logs a slow statement with its name, its request and its text, but no value of it', async () => {
  const server = await startLogging(200);
  const name = freshName('confidential');
  const create = () => server.post('registered-models/create', { name, description: 'secret words' }).set('X-Request-Id', 'slow-1');
  await delayed(server, create, 300);
  expect(server.lines).toHaveLength(1);
  const [line] = server.lines;
  expect(line).toMatchObject({
    level: 40,
    msg: 'a slow statement',
    op: 'registered_model.create',
    requestId: 'slow-1',
    statement: 'insert_registered_model',
    sql: expect.stringMatching(/insert into registered_models .*\$1/),
    waiting: 0,
  });
  expect(line?.ms).toBeGreaterThan(250);
  expect(line?.ms).toBeLessThan(5000);
  expect(String(line?.sql).length).toBeLessThanOrEqual(500);
  expect(JSON.stringify(line)).not.toMatch(/confidential|secret words/);
});

it('logs those of a transaction too, and not those of it that were quick', async () => {
  const server = await startLogging(200);
  const events = [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }];
  expect((await server.post('webhooks', { name: 'hook', url: 'http://127.0.0.1/', events })).status).toBe(200);
  await delayed(server, () => server.post('registered-models/create', { name: freshName() }), 300);
  const ofRequest = server.lines.filter(({ op }) => op === 'registered_model.create');
  expect(ofRequest.map(({ statement }) => statement)).toEqual(['insert_registered_model']);
});

it('logs searches, and no value of them either', async () => {
  const server = await startLogging(200);
  await delayed(server, () => server.get('experiments/search', { filter: "name = 'confidential'", max_results: 9 }), 300, 'experiments');
  expect(server.lines).toMatchObject([{ op: 'experiment.search', statement: expect.stringMatching(/^built/) }]);
  expect(JSON.stringify(server.lines)).not.toContain('confidential');
});

it('logs none with SLOW_QUERY_MS=0, and by default those of half a second', async () => {
  const server = await startLogging(readConfig([], { SLOW_QUERY_MS: '0' }).observe.slowQueryMs);
  await delayed(server, () => server.post('registered-models/create', { name: freshName() }), 300);
  expect(server.lines).toEqual([]);
  expect(readConfig([], {}).observe.slowQueryMs).toBe(500);
});
