import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ensureVenv, findPython } from '../compat/servers/venv.ts';
import type { BlobStore } from '../src/artifacts/blobs/blob-store.ts';
import { openLocalStore } from '../src/artifacts/blobs/local.ts';
import { openS3Store } from '../src/artifacts/blobs/s3.ts';

const INSTALL_MS = 300_000;

/** What every driver promises (src/artifacts/blobs/blob-store.ts). */
function blobStoreSuite(name: string, open: () => Promise<BlobStore>): void {
  describe(`the ${name} store`, () => {
    let store: BlobStore;
    beforeAll(async () => {
      store = await open();
    }, INSTALL_MS);

    it.each([0, 1, 100_000, 6 * 1024 * 1024 + 1])('gives back %d bytes as they were, with their size and SHA-256', async (size) => {
      const bytes = randomBytes(size);
      const stored = await store.write(Readable.from(size > 0 ? chunksOf(bytes) : []));
      expect(stored).toMatchObject({ size, sha256: createHash('sha256').update(bytes).digest('hex') });
      if (size > 0) expect((await buffer(await store.read(stored.key))).equals(bytes)).toBe(true);
    });

    it('gives back a part', async () => {
      const { key } = await store.write(Readable.from([Buffer.from('0123456789')]));
      expect((await buffer(await store.read(key, { start: 2, end: 4 }))).toString()).toBe('234');
    });

    it('keeps nothing of a stream that fails, and passes the error on', async () => {
      const failing = Readable.from(
        (async function* () {
          yield Buffer.from('half');
          throw new Error('the client went away');
        })(),
      );
      await expect(store.write(failing)).rejects.toThrow('the client went away');
    });

    it('forgets what is removed; removing it again is fine', async () => {
      const { key } = await store.write(Readable.from([Buffer.from('x')]));
      await store.remove(key);
      await store.remove(key);
      await expect(store.read(key).then(buffer)).rejects.toThrow();
    });
  });
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-blobs-'));
let stopMoto = () => {};
afterAll(async () => {
  stopMoto();
  await fs.rm(folder, { recursive: true, force: true });
});

/** Starts the S3 server of the Python package moto; gives its address. */
async function startMoto(): Promise<string> {
  const port = await new Promise<number>((resolve) => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as net.AddressInfo;
      probe.close(() => resolve(port));
    });
  });
  const python = await ensureVenv('moto', await findPython());
  const moto = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  stopMoto = () => moto.kill();
  const url = `http://127.0.0.1:${port}`;
  const answers = () =>
    fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
  await vi.waitUntil(answers, { timeout: 30_000, interval: 100 });
  return url;
}

blobStoreSuite('local', () => openLocalStore(folder));
blobStoreSuite('S3', async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' });
  return openS3Store('s3://models/some/prefix', await startMoto());
});

describe('the local store', () => {
  it('removes uploads that a killed server left an hour ago, and no others', async () => {
    const uploads = path.join(folder, 'uploads');
    await fs.writeFile(path.join(uploads, 'old'), 'x');
    await fs.writeFile(path.join(uploads, 'new'), 'x');
    await fs.utimes(path.join(uploads, 'old'), 0, 0);
    await openLocalStore(folder);
    expect(await fs.readdir(uploads)).toEqual(['new']);
  });
});
