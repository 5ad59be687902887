import { PIECE_BYTES } from './blobs/checksums.ts';

// Enough for four downloads at once; more of them make their own.
const KEPT = 8;
const POOLED_FROM_BYTES = 128 * 1024;
const kept: Buffer[] = [];

/**
 * Two buffers to read a file of `size` bytes piece by piece: one for a piece that is on its way to the client, one for the next. They are used again and
 * again, since memory that is let go waits for the garbage collection. Give them back when nothing reads or sends them any more; otherwise let them go.
 */
export function takeBuffers(size: number): [Buffer, Buffer] {
  if (size < POOLED_FROM_BYTES) return [Buffer.allocUnsafe(size), NONE];
  return [take(), size > PIECE_BYTES ? take() : NONE];
}

export function giveBack(buffers: [Buffer, Buffer]): void {
  for (const buffer of buffers) if (buffer.length === PIECE_BYTES && kept.length < KEPT) kept.push(buffer);
}

const NONE = Buffer.alloc(0);
const take = () => kept.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
