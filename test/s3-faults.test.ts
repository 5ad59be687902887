import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BlobStore } from '../src/artifacts/blobs/blob-store.ts';
import { openS3Store } from '../src/artifacts/blobs/s3.ts';
import type { StoreTimeouts } from '../src/artifacts/blobs/transfers.ts';
import { readConfig } from '../src/config.ts';
import { startMoto } from './helpers/emulators.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './helpers/fault-proxy.ts';
import { startTestServer } from './helpers/server.ts';

const MIB = 1024 * 1024;
const PATIENT = { connectMs: 5_000, requestMs: 10_000 };
const IMPATIENT = { connectMs: 500, requestMs: 1_000 };
const UNAVAILABLE = {
  error_code: 'TEMPORARILY_UNAVAILABLE',
  message: 'The artifact store does not answer at the moment. Try again shortly.',
};

Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_EC2_METADATA_DISABLED: 'true' });
const moto = await startMoto();
const proxy = await startFaultProxy(moto.url);
const { s3 } = readConfig([], { S3_ENDPOINT: proxy.url }).artifactStores;
const open = (timeouts: StoreTimeouts) => openS3Store('s3://models/prefix', s3, timeouts);
let opened = await open(PATIENT);
// Each test has a client of its own: after many failures the SDK tries nothing again for a while.
const store = new Proxy({} as BlobStore, { get: (_, name) => Reflect.get(opened, name) });
const server = await startTestServer(undefined, undefined, undefined, store);
afterAll(() => {
  proxy.stop();
  moto.stop();
});

let folder = '';
let number = 0;
beforeEach(async () => {
  proxy.plan = () => undefined;
  opened = await open(PATIENT);
  proxy.seen = [];
  folder = `folder-${number++}`;
});

const addressOf = (name: string) => `${server.url}/api/2.0/mlflow-artifacts/artifacts/${folder}/${name}`;
const upload = (name: string, bytes: Buffer) => fetch(addressOf(name), { method: 'PUT', body: new Uint8Array(bytes) });
const download = (name: string) => fetch(addressOf(name));
const bytesOf = async (reply: Response) => Buffer.from(await reply.arrayBuffer());
const paths = async (): Promise<string[]> => {
  const reply = await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts?path=${folder}`);
  const { files = [] } = (await reply.json()) as { files?: { path: string }[] };
  return files.map(({ path }) => path);
};
const keys = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const { key } of store.list()) found.push(key);
  return found;
};
const openUploads = async (): Promise<number> => {
  const client = new S3Client({ endpoint: moto.url, forcePathStyle: true, region: 'us-east-1' });
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'models' }));
  return Uploads.length;
};

/** Lets requests like `like` fail, the first `times` of them. */
const failing = (fault: Fault, like: RegExp, times = Number.POSITIVE_INFINITY): FaultProxy['plan'] => {
  let left = times;
  return (request) => (like.test(request) && left-- > 0 ? fault : undefined);
};
const asked = (like: RegExp) => proxy.seen.filter((request) => like.test(request)).length;

const PUT = /^PUT .*\/blobs\//;
const GET = /^GET .*\/blobs\//;
const INTERNAL: Fault = { status: 500, code: 'InternalError' };
const SLOW_DOWN: Fault = { status: 503, code: 'SlowDown' };
const EXPIRED: Fault = { status: 403, code: 'ExpiredToken' };

describe('an upload to a store that fails', { timeout: 60_000 }, () => {
  it.each<[string, Fault]>([
    ['500', INTERNAL],
    ['503 SlowDown', SLOW_DOWN],
    ['a connection cut at half of the body', 'cut request'],
    ['a reply that got lost', 'lose reply'],
    ['no answer', 'stall'],
  ])('is tried again after %s', async (_, fault) => {
    const bytes = randomBytes(300_000);
    if (fault === 'stall') opened = await open(IMPATIENT);
    proxy.plan = failing(fault, PUT, 2);
    expect((await upload('a', bytes)).status).toBe(200);
    expect(asked(PUT)).toBe(3);
    expect((await bytesOf(await download('a'))).equals(bytes)).toBe(true);
  });

  it.each<[string, Fault, number]>([
    ['500', INTERNAL, 3],
    ['503 SlowDown', SLOW_DOWN, 3],
    ['expired credentials', EXPIRED, 1],
    ['connections cut at half of the body', 'cut request', 3],
    ['no answers', 'stall', 3],
  ])('is told so after nothing but %s, leaves nothing behind, and works when it is sent again', async (_, fault, tries) => {
    const before = await keys();
    if (fault === 'stall') opened = await open(IMPATIENT);
    proxy.plan = failing(fault, PUT);
    const start = Date.now();
    const reply = await upload('a', randomBytes(300_000));
    expect([reply.status, await reply.json()]).toEqual([503, UNAVAILABLE]);
    expect(Date.now() - start).toBeLessThan(PATIENT.requestMs);
    expect(asked(PUT)).toBe(tries);
    proxy.plan = () => undefined;
    expect(await paths()).toEqual([]);
    expect(await keys()).toEqual(before);
    expect((await upload('a', Buffer.from('again'))).status).toBe(200);
    expect(String(await bytesOf(await download('a')))).toBe('again');
  });

  it('is told so while it is still being sent', async () => {
    proxy.plan = failing(EXPIRED, /^POST .*uploads/);
    const reply = await upload('large', Buffer.alloc(64 * MIB));
    expect([reply.status, await reply.json()]).toEqual([503, UNAVAILABLE]);
    expect(await paths()).toEqual([]);
  });

  it('of a large file is taken back as a whole when one of its parts fails', async () => {
    const before = await keys();
    proxy.plan = failing(INTERNAL, /^PUT .*partNumber=2/);
    const reply = await upload('large', randomBytes(20 * MIB));
    expect([reply.status, await reply.json()]).toEqual([503, UNAVAILABLE]);
    expect(await openUploads()).toBe(0);
    expect([await paths(), await keys()]).toEqual([[], before]);
    proxy.plan = failing('cut request', /^PUT .*partNumber=2/, 2);
    const bytes = randomBytes(20 * MIB);
    expect((await upload('large', bytes)).status).toBe(200);
    expect((await bytesOf(await download('large'))).equals(bytes)).toBe(true);
  });

  it('whose client goes away leaves nothing behind', async () => {
    const before = await keys();
    const request = http.request(addressOf('gone'), { method: 'PUT', headers: { 'Content-Length': 30 * MIB } });
    request.on('error', () => {});
    request.write(randomBytes(20 * MIB));
    await vi.waitUntil(() => asked(PUT) > 0, { timeout: 10_000 });
    request.destroy();
    await vi.waitUntil(async () => (await openUploads()) === 0, { timeout: 10_000 });
    expect([await paths(), await keys()]).toEqual([[], before]);
  });
});

describe('a download from a store that fails', { timeout: 60_000 }, () => {
  const bytes = randomBytes(3 * MIB + 17);
  const name = 'model';

  it.each<[string, Fault]>([
    ['500', INTERNAL],
    ['503 SlowDown', SLOW_DOWN],
    ['a connection cut at half of the body', 'cut reply'],
    ['no answer', 'stall'],
    ['a body that stands still at its half', 'stall reply'],
  ])('is whole after %s', async (_, fault) => {
    expect((await upload(name, bytes)).status).toBe(200);
    if (fault === 'stall' || fault === 'stall reply') opened = await open(IMPATIENT);
    proxy.plan = failing(fault, GET, 2);
    const reply = await download(name);
    expect(reply.status).toBe(200);
    expect((await bytesOf(reply)).equals(bytes)).toBe(true);
    expect(asked(GET)).toBe(3);
  });

  it.each<[string, Fault, number]>([
    ['500', INTERNAL, 3],
    ['expired credentials', EXPIRED, 1],
    ['no answers', 'stall', 3],
  ])('says so after nothing but %s', async (_, fault, tries) => {
    expect((await upload(name, bytes)).status).toBe(200);
    if (fault === 'stall' || fault === 'stall reply') opened = await open(IMPATIENT);
    proxy.plan = failing(fault, GET);
    const reply = await download(name);
    expect([reply.status, await reply.json()]).toEqual([503, UNAVAILABLE]);
    expect(asked(GET)).toBe(tries);
  });

  it.each<Fault>(['cut reply', 'stall reply'])('is broken off, never ended early, by nothing but "%s"', async (fault) => {
    const large = randomBytes(16 * MIB);
    expect((await upload(name, large)).status).toBe(200);
    opened = await open(IMPATIENT);
    proxy.plan = failing(fault, GET);
    const reply = await download(name);
    expect(reply.status).toBe(200);
    await expect(bytesOf(reply)).rejects.toThrow();
    expect(asked(GET)).toBe(3);
    proxy.plan = () => undefined;
    // It was the store's fault: the bytes are not held for damaged.
    expect((await bytesOf(await download(name))).equals(large)).toBe(true);
  });

  it('does not count the pauses of a slow client', async () => {
    const large = randomBytes(40 * MIB);
    expect((await upload(name, large)).status).toBe(200);
    opened = await open({ ...PATIENT, requestMs: 4_000 });
    const reply = await new Promise<http.IncomingMessage>((resolve) => http.get(addressOf(name), resolve));
    expect(reply.statusCode).toBe(200);
    await sleep(6_000);
    const chunks: Buffer[] = [];
    for await (const chunk of reply) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(large)).toBe(true);
    expect(asked(GET)).toBe(1);
  });
});

describe('an upload in parts to a store that fails', () => {
  const mpu = async (step: string, body: object) =>
    fetch(`${server.url}/api/2.0/mlflow-artifacts/mpu/${step}/${folder}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ path: 'model.pkl', ...body }),
    });

  it.each<[string, Fault, RegExp]>([
    ['put together', INTERNAL, /^POST .*uploadId=/],
    ['read afterwards', INTERNAL, GET],
    ['read afterwards to its end', 'cut reply', GET],
  ])('can be completed again when it could not be %s', async (_, fault, like) => {
    const begun = await mpu('create', { num_parts: 1 });
    const { upload_id, credentials } = (await begun.json()) as { upload_id: string; credentials: { url: string }[] };
    const sent = await fetch(credentials[0]?.url ?? '', { method: 'PUT', body: 'the only part' });
    const parts = [{ part_number: 1, etag: sent.headers.get('ETag'), url: credentials[0]?.url }];
    proxy.plan = failing(fault, like);
    const failed = await mpu('complete', { upload_id, parts });
    expect([failed.status, await failed.json()]).toEqual([503, UNAVAILABLE]);
    proxy.plan = () => undefined;
    expect(await paths()).toEqual([]);
    expect((await mpu('complete', { upload_id, parts })).status).toBe(200);
    expect(String(await bytesOf(await download('model.pkl')))).toBe('the only part');
  });

  it('is told so when it begins', async () => {
    proxy.plan = failing(SLOW_DOWN, /^POST .*uploads/);
    const reply = await mpu('create', { num_parts: 2 });
    expect([reply.status, await reply.json()]).toEqual([503, UNAVAILABLE]);
  });
});
