import os from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Checksums } from './checksums.ts';
import { letGo } from './let-go.ts';
import { BLOCK_BYTES } from './new-file.ts';
import { SLAB_BYTES, withSlab } from './slabs.ts';
import { unavailable } from './store-errors.ts';
import type { Outcome, Step } from './write-thread.ts';

type Thread = {
  worker: Worker;
  uploads: Set<number>;
  waiting: Map<number, { resolve(checksums?: Checksums): void; reject(error: unknown): void }>;
};

// One takes 10 MiB of memory and keeps up with what one processor receives; on a slow disk more of them help.
const MOST_THREADS = Math.min(4, os.availableParallelism());
const UPLOADS_EACH = 4;
// They make little garbage and need not let it pile up.
const LIMITS = { maxYoungGenerationSizeMb: 1 };
const IS_BUILT = import.meta.filename.endsWith('.js');
// As in tests. Node.js 20 does not hand what reads TypeScript on to threads.
const FROM_SOURCE = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(new URL('./write-thread.ts', import.meta.url))})))`;
const threads = new Set<Thread>();
let uploadsSoFar = 0;

/** An upload that a thread hashes and writes, one step at a time. A step rejects with what the system said, or TEMPORARILY_UNAVAILABLE when the thread is lost. */
export type ThreadUpload = {
  /** Adds chunks, whose memory is let go. */
  add(chunks: Uint8Array[]): Promise<unknown>;
  /** Adds the last ones. Resolves with the checksums of all, once the file is durable. */
  finish(chunks: Uint8Array[]): Promise<Checksums>;
  /** Removes what there is of it. */
  remove(): Promise<unknown>;
};

/**
 * Begins an upload to the files called `names` (new-file.ts) in a thread: hashing and the ways to the disk are most of the work of an upload, and requests
 * of all kinds would wait for them. Threads are started as they are needed, and stay.
 */
export function startUpload(names: Step['names']): ThreadUpload {
  const upload = uploadsSoFar++;
  const thread = leastBusyThread();
  thread.uploads.add(upload);
  /** Without bytes, gives the upload up. */
  const send = (isLast: boolean, bytes?: Uint8Array) =>
    new Promise<Checksums | undefined>((resolve, reject) => {
      if (!threads.has(thread)) return reject(unavailable(new Error('the thread that wrote this upload has ended')));
      thread.waiting.set(upload, { resolve, reject });
      thread.worker.ref();
      thread.worker.postMessage({ upload, names, isLast, ...(bytes && { bytes }) } satisfies Step);
    }).finally(() => {
      if (isLast) thread.uploads.delete(upload);
    });
  let rest = new Uint8Array();
  const pour = (chunks: Uint8Array[], isLast: boolean) =>
    withSlab(async (slab) => {
      let filled = 0;
      for (const chunk of [rest, ...chunks]) {
        for (let taken = 0; taken < chunk.length; ) {
          if (filled === SLAB_BYTES) {
            await send(false, slab);
            filled = 0;
          }
          const part = chunk.subarray(taken, taken + SLAB_BYTES - filled);
          slab.set(part, filled);
          taken += part.length;
          filled += part.length;
        }
      }
      letGo(chunks);
      const length = isLast ? filled : filled - (filled % BLOCK_BYTES);
      rest = slab.slice(length, filled);
      return send(isLast, slab.subarray(0, length));
    });
  return {
    add: (chunks) => pour(chunks, false),
    async finish(chunks) {
      const checksums = (await pour(chunks, true)) as Checksums;
      // A Buffer comes out of a thread as a plain array of bytes.
      return { ...checksums, pieceCrcs: Buffer.from(checksums.pieceCrcs) };
    },
    remove: () => send(true),
  };
}

function leastBusyThread(): Thread {
  const [least] = [...threads].sort((a, b) => a.uploads.size - b.uploads.size);
  return least && (least.uploads.size < UPLOADS_EACH || threads.size === MOST_THREADS) ? least : startThread();
}

/** Starts a thread; the first upload would wait for it otherwise. */
export function startThread(): Thread {
  const worker = IS_BUILT
    ? new Worker(new URL('./write-thread.js', import.meta.url), { resourceLimits: LIMITS })
    : new Worker(FROM_SOURCE, { eval: true });
  const thread: Thread = { worker, uploads: new Set(), waiting: new Map() };
  threads.add(thread);
  // The process may end while nothing is written.
  worker.unref();
  worker.on('message', ({ upload, checksums, failure }: Outcome) => {
    const step = thread.waiting.get(upload);
    thread.waiting.delete(upload);
    if (thread.waiting.size === 0) worker.unref();
    if (failure) step?.reject(Object.assign(new Error(failure.message), { code: failure.code }));
    else step?.resolve(checksums);
  });
  // An error that nothing caught ends the thread, too.
  let cause = new Error('the thread that writes uploads has ended');
  worker.on('error', (error) => {
    cause = error;
  });
  worker.on('exit', () => {
    threads.delete(thread);
    for (const { reject } of thread.waiting.values()) reject(unavailable(cause));
  });
  return thread;
}
