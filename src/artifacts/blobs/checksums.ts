import { createHash } from 'node:crypto';
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import { crc32 } from 'node:zlib';

/** Bytes in a piece. Each piece of a blob has a CRC-32 of its own, so that a part of a large file can be checked without reading all of it. */
export const PIECE_BYTES = 1024 * 1024;

/** The size of a blob in bytes, its hex SHA-256, and the CRC-32 of its pieces, 4 bytes (big-endian) each; none for an empty blob. */
export type Checksums = { size: number; sha256: string; pieceCrcs: Buffer };

/** Takes the chunks of a blob in order; ask for `result` after the last. */
export function checksummer(): { add(chunk: Uint8Array): void; result(): Checksums } {
  const hash = createHash('sha256');
  const crcs: number[] = [];
  let size = 0;
  return {
    add(chunk) {
      hash.update(chunk);
      for (const part of splitAtPieces(chunk, size)) {
        const piece = Math.floor(size / PIECE_BYTES);
        crcs[piece] = crc32(part, crcs[piece] ?? 0);
        size += part.length;
      }
    },
    result() {
      const pieceCrcs = Buffer.alloc(crcs.length * 4);
      crcs.forEach((crc, piece) => {
        pieceCrcs.writeUInt32BE(crc, piece * 4);
      });
      return { size, sha256: hash.digest('hex'), pieceCrcs };
    },
  };
}

/** Cuts a chunk that begins at byte `at` of its blob where pieces end. */
export function* splitAtPieces<Chunk extends Uint8Array>(chunk: Chunk, at: number): Generator<Chunk> {
  let start = 0;
  while (start < chunk.length) {
    const end = Math.min(chunk.length, start + PIECE_BYTES - ((at + start) % PIECE_BYTES));
    yield chunk.subarray(start, end) as Chunk;
    start = end;
  }
}

/** Passes bytes on unchanged and computes their checksums; ask for `result` once the stream has ended. */
export function checksumStream(): { stream: Transform; result: () => Checksums } {
  const { add, result } = checksummer();
  const stream = new Transform({
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      add(chunk);
      done(null, chunk);
    },
  });
  return { stream, result };
}

/** Reads a stream to its end for its checksums; `onBytes` hears of each chunk's length. */
export async function checksumsOf(body: Readable, onBytes?: (bytes: number) => void): Promise<Checksums> {
  const { add, result } = checksummer();
  for await (const chunk of body as AsyncIterable<Buffer>) {
    add(chunk);
    onBytes?.(chunk.length);
  }
  return result();
}
