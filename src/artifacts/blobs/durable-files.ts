import fs from 'node:fs/promises';
import path from 'node:path';
import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MlflowError } from '../../platform/errors.ts';
import { letGo } from './let-go.ts';

const SINGLE_WRITE_BYTES = 1024 * 1024;
// A write of each chunk of 64 KiB by itself is bound by the ways to the disk and back.
const BATCH_BYTES = 512 * 1024;

/**
 * Stores a stream as a new durable file: after this its bytes and its name are on the disk even if the machine loses power. One of up to 1 MiB
 * goes to `file` with a single write; a larger one grows as `upload` and is moved when all of it is there. `onChunk` sees all of it in order; the memory of
 * the chunks is let go. Holds 1.5 MiB at the most. When it fails, either file may be there.
 */
export async function storeStream(body: Readable, upload: string, file: string, onChunk: (chunk: Buffer) => void): Promise<void> {
  let held: Buffer[] = [];
  let length = 0;
  let handle: fs.FileHandle | undefined;
  let writing = Promise.resolve();
  const writeHeld = async () => {
    const chunks = held;
    [held, length] = [[], 0];
    handle ??= await fs.open(upload, 'wx', 0o640);
    await writing;
    writing = writeAll(handle, chunks);
    // It is awaited later; until then its failure has nobody who listens.
    writing.catch(() => {});
  };
  const batches = new Writable({
    highWaterMark: SINGLE_WRITE_BYTES,
    write(chunk: Buffer, _, done) {
      onChunk(chunk);
      if (length > 0 && length + chunk.length > (handle ? BATCH_BYTES : SINGLE_WRITE_BYTES)) writeHeld().then(() => done(), done);
      else done();
      held.push(chunk);
      length += chunk.length;
    },
  });
  try {
    await pipeline(body, batches);
    if (!handle) return await createSynced(file, held);
    await writeHeld();
    await writing;
    await moveAndSync(handle, upload, file);
  } finally {
    await writing.catch(() => {});
    await handle?.close();
  }
}

async function writeAll(handle: fs.FileHandle, chunks: Buffer[]): Promise<void> {
  if (chunks.length === 0) return;
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const { bytesWritten } = await handle.writev(chunks);
  // A disk that fills up takes a part: the next try says why.
  if (bytesWritten < length) await writeAll(handle, [Buffer.concat(chunks).subarray(bytesWritten)]);
  letGo(chunks);
}

// A write returns when the bytes are on the disk.
const CREATE_SYNCED = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_DSYNC;

async function createSynced(file: string, chunks: Buffer[]): Promise<void> {
  const handle = await inFolder(file, () => fs.open(file, CREATE_SYNCED, 0o640));
  try {
    await Promise.all([writeAll(handle, chunks), syncFolder(path.dirname(file))]);
  } finally {
    // Nobody waits for it: the bytes are on the disk, or it failed.
    handle.close().catch(() => {});
  }
}

/**
 * After this the open file, with what was written to it, is at its new place even if the machine loses power. It is renamed before it is synced, so
 * that both go to the disk in one commit of the file system's journal instead of two; after a loss of power a file that is not whole may lie there.
 */
async function moveAndSync(handle: fs.FileHandle, from: string, to: string): Promise<void> {
  await inFolder(to, () => fs.rename(from, to));
  await Promise.all([handle.datasync(), syncFolder(path.dirname(to))]);
}

/** After this a file that is on the disk already is at its new place even if the machine loses power. */
export async function moveDurably(from: string, to: string): Promise<void> {
  await inFolder(to, () => fs.rename(from, to));
  await syncFolder(path.dirname(to));
}

/** Does what puts a file into a folder, which is made, durably, when it is not there. */
async function inFolder<T>(file: string, put: () => Promise<T>): Promise<T> {
  try {
    return await put();
  } catch (error) {
    nullIfMissing(error);
    const folder = path.dirname(file);
    await fs.mkdir(folder, { recursive: true });
    await syncFolder(path.dirname(folder));
    return put();
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
