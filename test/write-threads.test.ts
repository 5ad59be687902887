import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, it, vi } from 'vitest';
import { openLocalStore } from '../src/artifacts/blobs/local.ts';
import { startTestServer } from './helpers/server.ts';

const MIB = 1024 * 1024;
const server = await startTestServer();
const store = await openLocalStore(server.artifactDir);
afterEach(() => vi.restoreAllMocks());

const urlOf = (path: string) => `${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}`;
const put = (path: string, bytes: Buffer) => fetch(urlOf(path), { method: 'PUT', body: new Uint8Array(bytes) });
const etagOf = async (path: string) => (await fetch(urlOf(path), { method: 'HEAD' })).headers.get('etag');
const etagFor = (bytes: Buffer) => `"${createHash('sha256').update(bytes).digest('hex')}"`;

it.each([1, 3])('answers an upload whose thread is lost at step %d with 503, shows nothing of it, and takes the next', async (step) => {
  const bytes = randomBytes(5 * MIB);
  const postMessage = Worker.prototype.postMessage;
  let steps = 0;
  const post = vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, ...args) {
    if (++steps === step) this.terminate();
    return postMessage.apply(this, args);
  });
  const reply = await put(`lost/${step}`, bytes);
  expect([reply.status, await reply.json()]).toEqual([
    503,
    { error_code: 'TEMPORARILY_UNAVAILABLE', message: 'The artifact store does not answer at the moment. Try again shortly.' },
  ]);
  expect(post).toHaveBeenCalled();
  expect(await etagOf(`lost/${step}`)).toBeNull();
  expect((await put(`lost/${step}`, bytes)).status).toBe(200);
  expect(await etagOf(`lost/${step}`)).toBe(etagFor(bytes));
});

it.each([
  [[0]],
  [[1, 4095, 4096, 4097]],
  [Array.from({ length: 40 }, () => 64 * 1024)],
  [Array.from({ length: 40 }, () => 65_535)],
  [[100, MIB, 4000, 3 * MIB, 7]],
  [[MIB]],
  [[MIB, 1]],
  [[5 * MIB + 3]],
])('stores chunks of %j bytes in their order', async (lengths) => {
  const chunks = lengths.map((length) => randomBytes(length));
  const bytes = Buffer.concat(chunks);
  const { key, size, sha256 } = await store.write(Readable.from(chunks.filter(({ length }) => length > 0)));
  expect({ size, etag: `"${sha256}"` }).toEqual({ size: bytes.length, etag: etagFor(bytes) });
  expect((await buffer(await store.read(key))).equals(bytes)).toBe(true);
});

it('keeps uploads apart that come at once, more of them than threads, and some broken off', async () => {
  const bodies = Array.from({ length: 24 }, (_, i) => randomBytes(i % 3 === 0 ? 10_000 : (i % 5) * MIB + i));
  const countFiles = async () =>
    (await fs.readdir(server.artifactDir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;
  const before = await countFiles();
  const sent = bodies.map(async (body, i) => {
    if (i % 4 > 0) return (await put(`many/${i}`, body)).status;
    const broken = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(2 * MIB));
        setTimeout(() => controller.error(new Error('broken off')), 20);
      },
    });
    return fetch(urlOf(`many/${i}`), { method: 'PUT', body: broken, duplex: 'half' } as RequestInit).then(
      ({ status }) => status,
      () => null,
    );
  });
  expect(await Promise.all(sent)).toEqual(bodies.map((_, i) => (i % 4 > 0 ? 200 : null)));
  for (const [i, body] of bodies.entries()) expect(await etagOf(`many/${i}`)).toBe(i % 4 > 0 ? etagFor(body) : null);
  await expect.poll(countFiles).toBe(before + bodies.length * 0.75);
});
