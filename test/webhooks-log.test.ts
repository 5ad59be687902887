import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { purgeDeliveries } from '../src/registry/webhooks/delivery-log.ts';
import { openWebhooks } from '../src/registry/webhooks/open.ts';
import { startReceiver } from './helpers/receiver.ts';
import { seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const settings = { allowedSchemes: ['http'], allowPrivateIps: true, timeoutSeconds: 1, maxWorkers: 4 };
const server = await startTestServer(undefined, settings);
const modelCreated = { entity: 'REGISTERED_MODEL', action: 'CREATED' };
const SECRET = 'do-not-show-me';

async function subscribe(url: string): Promise<string> {
  const reply = await server.post('webhooks', { name: 'hook', url, events: [modelCreated], secret: SECRET });
  expect(reply.status, JSON.stringify(reply.body)).toBe(200);
  return reply.body.webhook.webhook_id;
}

const logOf = (id: string) => `/api/1.0/webhooks/${id}/deliveries`;
const read = async (id: string, query: Record<string, string | number> = {}) => (await server.get(logOf(id), query).expect(200)).body;
const statuses = async (id: string) => (await read(id)).deliveries.map(({ status }: { status: string }) => status);
const redeliver = (id: string, delivery: string) => server.post(`${logOf(id)}/${delivery}:redeliver`);

afterEach(async () => {
  for (const { webhook_id } of (await server.get('webhooks')).body.webhooks ?? []) await server.delete(`webhooks/${webhook_id}`);
});

describe('GET webhooks/{webhook_id}/deliveries', () => {
  it('shows what arrived, what failed and what is tried again, without URL, secret or what the receiver said', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({}, { status: 404, body: 'SESAME' }, { status: 503, headers: { 'Retry-After': '60' }, body: 'SESAME' });
    const id = await subscribe(receiver.url);
    for (let i = 1; i <= 3; i++) {
      await seedModel(server);
      await receiver.first(i);
    }
    await expect.poll(async () => (await read(id)).deliveries[0].response_status).toBe(503);
    const log = await read(id);
    const ids = receiver.received.map(({ headers }) => headers['x-mlflow-delivery-id']);
    const common = { event: modelCreated, attempts: 1, creation_timestamp: expect.any(Number), last_attempt_timestamp: expect.any(Number) };
    expect(log).toEqual({
      deliveries: [
        {
          ...common,
          delivery_id: ids[2],
          status: 'PENDING',
          response_status: 503,
          error_message: 'The receiver answered 503.',
          next_attempt_timestamp: expect.any(Number),
        },
        { ...common, delivery_id: ids[1], status: 'FAILED', response_status: 404, error_message: 'The receiver answered 404.' },
        { ...common, delivery_id: ids[0], status: 'SUCCEEDED', response_status: 200 },
      ],
    });
    const [{ next_attempt_timestamp: next, last_attempt_timestamp: last }] = log.deliveries;
    expect(next - last).toBeGreaterThan(59_000);
    expect(JSON.stringify(log)).not.toMatch(new RegExp(`${SECRET}|SESAME|127\\.0\\.0\\.1`));
  });

  it('is read by pages, and by status', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({ status: 400 });
    const id = await subscribe(receiver.url);
    for (let i = 1; i <= 5; i++) {
      await seedModel(server);
      await receiver.first(i);
    }
    await expect.poll(() => statuses(id)).toEqual(['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'FAILED']);
    const seen: string[] = [];
    let token: string | undefined;
    do {
      const page = await read(id, { max_results: 2, ...(token && { page_token: token }) });
      seen.push(...page.deliveries.map(({ delivery_id }: { delivery_id: string }) => delivery_id));
      token = page.next_page_token;
    } while (token);
    expect(seen).toEqual(receiver.received.map(({ headers }) => headers['x-mlflow-delivery-id']).toReversed());
    expect((await read(id, { status: 'FAILED' })).deliveries).toHaveLength(1);
    expect(await read(id, { status: 'PENDING' })).toEqual({ deliveries: [] });
    const bad = await server.get(logOf(id), { status: 'LOST' });
    expect(bad).toMatchObject({ status: 400, body: { message: "Invalid status 'LOST'. Must be one of: PENDING, SUCCEEDED, FAILED" } });
    const { next_page_token: foreign } = await read(id, { max_results: 2 });
    expect((await server.get(logOf(id), { status: 'FAILED', page_token: foreign })).status).toBe(400);
  });

  it('tells of no other webhook, and none of another workspace', async () => {
    const receiver = await startReceiver();
    const id = await subscribe(receiver.url);
    const other = await subscribe(receiver.url);
    await server.db.query(`insert into scopes (kind, name) values ('workspace', 'log-elsewhere')`);
    await server.db.query(`insert into webhook_deliveries (webhook_id, body) values ($1, '{}')`, [other]);
    expect(await read(id)).toEqual({ deliveries: [] });
    for (const reply of [server.get(logOf(id)), redeliver(id, 'x')]) {
      const { status, body } = await reply.set('X-MLFLOW-WORKSPACE', 'log-elsewhere');
      expect([status, body.message]).toEqual([404, `Webhook with ID ${id} not found.`]);
    }
  });

  it('says that a webhook was disabled before something was delivered', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({ status: 503 });
    const id = await subscribe(receiver.url);
    await seedModel(server);
    await receiver.first(1);
    await server.patch(`webhooks/${id}`, { status: 'DISABLED' }).expect(200);
    const [{ delivery_id: delivery, ...entry }] = (await read(id)).deliveries;
    expect(entry).toMatchObject({ status: 'FAILED', error_message: 'The webhook was disabled before this was delivered.' });
    expect(await redeliver(id, delivery)).toMatchObject({
      status: 409,
      body: { error_code: 'INVALID_STATE', message: `Webhook with ID ${id} is disabled: set its status to ACTIVE first.` },
    });
  });
});

describe('POST webhooks/{webhook_id}/deliveries/{delivery_id}:redeliver', () => {
  it('sends what failed or arrived once more, with the same id and body', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({ status: 404 });
    const id = await subscribe(receiver.url);
    await seedModel(server);
    const [first] = await receiver.first(1);
    const delivery = String(first?.headers['x-mlflow-delivery-id']);
    await expect.poll(() => statuses(id)).toEqual(['FAILED']);
    for (const sent of [2, 3]) {
      const { status, body } = await redeliver(id, delivery);
      expect([status, body.delivery]).toEqual([200, expect.objectContaining({ delivery_id: delivery, status: 'PENDING', attempts: 0 })]);
      const again = (await receiver.first(sent))[sent - 1];
      expect([again?.headers['x-mlflow-delivery-id'], again?.raw]).toEqual([delivery, first?.raw]);
      await expect.poll(() => statuses(id)).toEqual(['SUCCEEDED']);
    }
    const [entry] = (await read(id)).deliveries;
    expect(entry).toMatchObject({ attempts: 1, response_status: 200 });
    expect(entry).not.toHaveProperty('error_message');
  });

  it('ends the wait for the next attempt', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({ status: 503, headers: { 'Retry-After': '600' } });
    const id = await subscribe(receiver.url);
    await seedModel(server);
    const [first] = await receiver.first(1);
    await expect.poll(async () => (await read(id)).deliveries[0].response_status).toBe(503);
    await redeliver(id, String(first?.headers['x-mlflow-delivery-id'])).expect(200);
    await receiver.first(2);
    await expect.poll(() => statuses(id)).toEqual(['SUCCEEDED']);
  });

  it('sends once more what is under way, and the answer to that counts', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({ silent: true });
    const id = await subscribe(receiver.url);
    await seedModel(server);
    const [first] = await receiver.first(1);
    await redeliver(id, String(first?.headers['x-mlflow-delivery-id'])).expect(200);
    await receiver.first(2, 900);
    await expect.poll(() => statuses(id)).toEqual(['SUCCEEDED']);
    // The first attempt runs out of time after a second.
    await sleep(1200);
    expect(await statuses(id)).toEqual(['SUCCEEDED']);
  });

  it('is tried again as a new one, however old it is', async () => {
    const receiver = await startReceiver();
    const id = await subscribe(receiver.url);
    const delivery = randomUUID();
    await server.db.query(
      `insert into webhook_deliveries (delivery_id, webhook_id, body, creation_time, due_time, status, end_time)
       values ($1, $2, '{"entity":"prompt","action":"created"}', now() - interval '3 days', now() - interval '3 days', 'FAILED', now() - interval '2 days')`,
      [delivery, id],
    );
    receiver.replies.push({ status: 503 });
    await redeliver(id, delivery).expect(200);
    await receiver.first(2);
  });

  it('is 404 for a delivery that is not there, or is of another webhook', async () => {
    const receiver = await startReceiver();
    const id = await subscribe(receiver.url);
    await seedModel(server);
    const [first] = await receiver.first(1);
    const delivery = String(first?.headers['x-mlflow-delivery-id']);
    const other = await subscribe(receiver.url);
    for (const [webhook, wanted] of [
      [id, 'nope'],
      [other, delivery],
    ] as const) {
      const { status, body } = await redeliver(webhook, wanted);
      expect([status, body.message]).toEqual([404, `Webhook delivery with ID ${wanted} not found.`]);
    }
  });
});

describe('the log', () => {
  it('keeps what has ended for as many days as WEBHOOK_LOG_DAYS says, and what is pending', async () => {
    const receiver = await startReceiver();
    const id = await subscribe(receiver.url);
    await server.db.query(
      `insert into webhook_deliveries (delivery_id, webhook_id, body, status, end_time, next_attempt)
       select name, $1, '{}', status, now() - age::interval, now() + interval '1 day'
       from (values ('old', 'SUCCEEDED', '8 days'), ('failed', 'FAILED', '8 days'), ('new', 'SUCCEEDED', '6 days'), ('due', 'PENDING', null)) v (name, status, age)`,
      [id],
    );
    await purgeDeliveries(server.db, 7);
    const left = await server.db.query<{ delivery_id: string }>('select delivery_id from webhook_deliveries order by 1');
    expect(left.rows.map((row) => row.delivery_id)).toEqual(['due', 'new']);
  });

  it('is purged when a server starts', async () => {
    const id = await subscribe('http://127.0.0.1:9999/hook');
    await server.db.query(
      `insert into webhook_deliveries (webhook_id, body, status, end_time) values ($1, '{}', 'SUCCEEDED', now() - interval '1 second')`,
      [id],
    );
    const started = await openWebhooks(server.db, { ...readConfig([], {}).webhooks, logDays: 0 }, pino({ level: 'silent' }));
    await expect.poll(async () => (await server.db.query('select from webhook_deliveries')).rowCount).toBe(0);
    await started.stop();
  });
});
