import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import type { BlobStore } from '../src/artifacts/blobs/blob-store.ts';
import { openLocalStore } from '../src/artifacts/blobs/local.ts';
import { type ServerProcess, startServer } from './helpers/process.ts';
import { rowCounts } from './helpers/refusal.ts';
import { startTestServer } from './helpers/server.ts';

const ARTIFACTS = '/api/2.0/mlflow-artifacts';
const FULL = {
  status: 507,
  body: { error_code: 'IO_ERROR', message: 'The artifact store is full: nothing was stored. Free some space and upload again.' },
};
const KIB = 1024;

const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-full-'));
const local = await openLocalStore(folder);
// The disk that is full after so many bytes of an upload, and how it says so.
let room = Number.POSITIVE_INFINITY;
let code = 'ENOSPC';
const onFullDisk = (body: Readable) => Readable.from(untilFull(body), { objectMode: false });
const { parts } = local;
if (parts.direct) throw new Error('a store on a disk takes parts itself');
const store: BlobStore = {
  ...local,
  write: (body) => local.write(onFullDisk(body)),
  parts: { ...parts, writePart: (upload, part, body) => parts.writePart(upload, part, onFullDisk(body)) },
};
const server = await startTestServer(undefined, undefined, undefined, store);
afterEach(() => {
  room = Number.POSITIVE_INFINITY;
  vi.restoreAllMocks();
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

async function* untilFull(body: Readable): AsyncGenerator<Buffer> {
  let left = room;
  // The request stays open, as it does when the file fails and not its sender.
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (chunk.length > left) {
      yield chunk.subarray(0, left);
      throw Object.assign(new Error(`${code}: write`), { code });
    }
    left -= chunk.length;
    yield chunk;
  }
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const answerOf = async (reply: Response) => ({ status: reply.status, body: JSON.parse((await reply.text()) || '{}') });

/** What clients do at `url`. */
function clientOf(url: string) {
  const put = async (at: string, bytes: Buffer) =>
    answerOf(await fetch(`${url}${ARTIFACTS}/artifacts/${at}`, { method: 'PUT', body: new Uint8Array(bytes) }));
  const headers = { 'Content-Type': 'application/json' };
  const post = async (at: string, body: object) =>
    answerOf(await fetch(`${url}${at}`, { method: 'POST', headers, body: JSON.stringify(body) }));
  /** The SHA-256 of a file, or null when there is none. */
  const get = async (at: string) => {
    const reply = await fetch(`${url}${ARTIFACTS}/artifacts/${at}`);
    return reply.ok ? sha256(Buffer.from(await reply.arrayBuffer())) : null;
  };
  const begin = (name: string, count: number) => post(`${ARTIFACTS}/mpu/create/in-parts`, { path: name, num_parts: count });
  const sendPart = async (address: string, bytes: Buffer) => {
    const { pathname, search } = new URL(address);
    const reply = await fetch(`${url}${pathname}${search}`, { method: 'PUT', body: new Uint8Array(bytes) });
    return { ...(await answerOf(reply)), etag: reply.headers.get('ETag') ?? '' };
  };
  const complete = (name: string, upload_id: string, etags: string[]) =>
    post(`${ARTIFACTS}/mpu/complete/in-parts`, { path: name, upload_id, parts: etags.map((etag, i) => ({ part_number: i + 1, etag })) });
  const abort = (name: string, upload_id: string) => post(`${ARTIFACTS}/mpu/abort/in-parts`, { path: name, upload_id });
  return { put, post, get, begin, sendPart, complete, abort };
}

/** What a client is told on one connection who sends a file whole before he reads, as MLflow's does, and then asks for another thing. */
async function sendThenAsk(url: string, at: string, bytes: Buffer): Promise<number[]> {
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1');
  const say = (line: string) => `${line} HTTP/1.1\r\nHost: 127.0.0.1\r\n`;
  socket.write(`${say(`PUT ${ARTIFACTS}/artifacts/${at}`)}Content-Length: ${bytes.length}\r\n\r\n`);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.write(bytes, () => resolve());
  });
  socket.write(`${say('GET /health')}Connection: close\r\n\r\n`);
  return [...(await text(socket)).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
}

/** All files of a store. */
const filesIn = async (root: string) =>
  (await fs.readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name);

describe('a disk that is full', () => {
  const client = clientOf(server.url);
  const bytes = randomBytes(300 * KIB);

  it.each([
    ['ENOSPC', 0],
    ['ENOSPC', 1],
    ['ENOSPC', 100_000],
    ['ENOSPC', 300 * KIB - 1],
    ['EDQUOT', 100_000],
  ])('refuses an upload (%s after %d bytes), keeps nothing of it and what was there, and takes the next', async (why, after) => {
    const at = `put-${why}-${after}/file`;
    const old = randomBytes(10);
    await client.put(at, old);
    const before = [await filesIn(folder), await rowCounts(server)];
    [code, room] = [why, after];
    expect(await client.put(at, bytes)).toEqual(FULL);
    expect([await filesIn(folder), await rowCounts(server)]).toEqual(before);
    expect(await client.get(at)).toBe(sha256(old));
    expect((await client.post('/api/2.0/mlflow/runs/create', { experiment_id: '0' })).status).toBe(200);
    room = Number.POSITIVE_INFINITY;
    expect((await client.put(at, bytes)).status).toBe(200);
    expect(await client.get(at)).toBe(sha256(bytes));
  });

  it.each([1, 2])('refuses part %d of an upload, takes it again, and keeps nothing of one that is given up', async (number) => {
    code = 'ENOSPC';
    const name = `part-${number}.bin`;
    const before = [await filesIn(folder), (await rowCounts(server)).blobs];
    const send = async () => {
      const { body } = await client.begin(name, 2);
      const etags: string[] = [];
      for (const [i, { url }] of body.credentials.entries()) {
        if (i + 1 === number) {
          room = 1000;
          expect(await client.sendPart(url, bytes)).toMatchObject(FULL);
          room = Number.POSITIVE_INFINITY;
        }
        const { status, etag } = await client.sendPart(url, bytes);
        expect(status).toBe(200);
        etags.push(etag);
      }
      return { id: body.upload_id as string, etags };
    };
    const givenUp = await send();
    expect((await client.abort(name, givenUp.id)).status).toBe(200);
    expect([await filesIn(folder), (await rowCounts(server)).blobs]).toEqual(before);

    const { id, etags } = await send();
    expect(await client.get(`in-parts/${name}`)).toBeNull();
    expect((await client.complete(name, id, etags)).status).toBe(200);
    expect(await client.get(`in-parts/${name}`)).toBe(sha256(Buffer.concat([bytes, bytes])));
  });

  const failOnce = (method: 'mkdir' | 'rename' | 'symlink' | 'writeFile' | 'open') =>
    vi.spyOn(fs, method as 'mkdir').mockRejectedValueOnce(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));

  it('refuses to begin an upload, and begins the next', async () => {
    failOnce('mkdir');
    expect(await client.begin('begun.bin', 2)).toEqual(FULL);
    expect((await client.begin('begun.bin', 2)).status).toBe(200);
  });

  it.each(['symlink', 'open', 'writeFile'] as const)('refuses a part for which it has no room for an entry (%s)', async (method) => {
    const { body } = await client.begin('entry.bin', 2);
    const [{ url }] = body.credentials;
    failOnce(method);
    expect(await client.sendPart(url, bytes)).toMatchObject(FULL);
    expect((await client.sendPart(url, bytes)).status).toBe(200);
    await client.abort('entry.bin', body.upload_id);
  });

  it.each(['open', 'rename'] as const)('refuses to put parts together (%s), and does it when asked again', async (method) => {
    const name = `completed-${method}.bin`;
    const { body } = await client.begin(name, 2);
    const etags: string[] = [];
    for (const { url } of body.credentials) etags.push((await client.sendPart(url, bytes)).etag);
    const before = await rowCounts(server);
    failOnce(method);
    expect(await client.complete(name, body.upload_id, etags)).toEqual(FULL);
    expect([await client.get(`in-parts/${name}`), await rowCounts(server)]).toEqual([null, before]);
    expect((await client.complete(name, body.upload_id, etags)).status).toBe(200);
    expect(await client.get(`in-parts/${name}`)).toBe(sha256(Buffer.concat([bytes, bytes])));
  });
});

describe('a server whose files may have 1 MiB at most', () => {
  // The system refuses the rest with EFBIG, in the middle of a write, as it does with ENOSPC; a full disk needs an administrator. Units of 512 bytes.
  const LIMIT = 'ulimit -f 2048';
  const ended: ServerProcess[] = [];
  afterAll(async () => {
    for (const { killGroup, exited } of ended) {
      killGroup('SIGKILL');
      await exited;
    }
  });

  it('refuses what does not fit, goes on with all else, and takes it once there is room', async () => {
    const dataDir = path.join(folder, 'limited');
    const artifacts = path.join(dataDir, 'artifacts');
    const flags = ['--database-url', String(server.db.options.connectionString), '--artifacts-url', pathToFileURL(artifacts).href];
    const start = async (limit?: string) => {
      const started = await startServer(dataDir, flags, {}, limit);
      ended.push(started);
      return started.url;
    };
    const url = await start(LIMIT);
    const [limited, roomy] = [clientOf(url), clientOf(await start())];
    const [large, part] = [randomBytes(5 * KIB * KIB), randomBytes(800 * KIB)];

    expect(await limited.put('limited/large', large)).toEqual(FULL);
    expect([await filesIn(artifacts), await limited.get('limited/large')]).toEqual([[], null]);
    expect((await limited.post('/api/2.0/mlflow/registered-models/create', { name: 'made-meanwhile' })).status).toBe(200);
    expect((await limited.put('limited/small', part)).status).toBe(200);
    expect(await limited.get('limited/small')).toBe(sha256(part));
    expect((await roomy.put('limited/large', large)).status).toBe(200);
    expect(await limited.get('limited/large')).toBe(sha256(large));

    // More than the system's buffers hold.
    const huge = randomBytes(40 * KIB * KIB);
    expect(await sendThenAsk(url, 'limited/huge', huge)).toEqual([507, 200]);

    const first = (await limited.begin('first.bin', 2)).body;
    expect(await limited.sendPart(first.credentials[0].url, large)).toMatchObject(FULL);
    expect((await limited.abort('first.bin', first.upload_id)).status).toBe(200);

    const second = (await limited.begin('second.bin', 2)).body;
    const etags: string[] = [];
    for (const { url } of second.credentials) etags.push((await limited.sendPart(url, part)).etag);
    expect(await limited.complete('second.bin', second.upload_id, etags)).toEqual(FULL);
    expect(await limited.get('in-parts/second.bin')).toBeNull();
    expect((await roomy.complete('second.bin', second.upload_id, etags)).status).toBe(200);
    expect(await limited.get('in-parts/second.bin')).toBe(sha256(Buffer.concat([part, part])));
    expect([await fs.readdir(path.join(artifacts, 'uploads')), await fs.readdir(path.join(artifacts, 'parts'))]).toEqual([[], []]);
  }, 60_000);
});
