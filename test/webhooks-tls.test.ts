import fs from 'node:fs/promises';
import path from 'node:path';
import tls from 'node:tls';
import request from 'supertest';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { selfSignedCertificate } from './helpers/certificate.ts';
import { destroyDataDir, makeDataDir, startServer } from './helpers/process.ts';
import { startReceiver } from './helpers/receiver.ts';
import { seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const HOST = 'hooks.example.com';
const right = selfSignedCertificate(HOST);
const ofAnotherHost = selfSignedCertificate('elsewhere.example.com');
const unknown = selfSignedCertificate(HOST);

// As NODE_EXTRA_CA_CERTS does, which is read before a test can set it.
const { createSecureContext } = tls;
vi.spyOn(tls, 'createSecureContext').mockImplementation((options) =>
  createSecureContext({ ...options, ca: [...tls.rootCertificates.slice(0, 1), right.cert, ofAnotherHost.cert] }),
);

// The receiver of the test is at this address, which is taken for a public one.
const addresses = vi.hoisted(() => ({ of: '127.0.0.1', asked: [] as string[] }));
vi.mock('../src/registry/webhooks/resolve-host.ts', () => ({
  resolveHost: async (hostname: string) => {
    addresses.asked.push(hostname);
    return [{ address: addresses.of, family: 4 }];
  },
}));
vi.mock('../src/registry/webhooks/public-address.ts', () => ({ isPublicAddress: (address: string) => address === '127.0.0.1' }));

const server = await startTestServer(undefined, { timeoutSeconds: 2 });
const modelCreated = [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }];

async function subscribe(certificate: { key: string; cert: string }) {
  const receiver = await startReceiver(certificate);
  const { port } = new URL(receiver.url);
  const reply = await server.post('webhooks', { name: 'hook', url: `https://${HOST}:${port}/hook`, events: modelCreated });
  expect(reply.status, JSON.stringify(reply.body)).toBe(200);
  return { receiver, port, id: reply.body.webhook.webhook_id as string };
}

const logged = async (id: string) => (await server.get(`/api/1.0/webhooks/${id}/deliveries`).expect(200)).body.deliveries[0];

afterEach(async () => {
  addresses.of = '127.0.0.1';
  for (const { webhook_id } of (await server.get('webhooks')).body.webhooks ?? []) await server.delete(`webhooks/${webhook_id}`);
});

describe('a delivery over TLS', () => {
  it('goes to the address that was checked, and names the host in handshake and Host header', async () => {
    const { receiver, port, id } = await subscribe(right);
    addresses.asked.length = 0;
    await seedModel(server);
    const [received] = await receiver.first(1);
    expect([received?.servername, received?.headers.host]).toEqual([HOST, `${HOST}:${port}`]);
    await expect.poll(async () => (await logged(id)).status).toBe('SUCCEEDED');
    expect(addresses.asked).toEqual([HOST]);
  });

  it.each([
    ['for another host', ofAnotherHost, "The receiver's certificate is for another host."],
    ['of an unknown authority', unknown, /^The receiver's certificate is not signed by an authority this server trusts/],
  ])('to a receiver with a certificate %s is refused before anything is sent, and the log says why', async (_, certificate, sentence) => {
    const { receiver, id } = await subscribe(certificate);
    await seedModel(server);
    await expect.poll(async () => (await logged(id)).error_message).toMatch(sentence);
    expect(await logged(id)).toMatchObject({ status: 'PENDING' });
    expect(await logged(id)).not.toHaveProperty('response_status');
    expect(receiver.received).toEqual([]);
    const tested = await server.post(`webhooks/${id}/test`).expect(200);
    expect(tested.body.result).toEqual({
      success: false,
      error_message: expect.stringMatching(/^Failed to test webhook: The receiver's certificate/),
    });
  });

  it('is not made when the name has come to stand for another network', async () => {
    const { receiver, id } = await subscribe(right);
    addresses.of = '10.0.0.1';
    await seedModel(server);
    await expect.poll(async () => (await logged(id)).error_message).toBe("The URL's host resolves to an IP address that is not public.");
    expect(receiver.received).toEqual([]);
  });

  it('trusts what NODE_EXTRA_CA_CERTS says', async () => {
    const certificate = selfSignedCertificate('localhost');
    const receiver = await startReceiver(certificate);
    const dataDir = await makeDataDir();
    const file = path.join(dataDir, 'authority.pem');
    await fs.writeFile(file, certificate.cert);
    const started = await startServer(dataDir, ['--mlflow-webhook-allow-private-ips', 'true'], { NODE_EXTRA_CA_CERTS: file });
    const post = (target: string, body: object) => request(`${started.url}/api/2.0/mlflow`).post(target).send(body);
    const { port } = new URL(receiver.url);
    await post('/webhooks', { name: 'hook', url: `https://localhost:${port}/hook`, events: modelCreated }).expect(200);
    await post('/registered-models/create', { name: 'm' }).expect(200);
    expect((await receiver.first(1))[0]?.servername).toBe('localhost');
    started.kill('SIGTERM');
    await started.exited;
    await destroyDataDir(dataDir);
  });
});
