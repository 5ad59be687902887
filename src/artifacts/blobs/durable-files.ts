import fs from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MlflowError } from '../../platform/errors.ts';

// What gathers while the write before is under way goes in one: a write of each chunk of 64 KiB by itself is bound by the ways to the disk and back.
const WRITE_BYTES = 512 * 1024;

/** Writes a stream to the end of an open file; `onChunk` sees all of it in order. Holds 1 MiB at the most. */
export async function writeStream(handle: fs.FileHandle, body: Readable, onChunk: (chunk: Buffer) => void): Promise<void> {
  let held: Buffer[] = [];
  let length = 0;
  let writing = Promise.resolve();
  await pipeline(body, async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      onChunk(chunk);
      held.push(chunk);
      length += chunk.length;
      if (length < WRITE_BYTES) continue;
      await writing;
      writing = writeAll(handle, held);
      // It is awaited above or below; until then its failure has nobody who listens.
      writing.catch(() => {});
      [held, length] = [[], 0];
    }
  }).finally(() => writing);
  await writeAll(handle, held);
}

async function writeAll(handle: fs.FileHandle, chunks: Buffer[]): Promise<void> {
  if (chunks.length === 0) return;
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const { bytesWritten } = await handle.writev(chunks);
  // A disk that fills up takes a part: the next try says why.
  if (bytesWritten < length) await writeAll(handle, [Buffer.concat(chunks).subarray(bytesWritten)]);
}

/**
 * After this the open file, with what was written to it, is at its new place even if the machine loses power. It is renamed before it is synced, so
 * that both go to the disk in one commit of the file system's journal instead of two; after a loss of power a file that is not whole may lie there.
 */
export async function moveAndSync(handle: fs.FileHandle, from: string, to: string): Promise<void> {
  await renameInto(from, to);
  await Promise.all([handle.datasync(), syncFolder(path.dirname(to))]);
}

/** After this a file that is on the disk already is at its new place even if the machine loses power. */
export async function moveDurably(from: string, to: string): Promise<void> {
  await renameInto(from, to);
  await syncFolder(path.dirname(to));
}

/** Makes the folder, durably, when it is not there. */
async function renameInto(from: string, to: string): Promise<void> {
  try {
    await fs.rename(from, to);
  } catch (error) {
    nullIfMissing(error);
    const folder = path.dirname(to);
    await fs.mkdir(folder, { recursive: true });
    await syncFolder(path.dirname(folder));
    await fs.rename(from, to);
  }
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
