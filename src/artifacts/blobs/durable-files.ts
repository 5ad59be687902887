import fs from 'node:fs/promises';
import path from 'node:path';
import { finished, type Readable } from 'node:stream';
import { MlflowError } from '../../platform/errors.ts';
import type { Checksums } from './checksums.ts';
import { SLAB_BYTES } from './slabs.ts';
import { startUpload, type ThreadUpload } from './write-threads.ts';

/**
 * Stores a stream as a new durable file: after this its bytes and its name are on the disk even if the machine loses power. One of up to 1 MiB
 * is created as `file`; a larger one grows as `upload` and is moved when all of it is there. The memory of the chunks is let go. Holds 2 MiB at the most.
 * When it fails, neither file is there, and the stream stays open, so that its sender can be answered. Rejects as the stream, or with what the system said.
 */
export async function storeStream(body: Readable, upload: string, file: string): Promise<Checksums> {
  let held: Buffer[] = [];
  let length = 0;
  let started: ThreadUpload | undefined;
  let adding: Promise<unknown> = Promise.resolve();
  const takeHeld = () => {
    const chunks = held;
    [held, length] = [[], 0];
    return chunks;
  };
  const start = () => {
    started ??= startUpload([upload, file]);
    return started;
  };
  /** Resolves when the batch before this one is written. */
  const addHeld = (): Promise<unknown> => {
    const [chunks, before] = [takeHeld(), adding];
    const thread = start();
    adding = before.then(() => thread.add(chunks));
    // It is awaited later; until then its failure has nobody who listens.
    adding.catch(() => {});
    return before;
  };
  try {
    await forEachChunk(body, (chunk) => {
      // By itself, each chunk of 64 KiB would be bound by the ways to the thread and to the disk.
      const added = length > 0 && length + chunk.length > SLAB_BYTES ? addHeld() : undefined;
      held.push(chunk);
      length += chunk.length;
      return added;
    });
    await adding;
    return await start().finish(takeHeld());
  } catch (error) {
    await adding.catch(() => {});
    // What cannot be removed is left to the sweep of what broken-off uploads left behind.
    await started?.remove().catch(() => {});
    throw error;
  }
}

/** Hands over each chunk; the next comes after the promise, if it gave one. With a pipeline, an upload takes a tenth more of processor time. */
function forEachChunk(body: Readable, take: (chunk: Buffer) => Promise<unknown> | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error | null) => {
      body.off('data', read);
      if (error) reject(error);
      else resolve();
    };
    const read = (chunk: Buffer) => {
      const taken = take(chunk);
      if (!taken) return;
      body.pause();
      taken.then(() => body.resume(), end);
    };
    finished(body, { writable: false }, end);
    body.on('data', read);
  });
}

/** Makes the folders that are missing below a parent which is there, durably. */
export async function makeFolders(parent: string, names: string[]): Promise<void> {
  const there = new Set(await fs.readdir(parent));
  // Another server may make them meanwhile.
  for (const name of names) if (!there.has(name)) await fs.mkdir(path.join(parent, name), { recursive: true });
  await syncFolder(parent);
}

/** After this a file that is on the disk already is at its new place even if the machine loses power. */
export async function moveDurably(from: string, to: string): Promise<void> {
  await fs.rename(from, to);
  await syncFolder(path.dirname(to));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function nullIfMissing(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}

/** What the caller is told when a write failed: a full disk, quota or file size limit in words, anything else as it is. */
export function toStoreError(error: unknown): unknown {
  if (!['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException).code ?? '')) return error;
  return new MlflowError('IO_ERROR', 'The artifact store is full: nothing was stored. Free some space and upload again.');
}
