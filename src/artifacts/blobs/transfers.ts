import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Checksums, checksumStream } from './checksums.ts';
import { unavailable } from './store-errors.ts';

/** How long a store may take, in ms: to accept a connection, to answer a request, and to send the next bytes. */
export type StoreTimeouts = { connectMs: number; requestMs: number };

/** Three tries end before the upload counts as standing still (receive-artifact.ts). */
export const STORE_TIMEOUTS: StoreTimeouts = { connectMs: 5_000, requestMs: 15_000 };

const TRIES = 3;

/**
 * Hands a body to `send`, which sends it to a store, and gives its checksums. Throws what the body failed with, or TEMPORARILY_UNAVAILABLE when the
 * store failed; the body then stays open, so that its sender can still be answered.
 */
export async function sendMeasured(body: Readable, send: (stream: Readable) => Promise<unknown>): Promise<Checksums> {
  const { stream, result } = checksumStream();
  // Its failure breaks `stream` off, which `send` then sees.
  pipeline(body.iterator({ destroyOnReturn: false }), stream).catch(() => {});
  try {
    await send(stream);
  } catch (error) {
    stream.destroy();
    if (body.errored) throw body.errored;
    throw body.destroyed && !body.readableEnded ? error : unavailable(error);
  }
  return result();
}

/** Cuts a stream into blocks of `bytes`, of which the last one, marked so, is as long as what is left. */
export async function* blocksOf(stream: Readable, bytes: number): AsyncGenerator<{ block: Buffer; isLast: boolean }> {
  let held: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    held.push(chunk);
    length += chunk.length;
    while (length > bytes) {
      const all = Buffer.concat(held);
      yield { block: all.subarray(0, bytes), isLast: false };
      held = [all.subarray(bytes)];
      length -= bytes;
    }
  }
  yield { block: Buffer.concat(held), isLast: true };
}

/**
 * The bytes of a blob from `start` to `end` (inclusive; undefined is to its end). Blobs never change, so a store that breaks off or sends nothing
 * for `idleMs` is asked for the rest, three times in all. Rejects as the first `open`; the stream fails with TEMPORARILY_UNAVAILABLE, but with an error
 * that `isMissing` as it is.
 */
export async function readResuming(
  open: (start: number, end: number | undefined) => Promise<Readable>,
  range: { start: number; end: number } | undefined,
  { idleMs, isMissing }: { idleMs: number; isMissing: (error: unknown) => boolean },
): Promise<Readable> {
  let at = range?.start ?? 0;
  let body = await open(at, range?.end);
  const bytes = async function* () {
    for (let tries = 1; range === undefined || at <= range.end; tries++) {
      try {
        for await (const chunk of watched(body, idleMs)) {
          at += chunk.length;
          yield chunk;
        }
        return;
      } catch (error) {
        if (isMissing(error)) throw error;
        if (tries === TRIES) throw unavailable(error);
        body = await open(at, range?.end);
      }
    }
  };
  const stream = Readable.from(bytes(), { objectMode: false });
  stream.once('close', () => body.destroy());
  return stream;
}

/** Breaks a body off when it stands still. A reader who takes his time does not count. */
async function* watched(body: Readable, idleMs: number): AsyncGenerator<Buffer> {
  const breakOff = () => body.destroy(new Error(`the artifact store sent nothing for ${idleMs} ms`));
  let timer = setTimeout(breakOff, idleMs);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      clearTimeout(timer);
      yield chunk;
      timer = setTimeout(breakOff, idleMs);
    }
  } finally {
    clearTimeout(timer);
  }
}
