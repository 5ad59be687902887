import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { joinPath } from '../artifacts/artifact-path.ts';
import { checksumsOf } from '../artifacts/blobs/checksums.ts';
import { forEachConcurrently } from '../platform/concurrently.ts';
import { type RemoteFile, type RemoteVersion, refuseUnsafe } from './find-files.ts';
import { request, type ServerAddress, ServerError } from './mlflow-server.ts';

const AT_ONCE = 4;
const TRIES = 5;
const PAUSE_MS = 500;
const IDLE_MS = 60_000;
/** Holds what is not whole yet; it goes when all is. */
const PARTS = '.model-commons-parts';

export type Downloaded = { files: number; bytes: number; present: number };

/**
 * Downloads a version's files to a folder, four at once. A file that is there with the right SHA-256 is passed over, one that broke off goes on
 * where it was; a file gets its name only when it is whole and right. Throws one sentence when a path is unsafe or a file is not what the server said.
 */
export async function downloadFiles(
  server: ServerAddress,
  { folder, files }: RemoteVersion,
  to: string,
  heed: { onBytes(bytes: number): void; onDone(file: RemoteFile): void },
): Promise<Downloaded> {
  for (const file of files) refuseUnsafe(file.path);
  const downloaded = { files: files.length, bytes: 0, present: 0 };
  const parts = path.join(to, PARTS);
  await fs.mkdir(parts, { recursive: true });
  // One that fails stops the others.
  const failed = new AbortController();
  const signal = AbortSignal.any([server.signal, failed.signal]);
  await forEachConcurrently(files, AT_ONCE, async (file) => {
    if (signal.aborted) return;
    const target = path.join(to, ...file.path.split('/'));
    try {
      if (await isThere(target, file)) {
        downloaded.present += 1;
        heed.onBytes(file.size ?? 0);
      } else {
        const part = path.join(
          parts,
          createHash('sha256')
            .update(JSON.stringify([folder, file]))
            .digest('hex'),
        );
        await downloadFile({ ...server, signal }, joinPath(folder, file.path), file, part, heed.onBytes);
        await fs.mkdir(path.dirname(target), { recursive: true });
        await fs.rename(part, target);
      }
      const { size } = await fs.stat(target);
      downloaded.bytes += size;
      heed.onDone(file);
    } catch (error) {
      failed.abort();
      throw error;
    }
  });
  if (!signal.aborted) await fs.rm(parts, { recursive: true, force: true });
  return downloaded;
}

async function isThere(target: string, { size, sha256 }: RemoteFile): Promise<boolean> {
  const stat = await fs.stat(target).catch(() => null);
  if (sha256 === null || !stat?.isFile() || stat.size !== size) return false;
  return (await checksumsOf(createReadStream(target))).sha256 === sha256;
}

/** Brings the file `part` to the end, whatever of it is there. */
async function downloadFile(
  server: ServerAddress,
  remotePath: string,
  { path: shown, size, sha256 }: RemoteFile,
  part: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const handle = await fs.open(part, fs.constants.O_RDWR | fs.constants.O_CREAT);
  try {
    let { at, hash } = await readPart(handle, size);
    onBytes(at);
    for (let failures = 0; size === null || at < size; ) {
      const before = at;
      try {
        const response = await request(server, urlOf(remotePath), { headers: at > 0 ? { Range: `bytes=${at}-` } : {} });
        if (at > 0 && response.status !== 206) {
          onBytes(-at);
          [at, hash] = [0, createHash('sha256')];
          await handle.truncate(0);
        }
        for await (const chunk of chunksOf(response, server.signal)) {
          await handle.write(chunk, 0, chunk.length, at);
          hash.update(chunk);
          at += chunk.length;
          onBytes(chunk.length);
        }
        if (size === null) break;
        if (at > size) throw new ServerError(`${shown} has more bytes than the server said: ${at} instead of ${size}.`, 0, null);
      } catch (error) {
        if (error instanceof ServerError || server.signal.aborted) throw error;
        failures = at > before ? 1 : failures + 1;
        if (failures >= TRIES) throw error;
        await sleep(PAUSE_MS * failures);
      }
    }
    const found = hash.digest('hex');
    if (sha256 !== null && found !== sha256) {
      await fs.rm(part, { force: true });
      throw new Error(
        `${shown} is not what the version holds: its SHA-256 is ${found}, not ${sha256}. Run this again; if it stays so, run model-commons verify.`,
      );
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What an earlier download left: so many bytes, and their hash so far. A part of a file of unknown size starts again. */
async function readPart(handle: fs.FileHandle, size: number | null): Promise<{ at: number; hash: Hash }> {
  const hash = createHash('sha256');
  const { size: length } = await handle.stat();
  if (size === null || length > size) {
    await handle.truncate(0);
    return { at: 0, hash };
  }
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return { at: length, hash };
}

/** Where a file of the server's artifacts is read and written. */
export const urlOf = (remotePath: string) =>
  `/api/2.0/mlflow-artifacts/artifacts/${remotePath.split('/').map(encodeURIComponent).join('/')}`;

/** The chunks of an answer; throws when none came for a minute. */
async function* chunksOf(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const idle = new AbortController();
      const next = await Promise.race([
        reader.read(),
        sleep(IDLE_MS, null, { signal: AbortSignal.any([signal, idle.signal]) }).catch(() => null),
      ]).finally(() => idle.abort());
      if (next === null) throw new Error(signal.aborted ? 'stopped' : 'The server sent nothing for a minute.');
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
