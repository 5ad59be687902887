import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MlflowError } from '../../platform/errors.ts';
import type { BlobStore } from './blob-store.ts';
import { hashingStream } from './hashing.ts';

const LEFTOVER_MS = 60 * 60 * 1000;

/**
 * Keeps blobs in a folder: `blobs/ab/<key>`, written as `uploads/<key>` first, synced to the disk, then renamed, so a blob is whole or absent.
 * Uploads that a killed server left behind are removed at the start once they are an hour old.
 */
export async function openLocalStore(folder: string): Promise<BlobStore> {
  const uploads = path.join(folder, 'uploads');
  const fileOf = (key: string) => path.join(folder, 'blobs', key.slice(0, 2), key);
  await fs.mkdir(uploads, { recursive: true });
  await fs.mkdir(path.join(folder, 'blobs'), { recursive: true });
  await removeLeftovers(uploads);

  return {
    async write(body) {
      const key = randomUUID();
      const upload = path.join(uploads, key);
      const { stream, result } = hashingStream();
      try {
        // `flush` syncs the file before it is closed.
        await pipeline(body, stream, createWriteStream(upload, { flags: 'wx', mode: 0o640, flush: true }));
        await moveDurably(upload, fileOf(key));
      } catch (error) {
        await fs.rm(upload, { force: true });
        throw isFull(error)
          ? new MlflowError('IO_ERROR', 'The artifact store is full: nothing was stored. Free some space and upload again.')
          : error;
      }
      return { key, ...result() };
    },
    async read(key, range): Promise<Readable> {
      return createReadStream(fileOf(key), { ...range, highWaterMark: 256 * 1024 });
    },
    async remove(key) {
      await fs.rm(fileOf(key), { force: true });
    },
  };
}

/** After this the file is at its new place even if the machine loses power. */
async function moveDurably(from: string, to: string): Promise<void> {
  const folder = path.dirname(to);
  const made = await fs.mkdir(folder, { recursive: true });
  await fs.rename(from, to);
  await syncFolder(folder);
  if (made) await syncFolder(path.dirname(folder));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeLeftovers(uploads: string): Promise<void> {
  for (const name of await fs.readdir(uploads)) {
    const file = path.join(uploads, name);
    const stat = await fs.stat(file).catch(() => null);
    if (stat && Date.now() - stat.mtimeMs > LEFTOVER_MS) await fs.rm(file, { force: true });
  }
}

const isFull = (error: unknown) => ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
