import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { afterAll, describe, expect, it } from 'vitest';
import { openBlobStore } from '../src/artifacts/blobs/open.ts';
import { readConfig } from '../src/config.ts';
import { makeCertificate, startAzurite } from './helpers/emulators.ts';

// What every azurite has.
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const HOST = `${ACCOUNT}.blob.core.windows.net`;
const URL_OF_STORE = `wasbs://models@${HOST}/prefix`;

const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-azure-'));
const azurite = await startAzurite(await makeCertificate(folder));
const identities = await startIdentityServer();
const connectTo = https.Agent.prototype.createConnection;
// The address of the account is Azure's own; here it leads to azurite.
https.Agent.prototype.createConnection = function (options, callback) {
  const { port } = new URL(azurite.url);
  return connectTo.call(this, { ...options, host: '127.0.0.1', port: Number(port), rejectUnauthorized: false }, callback);
};
afterAll(async () => {
  https.Agent.prototype.createConnection = connectTo;
  azurite.stop();
  identities.close();
  await fs.rm(folder, { recursive: true, force: true });
});

/** What a machine at Azure asks for the tokens of its managed identity. Those from here are not signed, which azurite does not mind. */
async function startIdentityServer(): Promise<http.Server> {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const tid = 'ab1f708d-50f6-404c-a006-d71b2ac7a606';
  const claims = {
    aud: 'https://storage.azure.com',
    iss: `https://sts.windows.net/${tid}/`,
    tid,
    oid: tid,
    iat: now,
    nbf: now - 60,
    exp: now + 3600,
  };
  const access_token = [encode({ alg: 'RS256', typ: 'JWT' }), encode(claims), 'none'].join('.');
  const answer = JSON.stringify({
    access_token,
    expires_on: String(claims.exp),
    resource: claims.aud,
    token_type: 'Bearer',
    client_id: tid,
  });
  const server = http.createServer((_, res) => res.setHeader('Content-Type', 'application/json').end(answer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  Object.assign(process.env, {
    IDENTITY_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    IDENTITY_HEADER: 'secret',
  });
  return server;
}

async function send(method: string, url: string, body?: string): Promise<{ status: number | undefined; text: string }> {
  const request = https.request(url, { method }).end(body);
  const [reply] = (await once(request, 'response')) as [http.IncomingMessage];
  return { status: reply.statusCode, text: String(await buffer(reply)) };
}

const open = (env: Record<string, string>) => openBlobStore(URL_OF_STORE, readConfig([], env).artifactStores);

describe('the Azure store', () => {
  it.each([
    ['a managed identity', {}],
    ['AZURE_STORAGE_ACCESS_KEY', { AZURE_STORAGE_ACCESS_KEY: KEY }],
  ])('reads, writes and signs addresses with %s', async (_, env) => {
    const service = new BlobServiceClient(`https://${HOST}`, new StorageSharedKeyCredential(ACCOUNT, KEY));
    await service.getContainerClient('models').createIfNotExists();
    const store = await open(env);
    const { key } = await store.write(Readable.from([Buffer.from('0123456789')]));
    expect(String(await buffer(await store.read(key)))).toBe('0123456789');
    const url = (await store.signedUrl?.(key, { name: 'model.pkl', seconds: 60 })) ?? '';
    expect(await send('GET', url)).toEqual({ status: 200, text: '0123456789' });
    expect((await send('GET', url.replace('model.pkl', 'other.pkl'))).status).toBe(403);

    const { parts } = store;
    if (!parts.direct) throw new Error('clients reach Azure themselves');
    const upload = await parts.begin(1);
    expect((await send('PUT', (await parts.partUrl(upload, 1, 60)).url, 'a part')).status).toBe(201);
    expect(await parts.finish(upload, 1, [{ number: 1, etag: '' }])).toMatchObject({ key: upload.key, size: 6 });
  });
});
