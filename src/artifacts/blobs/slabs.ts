export const SLAB_BYTES = 1024 * 1024;
// Two for each of the most threads that write: one that it works with, one that is filled meanwhile.
const SLABS = 8;
// Whoever writes them past the page cache needs memory that begins at a page: V8 gives pages to memory that can grow
// (BackingStore::TryAllocateAndPartiallyCommitMemory).
const memory = new SharedArrayBuffer(SLABS * SLAB_BYTES, { maxByteLength: SLABS * SLAB_BYTES });

/** 1 MiB that all threads see. */
type Slab = Uint8Array<SharedArrayBuffer>;
const free: Slab[] = Array.from({ length: SLABS }, (_, i) => new Uint8Array(memory, i * SLAB_BYTES, SLAB_BYTES));
const waiting: ((slab: Slab) => void)[] = [];

/** Lends a slab for as long as some work takes, once there is one. Not for work that waits for a client: slow ones would keep all of them. */
export async function withSlab<Result>(work: (slab: Slab) => Promise<Result>): Promise<Result> {
  const slab = free.pop() ?? (await new Promise<Slab>((resolve) => waiting.push(resolve)));
  try {
    return await work(slab);
  } finally {
    const next = waiting.shift();
    if (next) next(slab);
    else free.push(slab);
  }
}
