import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const MIB = 1024 * 1024;

const upload = (target: string, bytes: Buffer) => request(server.url).put(`${ARTIFACTS}/${target}`).send(bytes).expect(200);
const download = (target: string, range?: string) =>
  fetch(`${server.url}${ARTIFACTS}/${target}`, { headers: range === undefined ? {} : { Range: range } });

/** The file that holds these bytes in the artifact store. */
async function fileOf(bytes: Buffer): Promise<string> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const { rows } = await server.db.query('select storage_key from blobs where sha256 = $1', [sha256]);
  const key: string = rows[0].storage_key;
  return path.join(server.artifactDir, 'blobs', key.slice(0, 2), key);
}

async function flipByte(file: string, position: number): Promise<void> {
  const handle = await fs.open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await handle.write(byte, 0, 1, position);
  await handle.close();
}

describe('bytes that changed in the store', () => {
  it('are refused with a clear error that clients do not retry, also once flagged, also in part', async () => {
    const bytes = randomBytes(1000);
    await upload('flip/small', bytes);
    await flipByte(await fileOf(bytes), 500);
    for (const range of [undefined, undefined, 'bytes=0-9']) {
      const reply = await download('flip/small', range);
      expect([reply.status, await reply.json()]).toEqual([
        410,
        { error_code: 'DATA_LOSS', message: expect.stringContaining('missing or changed') },
      ]);
      expect(reply.headers.get('etag')).toBeNull();
    }
  });

  it('never reach a client: the connection is broken off before the piece that changed', async () => {
    const bytes = randomBytes(3 * MIB + 17);
    await upload('flip/large', bytes);
    await flipByte(await fileOf(bytes), 2 * MIB + 5);
    const reply = await download('flip/large');
    expect(reply.status).toBe(200);
    const got: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of reply.body as unknown as AsyncIterable<Uint8Array>) got.push(Buffer.from(chunk));
    })();
    await expect(reading).rejects.toThrow();
    const received = Buffer.concat(got);
    expect(received.length).toBeLessThanOrEqual(2 * MIB);
    expect(received.equals(bytes.subarray(0, received.length))).toBe(true);
    expect((await download('flip/large')).status).toBe(410);
  });

  it('are found in a part of a large file too', async () => {
    const bytes = randomBytes(3 * MIB);
    await upload('flip/range', bytes);
    const part = await download('flip/range', `bytes=${MIB - 3}-${2 * MIB + 3}`);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(MIB - 3, 2 * MIB + 4))).toBe(true);
    await flipByte(await fileOf(bytes), 3 * MIB - 1);
    expect((await download('flip/range', 'bytes=0-9')).status).toBe(206);
    expect((await download('flip/range', 'bytes=-4')).status).toBe(410);
  });

  it.each([0, 999, 1001])('are found when the file has %i bytes instead of 1000', async (length) => {
    const bytes = randomBytes(1000);
    await upload(`length/${length}`, bytes);
    await fs.truncate(await fileOf(bytes), length);
    const reply = await download(`length/${length}`);
    // What was added behind the end is never read.
    if (length > 1000) expect(Buffer.from(await reply.arrayBuffer()).equals(bytes)).toBe(true);
    else expect(reply.status).toBe(410);
  });

  it('are found when the file is gone', async () => {
    const bytes = randomBytes(10);
    await upload('gone/file', bytes);
    await fs.rm(await fileOf(bytes));
    expect((await download('gone/file')).status).toBe(410);
  });

  it('are replaced by an upload of the same file', async () => {
    const bytes = randomBytes(2000);
    await upload('heal/file', bytes);
    await flipByte(await fileOf(bytes), 7);
    expect((await download('heal/file')).status).toBe(410);
    await upload('heal/other', bytes);
    for (const target of ['heal/file', 'heal/other']) {
      expect(Buffer.from(await (await download(target)).arrayBuffer()).equals(bytes)).toBe(true);
    }
  });
});

it('checks bytes that were stored before there were checksums of pieces, and remembers those', async () => {
  const [good, bad] = [randomBytes(2 * MIB), randomBytes(2 * MIB)];
  await upload('old/good', good);
  await upload('old/bad', bad);
  await flipByte(await fileOf(bad), MIB);
  await server.db.query('update blobs set piece_crcs = null');
  const part = await download('old/good', 'bytes=5-9');
  expect(Buffer.from(await part.arrayBuffer()).equals(good.subarray(5, 10))).toBe(true);
  expect((await download('old/bad', 'bytes=5-9')).status).toBe(410);
  const { rows } = await server.db.query('select count(*) as checked from blobs where piece_crcs is not null');
  expect(Number(rows[0].checked)).toBe(1);
});

it('names the bytes by Repr-Digest (RFC 9530) as well as by ETag', async () => {
  await upload('digest/file', Buffer.from('known'));
  const sha256 = createHash('sha256').update('known').digest('base64');
  expect((await download('digest/file')).headers.get('repr-digest')).toBe(`sha-256=:${sha256}:`);
});
