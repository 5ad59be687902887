import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ServerProcess } from './helpers/process.ts';
import { signatureOf, startReceiver } from './helpers/receiver.ts';
import { makeSite } from './helpers/site.ts';

const env = { MLFLOW_WEBHOOK_ALLOWED_SCHEMES: 'http,https', MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: 'true', MLFLOW_WEBHOOK_REQUEST_TIMEOUT: '1' };

async function post({ url }: ServerProcess, target: string, body: object): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  const reply = await fetch(`${url}/api/2.0/mlflow/${target}`, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(reply.status, await reply.text()).toBe(200);
}

const subscribe = (server: ServerProcess, url: string) =>
  post(server, 'webhooks', { name: 'hook', url, secret: 's', events: [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }] });
const createModel = (server: ServerProcess, name: string) => post(server, 'registered-models/create', { name });

describe('two servers on one database', () => {
  it('deliver each event once, and see each other’s new webhooks within a second', async () => {
    const { start } = await makeSite(env);
    const [one, other] = await Promise.all([start(), start()]);
    const receiver = await startReceiver();
    await subscribe(one, receiver.url);
    await createModel(one, 'at-once');
    await sleep(1100);
    const names = Array.from({ length: 40 }, (_, i) => `model-${i}`);
    await Promise.all(names.map((name, i) => createModel(i % 2 ? one : other, name)));
    await receiver.first(41);
    await sleep(1500);
    expect(receiver.received.map(({ body }) => (body.data as { name: string }).name).toSorted()).toEqual(['at-once', ...names].toSorted());
    expect(new Set(receiver.received.map(({ headers }) => headers['x-mlflow-delivery-id'])).size).toBe(41);
  });
});

describe('what was not delivered', () => {
  it('when kill -9 ended the server is delivered by the next start, also what was just being sent', async () => {
    const { dataDir, start } = await makeSite(env);
    const server = await start();
    const receiver = await startReceiver();
    await subscribe(server, receiver.url);
    expect((await fs.stat(path.join(dataDir, 'webhook-secrets.key'))).mode & 0o077).toBe(0);
    receiver.replies.push(...Array.from({ length: 30 }, () => ({ silent: true as const })));
    // More than are sent at once: some are under way when the server ends, some have not begun.
    for (let i = 0; i < 20; i++) await createModel(server, `model-${i}`);
    server.kill('SIGKILL');
    await server.exited;
    receiver.replies.length = 0;
    const before = receiver.received.length;
    await start();
    const wanted = Array.from({ length: 20 }, (_, i) => `model-${i}`).toSorted();
    const delivered = () => receiver.received.slice(before).map(({ body }) => (body.data as { name: string }).name);
    await expect.poll(() => delivered().toSorted(), { timeout: 15_000 }).toEqual(wanted);
    for (const request of receiver.received) expect(request.headers['x-mlflow-signature']).toBe(signatureOf('s', request));
  });

  it('when the server was stopped is delivered at once by the next start', async () => {
    const { start } = await makeSite(env);
    const server = await start();
    const receiver = await startReceiver();
    await subscribe(server, receiver.url);
    receiver.replies.push(...Array.from({ length: 30 }, () => ({ silent: true as const })));
    for (let i = 0; i < 10; i++) await createModel(server, `model-${i}`);
    server.kill('SIGTERM');
    expect([await server.exited, server.stderr()]).toEqual([0, '']);
    receiver.replies.length = 0;
    const before = receiver.received.length;
    await start();
    await expect.poll(() => receiver.received.length - before, { timeout: 5000 }).toBe(10);
  });
});
