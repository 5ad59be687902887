import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { BlobStore } from './blob-store.ts';
import { type Checksums, checksumsOf, PIECE_BYTES } from './checksums.ts';
import { makeFolders, moveDurably, nullIfMissing, storeStream, toStoreError } from './durable-files.ts';
import { openLocalParts } from './local-parts.ts';
import { startThread } from './write-threads.ts';

const SHARDS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/**
 * Keeps blobs in a folder: `blobs/ab/<key>`, synced to the disk; a large one is written as `uploads/<key>` first. What a server has named a blob is
 * whole; what a killed one left has no name.
 * Uploads in parts are put together below `parts/`.
 */
export async function openLocalStore(folder: string): Promise<BlobStore> {
  const [blobs, uploads, partsFolder] = ['blobs', 'uploads', 'parts'].map((name) => path.join(folder, name)) as [string, string, string];
  const fileOf = (key: string) => path.join(blobs, key.slice(0, 2), key);
  for (const made of [blobs, uploads, partsFolder]) await fs.mkdir(made, { recursive: true });
  await makeFolders(blobs, SHARDS);

  return {
    warmUp: startThread,
    async write(body) {
      const key = randomUUID();
      try {
        return { key, ...(await storeStream(body, path.join(uploads, key), fileOf(key))) };
      } catch (error) {
        throw toStoreError(error);
      }
    },
    async adopt(file) {
      const key = randomUUID();
      const upload = path.join(uploads, key);
      await fs.link(file, upload);
      try {
        const checksums = await readUnchanged(upload);
        await moveDurably(upload, fileOf(key));
        return { key, ...checksums };
      } catch (error) {
        await fs.rm(upload, { force: true });
        throw toStoreError(error);
      }
    },
    open: (key) => fs.open(fileOf(key)),
    async read(key, range): Promise<Readable> {
      return createReadStream(fileOf(key), { ...range, highWaterMark: PIECE_BYTES / 4 });
    },
    async sizeOf(key) {
      const stat = await fs.stat(fileOf(key)).catch(nullIfMissing);
      return stat?.size ?? null;
    },
    async remove(key) {
      await fs.rm(fileOf(key), { force: true });
    },
    async *list() {
      for (const shard of await fs.readdir(blobs)) {
        for (const key of await fs.readdir(path.join(blobs, shard))) {
          const stat = await fs.stat(fileOf(key)).catch(nullIfMissing);
          // An adopted file was modified long before it came here; linking it counts as a change.
          if (stat) yield { key, size: stat.size, modified: Math.max(stat.mtimeMs, stat.ctimeMs) };
        }
      }
    },
    async removeLeftovers(before, open) {
      for (const leftovers of [uploads, partsFolder]) {
        for (const name of await fs.readdir(leftovers)) {
          const file = path.join(leftovers, name);
          const stat = await fs.stat(file).catch(nullIfMissing);
          if (stat && stat.mtimeMs < before && !open.has(name)) await fs.rm(file, { recursive: true, force: true });
        }
      }
    },
    parts: openLocalParts(partsFolder, fileOf),
  };
}

const NO_LINK_NO_WAIT = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

/** Reads a file for its checksums and syncs it. Throws when it is written to meanwhile. */
async function readUnchanged(file: string): Promise<Checksums> {
  const handle = await fs.open(file, NO_LINK_NO_WAIT);
  try {
    const before = await handle.stat();
    if (!before.isFile()) throw new Error('it is no plain file');
    const checksums = await checksumsOf(handle.createReadStream({ autoClose: false, highWaterMark: PIECE_BYTES / 4 }));
    await handle.sync();
    const after = await handle.stat();
    if (after.mtimeMs !== before.mtimeMs || after.size !== checksums.size) throw new Error('it was written to while it was read');
    return checksums;
  } finally {
    await handle.close();
  }
}
