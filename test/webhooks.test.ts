import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { BASES } from './hardening/attack.ts';
import { startReceiver } from './helpers/receiver.ts';
import { expectRefusal } from './helpers/refusal.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const open = await startTestServer(undefined, { allowedSchemes: ['http', 'https'], allowPrivateIps: true, timeoutSeconds: 1 });
const receiver = await startReceiver();

const CREATED = { entity: 'MODEL_VERSION', action: 'CREATED' };
const hook = (more: object = {}) => ({ name: freshName('hook'), url: 'https://8.8.8.8/x', events: [CREATED], ...more });

async function createWebhook(more: object = {}, at = server): Promise<Record<string, unknown> & { webhook_id: string }> {
  const reply = await at.post('webhooks', hook(more));
  expect(reply.status, JSON.stringify(reply.body)).toBe(200);
  return reply.body.webhook;
}

describe('a webhook', () => {
  it('is answered as it was made, without its secret, by create, get, list and update', async () => {
    const made = await createWebhook({ name: 'alerts', description: 'for us', secret: 's3cret' });
    expect(made).toEqual({
      webhook_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'alerts',
      description: 'for us',
      url: 'https://8.8.8.8/x',
      events: [CREATED],
      status: 'ACTIVE',
      creation_timestamp: expect.any(Number),
      last_updated_timestamp: made.creation_timestamp,
    });
    expect((await server.get(`webhooks/${made.webhook_id}`)).body).toEqual({ webhook: made });
    expect((await server.get('webhooks')).body.webhooks).toContainEqual(made);
    const changed = await server.patch(`webhooks/${made.webhook_id}`, { name: 'renamed' });
    expect(changed.body.webhook).toEqual({ ...made, name: 'renamed', last_updated_timestamp: expect.any(Number) });
  });

  it('is only its own workspace’s', async () => {
    await server.db.query(`insert into scopes (kind, name) values ('workspace', 'team-b')`);
    const { webhook_id } = await createWebhook();
    const reply = await server.get(`webhooks/${webhook_id}`).set('X-MLFLOW-WORKSPACE', 'team-b');
    expect([reply.status, reply.body.error_code]).toEqual([404, 'RESOURCE_DOES_NOT_EXIST']);
    expect((await server.get('webhooks').set('X-MLFLOW-WORKSPACE', 'team-b')).body).toEqual({});
  });

  it('has its secret encrypted in the database', async () => {
    const [one, two] = [await createWebhook({ secret: 'same secret' }), await createWebhook({ secret: 'same secret' })];
    const { rows } = await server.db.query<{ secret: Buffer }>('select secret from webhooks where webhook_id = any($1)', [
      [one.webhook_id, two.webhook_id],
    ]);
    expect(rows.map(({ secret }) => secret.includes('same secret'))).toEqual([false, false]);
    expect(rows[0]?.secret).not.toEqual(rows[1]?.secret);
  });

  it('is listed page by page, the newest first', async () => {
    const made = [await createWebhook(), await createWebhook(), await createWebhook()].map(({ webhook_id }) => webhook_id).toReversed();
    const first = await server.get('webhooks', { max_results: 2 });
    const second = await server.get('webhooks', { max_results: 1, page_token: first.body.next_page_token });
    const ids = [...first.body.webhooks, ...second.body.webhooks].map(({ webhook_id }) => webhook_id);
    // Those of one millisecond come in any order.
    expect(ids.toSorted()).toEqual(made.toSorted());
  });
});

describe('the URL of a webhook', () => {
  it.each([
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://192.168.0.1/',
    'https://169.254.169.254/latest/meta-data',
    'https://127.0.0.1/',
    'https://0x7f000001/',
    'https://2130706433/',
    'https://127.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://[fd00::1]/',
    'https://[fe80::1]/',
    'https://[::10.0.0.1]/',
    'https://100.64.0.1/',
    'https://0.0.0.0/',
    'https://224.0.0.1/',
    'https://[ff02::1]/',
    'https://localhost/',
    'https://user:password@8.8.8.8/',
    'https://8.8.8.8:25/',
    'https://8.8.8.8:99999/',
    'https://8.8.8.8/\r\nX-Header: y',
    ' https://8.8.8.8/',
    'https://8.8.8.8\\@10.0.0.1/',
    'https://[::1/',
    'http://8.8.8.8/',
    'file:///etc/passwd',
  ])('%j is refused (hardening 1.8)', async (url) => {
    for (const base of BASES) {
      const reply = await server.post(`${base}/webhooks`, hook({ url }));
      expectRefusal(reply, url);
      expect(reply.body.message).not.toContain('password');
    }
  });

  it('that names a host of the server’s own network does not get its address told', async () => {
    const { body } = await server.post('webhooks', hook({ url: 'https://localhost/' }));
    expect(body.message).toBe("Webhook URL must not resolve to a non-public IP address. 'localhost' does.");
  });
});

describe('POST webhooks/{id}/test', () => {
  const test = async (webhookId: string, body: object = {}, at = open) => (await at.post(`webhooks/${webhookId}/test`, { ...body })).body;

  it('sends an example of the first event, and answers what the receiver said', async () => {
    receiver.replies.push({ status: 202, body: 'thanks' });
    const { webhook_id } = await createWebhook({ url: receiver.url }, open);
    expect(await test(webhook_id)).toEqual({ result: { success: true, response_status: 202, response_body: 'thanks' } });
    expect(receiver.received.at(-1)?.body).toEqual({
      entity: 'model_version',
      action: 'created',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/),
      workspace: 'default',
      data: {
        name: 'example_model',
        version: '1',
        source: 'models:/123',
        run_id: 'abcd1234abcd5678',
        tags: { example_key: 'example_value' },
        description: 'An example model version',
      },
    });
  });

  it('sends the event that is asked for, once, whatever the answer', async () => {
    receiver.replies.push({ status: 503, body: 'later' });
    const { webhook_id } = await createWebhook({ url: receiver.url }, open);
    const before = receiver.received.length;
    const result = await test(webhook_id, { event: { entity: 'PROMPT_TAG', action: 'SET' } });
    expect(result).toEqual({ result: { success: false, response_status: 503, response_body: 'later' } });
    expect(receiver.received.slice(before)).toMatchObject([{ body: { entity: 'prompt_tag', action: 'set' } }]);
  });

  it('follows no redirect and passes on 2 kB of an answer at most', async () => {
    receiver.replies.push({ status: 302, headers: { Location: receiver.url }, body: 'ü'.repeat(100_000) });
    const { webhook_id } = await createWebhook({ url: receiver.url }, open);
    const before = receiver.received.length;
    const { result } = await test(webhook_id);
    expect(result).toMatchObject({ success: false, response_status: 302 });
    expect(Buffer.byteLength(result.response_body)).toBe(2048);
    expect(receiver.received.length).toBe(before + 1);
  });

  it('says in words of its own why there is no answer', async () => {
    const closed = await createWebhook({ url: 'http://127.0.0.1:1111/' }, open);
    expect(await test(closed.webhook_id)).toEqual({
      result: { success: false, error_message: 'Failed to test webhook: The connection was refused.' },
    });
    receiver.replies.push({ silent: true });
    const slow = await createWebhook({ url: receiver.url }, open);
    expect(await test(slow.webhook_id)).toEqual({
      result: { success: false, error_message: 'Failed to test webhook: No answer came within 1 s.' },
    });
  });

  it.each([
    ['http://127.0.0.1:5000/', 'Invalid webhook URL scheme'],
    ['https://127.0.0.1/', 'is not public'],
    ['https://localhost/', 'is not public'],
  ])('does not connect to %s, which was written when that was allowed', async (url, reason) => {
    const { webhook_id } = await createWebhook();
    await server.db.query('update webhooks set url = $1 where webhook_id = $2', [url, webhook_id]);
    const { result } = await test(webhook_id, {}, server);
    expect(result).toEqual({ success: false, error_message: expect.stringContaining(reason) });
  });
});

describe('the settings', () => {
  it('have the stock server’s names and meaning', () => {
    const { webhooks } = readConfig([], {
      MLFLOW_WEBHOOK_ALLOWED_SCHEMES: 'http, https',
      MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: 'True',
      MLFLOW_WEBHOOK_REQUEST_TIMEOUT: '5',
      MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES: '3',
      MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS: '2',
    });
    expect(webhooks).toMatchObject({
      allowedSchemes: ['http', 'https'],
      allowPrivateIps: true,
      timeoutSeconds: 5,
      maxRetries: 3,
      maxWorkers: 2,
    });
    expect(readConfig([], {}).webhooks).toMatchObject({
      allowedSchemes: ['https'],
      allowPrivateIps: false,
      timeoutSeconds: 30,
      maxRetries: undefined,
      maxWorkers: 10,
    });
  });

  it('refuse a key that is none, without printing it', () => {
    const read = () => readConfig([], { MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY: 'hunter2' });
    expect(read).toThrow('MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY: must be 32 bytes in base64');
    expect(read).not.toThrow('hunter2');
  });
});
