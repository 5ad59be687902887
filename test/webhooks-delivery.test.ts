import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Received, signatureOf, startReceiver } from './helpers/receiver.ts';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const settings = { allowedSchemes: ['http'], allowPrivateIps: true, timeoutSeconds: 1, maxWorkers: 4 };
const server = await startTestServer(undefined, settings);

const ALL_EVENTS = {
  REGISTERED_MODEL: ['CREATED'],
  MODEL_VERSION: ['CREATED'],
  MODEL_VERSION_TAG: ['SET', 'DELETED'],
  MODEL_VERSION_ALIAS: ['CREATED', 'DELETED'],
  PROMPT: ['CREATED'],
  PROMPT_VERSION: ['CREATED'],
  PROMPT_TAG: ['SET', 'DELETED'],
  PROMPT_VERSION_TAG: ['SET', 'DELETED'],
  PROMPT_ALIAS: ['CREATED', 'DELETED'],
};
const allEvents = Object.entries(ALL_EVENTS).flatMap(([entity, actions]) => actions.map((action) => ({ entity, action })));
const modelCreated = [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }];

async function subscribe(url: string, more: object = {}): Promise<string> {
  const reply = await server.post('webhooks', { name: 'hook', url, events: modelCreated, ...more });
  expect(reply.status, JSON.stringify(reply.body)).toBe(200);
  return reply.body.webhook.webhook_id;
}

const pending = async () =>
  (await server.db.query<{ count: number }>(`select count(*) from webhook_deliveries where status = 'PENDING'`)).rows[0]?.count;
const namesIn = (received: Received[]) => received.map(({ body }) => (body.data as { name: string }).name);

afterEach(async () => {
  for (const { webhook_id } of (await server.get('webhooks')).body.webhooks ?? []) await server.delete(`webhooks/${webhook_id}`);
});

describe('what a webhook is sent', () => {
  it('is each event of models and versions, with its data', async () => {
    const receiver = await startReceiver();
    await subscribe(receiver.url, { events: allEvents });
    const name = freshName();
    const version = { name, version: '1' };
    const steps: [() => PromiseLike<{ status: number }>, string, object][] = [
      [
        () => server.post('registered-models/create', { name, tags: [{ key: 'a', value: 'b' }] }),
        'registered_model.created',
        { name, tags: { a: 'b' }, description: '' },
      ],
      [
        () => server.post('model-versions/create', { name, source: 's3://b/m', description: 'd' }),
        'model_version.created',
        { name, version: '1', source: 's3://b/m', run_id: null, tags: {}, description: 'd' },
      ],
      [
        () => server.post('model-versions/set-tag', { ...version, key: 'k', value: 'v' }),
        'model_version_tag.set',
        { ...version, key: 'k', value: 'v' },
      ],
      [() => server.delete('model-versions/delete-tag', { ...version, key: 'k' }), 'model_version_tag.deleted', { ...version, key: 'k' }],
      [() => server.post('registered-models/alias', { ...version, alias: 'x' }), 'model_version_alias.created', { ...version, alias: 'x' }],
      [() => server.delete('registered-models/alias', { name, alias: 'x' }), 'model_version_alias.deleted', { name, alias: 'x' }],
    ];
    for (const [i, [change, event, data]] of steps.entries()) {
      expect((await change()).status).toBe(200);
      const sent = (await receiver.first(i + 1))[i]?.body;
      const [entity, action] = event.split('.');
      expect(sent).toEqual({ entity, action, timestamp: expect.any(String), workspace: 'default', data });
    }
  });

  it('is another event for a prompt, without the tags that make it one', async () => {
    const receiver = await startReceiver();
    await subscribe(receiver.url, { events: allEvents });
    const name = freshName('prompt');
    const version = { name, version: '1' };
    const prompt = { key: 'mlflow.prompt.is_prompt', value: 'true' };
    const text = { key: 'mlflow.prompt.text', value: 'Hello {{name}}' };
    await server.post('registered-models/create', { name, tags: [prompt, { key: 'a', value: 'b' }] }).expect(200);
    await server
      .post('model-versions/create', { name, source: 'dummy-source', tags: [prompt, text, { key: 'c', value: 'd' }] })
      .expect(200);
    await server.post('registered-models/set-tag', { name, key: 'k', value: 'v' }).expect(200);
    await server.delete('registered-models/delete-tag', { name, key: 'k' }).expect(200);
    await server.post('model-versions/set-tag', { ...version, key: 'k', value: 'v' }).expect(200);
    await server.delete('model-versions/delete-tag', { ...version, key: 'k' }).expect(200);
    await server.post('registered-models/alias', { ...version, alias: 'x' }).expect(200);
    await server.delete('registered-models/alias', { name, alias: 'x' }).expect(200);
    const sent = (await receiver.first(8)).map(({ body }) => ({ [`${body.entity}.${body.action}`]: body.data }));
    expect(sent.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))).toEqual([
      { 'prompt.created': { name, tags: { a: 'b' }, description: '' } },
      { 'prompt_alias.created': { ...version, alias: 'x' } },
      { 'prompt_alias.deleted': { name, alias: 'x' } },
      { 'prompt_tag.deleted': { name, key: 'k' } },
      { 'prompt_tag.set': { name, key: 'k', value: 'v' } },
      { 'prompt_version.created': { ...version, template: 'Hello {{name}}', tags: { c: 'd' }, description: null } },
      { 'prompt_version_tag.deleted': { ...version, key: 'k' } },
      { 'prompt_version_tag.set': { ...version, key: 'k', value: 'v' } },
    ]);
  });

  it('is signed with the secret as it is at the time, or not at all without one', async () => {
    const receiver = await startReceiver();
    const id = await subscribe(receiver.url, { secret: 'first ü' });
    await seedModel(server);
    const [first] = await receiver.first(1);
    expect(first?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-mlflow-delivery-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'x-mlflow-timestamp': expect.stringMatching(/^\d{10}$/),
      'x-mlflow-signature': signatureOf('first ü', first as Received),
    });
    await server.patch(`webhooks/${id}`, { secret: 'second' }).expect(200);
    await seedModel(server);
    const [, second] = await receiver.first(2);
    expect(second?.headers['x-mlflow-signature']).toBe(signatureOf('second', second as Received));
    await server.patch(`webhooks/${id}`, { secret: '' }).expect(200);
    await seedModel(server);
    expect((await receiver.first(3))[2]?.headers).not.toHaveProperty('x-mlflow-signature');
  });

  it('is nothing of a change that failed, of other events, of other workspaces, and once it is disabled', async () => {
    const receiver = await startReceiver();
    const taken = await seedModel(server);
    const id = await subscribe(receiver.url);
    await server.post('registered-models/create', { name: taken }).expect(400);
    await server.post('model-versions/create', { name: taken, source: 's3://b/m' }).expect(200);
    await server.db.query(`insert into scopes (kind, name) values ('workspace', 'elsewhere')`);
    await server.post('registered-models/create', { name: 'there' }).set('X-MLFLOW-WORKSPACE', 'elsewhere').expect(200);
    const told = await seedModel(server);
    await server.patch(`webhooks/${id}`, { status: 'DISABLED' }).expect(200);
    await seedModel(server);
    await server.patch(`webhooks/${id}`, { status: 'ACTIVE' }).expect(200);
    const last = await seedModel(server);
    expect(namesIn(await receiver.first(2)).toSorted()).toEqual([told, last].toSorted());
  });
});

describe('a delivery that fails', () => {
  it.each([
    ['503', { status: 503 }],
    ['429', { status: 429 }],
    ['no answer in time', { silent: true as const }],
  ])('by %s is tried again, with the same id and a signature of the new time', async (_, reply) => {
    const receiver = await startReceiver();
    receiver.replies.push(reply);
    await subscribe(receiver.url, { secret: 's' });
    await seedModel(server);
    const [first, second] = await receiver.first(2, 8000);
    expect(second?.headers['x-mlflow-delivery-id']).toBe(first?.headers['x-mlflow-delivery-id']);
    expect(second?.raw).toBe(first?.raw);
    expect(second?.headers['x-mlflow-signature']).toBe(signatureOf('s', second as Received));
    await expect.poll(pending).toBe(0);
  });

  it.each([302, 400, 404, 410])('by %d is not', async (status) => {
    const receiver = await startReceiver();
    receiver.replies.push({ status, headers: { Location: receiver.url } });
    await subscribe(receiver.url);
    await seedModel(server);
    await receiver.first(1);
    await expect.poll(pending).toBe(0);
    expect(receiver.received).toHaveLength(1);
  });

  it('waits as long as the receiver asks', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({ status: 503, headers: { 'Retry-After': '600' } });
    await subscribe(receiver.url);
    await seedModel(server);
    await receiver.first(1);
    const due = async () =>
      (await server.db.query<{ s: number }>('select extract(epoch from next_attempt - now())::float8 as s from webhook_deliveries')).rows[0]
        ?.s;
    await expect.poll(due).toBeGreaterThan(590);
    expect(await due()).toBeLessThan(601);
  });

  it('is given up after 24 hours', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({ status: 503 });
    const id = await subscribe(receiver.url);
    await server.db.query(`insert into webhook_deliveries (webhook_id, body, due_time) values ($1, '{}', now() - interval '25 hours')`, [
      id,
    ]);
    await receiver.first(1);
    await expect.poll(pending).toBe(0);
  });

  it('does not hold up those to other webhooks', async () => {
    const [dead, alive] = [await startReceiver(), await startReceiver()];
    dead.replies.push(...Array.from({ length: 50 }, () => ({ silent: true as const })));
    await subscribe(dead.url);
    for (let i = 0; i < 10; i++) await seedModel(server);
    await subscribe(alive.url);
    const began = Date.now();
    await seedModel(server);
    await alive.first(1);
    expect(Date.now() - began).toBeLessThan(900);
  });

  it('pauses its webhook, so that many dead receivers cost little', async () => {
    const [dead, alive] = [await startReceiver(), await startReceiver()];
    dead.replies.push(...Array.from({ length: 200 }, () => ({ silent: true as const })));
    for (let i = 0; i < 8; i++) await subscribe(dead.url);
    await seedModel(server);
    await dead.first(8, 8000);
    for (let i = 0; i < 10; i++) await seedModel(server);
    await sleep(2500);
    // Eight first attempts, and some of the second and third ones of each webhook: not the 88 deliveries.
    expect(dead.received.length).toBeLessThan(33);
    await subscribe(alive.url);
    await seedModel(server);
    await alive.first(1);
  });

  it('is tried as often as MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES says', async () => {
    const once = await startTestServer(undefined, { ...settings, maxRetries: 0 });
    const receiver = await startReceiver();
    receiver.replies.push({ status: 503 });
    await once.post('webhooks', { name: 'hook', url: receiver.url, events: modelCreated }).expect(200);
    await seedModel(once);
    await receiver.first(1);
    const left = async () => (await once.db.query(`select from webhook_deliveries where status = 'PENDING'`)).rowCount;
    await expect.poll(left).toBe(0);
  });

  it('goes with its webhook', async () => {
    const receiver = await startReceiver();
    receiver.replies.push({ status: 503 });
    const id = await subscribe(receiver.url);
    await seedModel(server);
    await receiver.first(1);
    await server.delete(`webhooks/${id}`).expect(200);
    expect(await pending()).toBe(0);
  });
});

describe('changes', () => {
  it('succeed while the webhooks that wait for them are deleted', async () => {
    const receiver = await startReceiver();
    const ids = await Promise.all(Array.from({ length: 20 }, () => subscribe(receiver.url)));
    const statuses = await Promise.all(
      ids.flatMap((id) => [
        server.post('registered-models/create', { name: freshName() }).then(({ status }) => status),
        server.delete(`webhooks/${id}`).then(({ status }) => status),
      ]),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await pending()).toBe(0);
  });
});

describe('a change that no webhook waits for', () => {
  it('is one statement, without a transaction', async () => {
    const receiver = await startReceiver();
    await subscribe(receiver.url, { events: [{ entity: 'PROMPT', action: 'CREATED' }, ...modelCreated] });
    const name = await seedModel(server);
    const sent = vi.spyOn(server.db, 'query');
    const connected = vi.spyOn(server.db, 'connect');
    await server.post('model-versions/create', { name, source: 's3://b/m' }).expect(200);
    await server.post('registered-models/alias', { name, alias: 'x', version: '1' }).expect(200);
    const statements = sent.mock.calls
      .map(([query]) => (query as unknown as { name: string }).name)
      // What is read once a second, whoever asks.
      .filter((query) => !query.includes('webhook') && !query.includes('awaited') && query !== 'all_mounts');
    expect(statements).toEqual(['insert_model_version', 'set_registered_model_alias']);
    // The pool's own query() connects with a callback; a transaction would await the connection.
    expect(connected.mock.calls.filter(([callback]) => callback === undefined)).toEqual([]);
    vi.restoreAllMocks();
  });
});
