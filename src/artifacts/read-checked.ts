import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { Logger } from 'pino';
import type { Db } from '../platform/db/database.ts';
import { MlflowError } from '../platform/errors.ts';
import { type BlobRow, flagDamaged, flagWhole } from './blob-rows.ts';
import type { BlobStore } from './blobs/blob-store.ts';
import { checksumsOf, PIECE_BYTES, splitAtPieces } from './blobs/checksums.ts';

type Reader = { db: Db; blobs: BlobStore; log: Logger };

/**
 * Bytes `start`..`end` (inclusive) of a blob. Each piece is compared with its CRC-32 before any of it is given out, so a changed byte in the store
 * never reaches a client. What is missing or changed is logged, flagged, and refused from then on. Throws DATA_LOSS.
 * From a store on a disk, what is given out may lie in one of the two `buffers` (of a piece each), and stands there until the next but one is asked for.
 */
export async function* readChecked(
  reader: Reader,
  blob: BlobRow,
  { start, end, buffers }: { start: number; end: number; buffers: [Buffer, Buffer] },
): AsyncGenerator<Buffer> {
  if (blob.damaged_timestamp !== null) throw dataLoss(blob);
  const { blobs } = reader;
  const crcs = blob.piece_crcs ?? (await crcsOf(reader, blob));
  const first = start - (start % PIECE_BYTES);
  const beyond = Math.min(blob.size, end - (end % PIECE_BYTES) + PIECE_BYTES);
  let at = first;
  try {
    const file = await blobs.open?.(blob.key);
    const pieces = file
      ? piecesOfFile(file, first, beyond, buffers)
      : piecesOfStream(await blobs.read(blob.key, { start: first, end: beyond - 1 }), first);
    for await (const parts of pieces) {
      const piece = at / PIECE_BYTES;
      at += lengthOf(parts);
      if (parts.reduce((crc, part) => crc32(part, crc), 0) !== crcs.readUInt32BE(piece * 4)) throw await damaged(reader, blob);
      yield* clip(parts, at, start, end);
    }
  } catch (error) {
    if (error instanceof MlflowError || (await blobs.sizeOf(blob.key)) === blob.size) throw error;
    throw await damaged(reader, blob);
  }
  if (at < beyond) throw await damaged(reader, blob);
}

/** The pieces of a file, one in each buffer by turns. Closes the file. */
async function* piecesOfFile(file: FileHandle, first: number, beyond: number, buffers: [Buffer, Buffer]): AsyncGenerator<Buffer[]> {
  try {
    for (let at = first, turn = 0; at < beyond; at += PIECE_BYTES, turn = 1 - turn) {
      const buffer = buffers[turn] as Buffer;
      const length = Math.min(PIECE_BYTES, beyond - at);
      let filled = 0;
      for (let read = -1; read !== 0 && filled < length; filled += read) {
        ({ bytesRead: read } = await file.read(buffer, filled, length - filled, at + filled));
      }
      if (filled > 0) yield [buffer.subarray(0, filled)];
      if (filled < length) return;
    }
  } finally {
    await file.close();
  }
}

/** The pieces of a stream that begins at byte `first`, each in the parts it came in. */
async function* piecesOfStream(stream: Readable, first: number): AsyncGenerator<Buffer[]> {
  let at = first;
  let held: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    for (const part of splitAtPieces(chunk, at)) {
      held.push(part);
      at += part.length;
      if (at % PIECE_BYTES !== 0) continue;
      yield held;
      held = [];
    }
  }
  if (held.length > 0) yield held;
}

const lengthOf = (parts: Buffer[]) => parts.reduce((length, part) => length + part.length, 0);

/** What of the bytes in `held`, which end before byte `at`, lies in `start`..`end`. */
function* clip(held: Buffer[], at: number, start: number, end: number): Generator<Buffer> {
  let from = at - lengthOf(held);
  for (const part of held) {
    const wanted = part.subarray(Math.max(0, start - from), Math.max(0, end + 1 - from));
    from += part.length;
    if (wanted.length > 0) yield wanted;
  }
}

/** Reads bytes that have no CRCs yet, once, and compares them with their SHA-256. */
async function crcsOf(reader: Reader, blob: BlobRow): Promise<Buffer> {
  const { db, blobs } = reader;
  if ((await blobs.sizeOf(blob.key)) !== blob.size) throw await damaged(reader, blob);
  const checksums = await checksumsOf(await blobs.read(blob.key));
  if (checksums.sha256 !== blob.sha256) throw await damaged(reader, blob);
  await flagWhole(db, blob, checksums);
  return checksums.pieceCrcs;
}

async function damaged({ db, log }: Reader, blob: BlobRow): Promise<MlflowError> {
  log.error({ sha256: blob.sha256, key: blob.key, size: blob.size }, 'stored bytes are missing or changed: nobody gets them any more');
  await flagDamaged(db, blob);
  return dataLoss(blob);
}

const dataLoss = ({ sha256 }: BlobRow) =>
  new MlflowError(
    'DATA_LOSS',
    `The stored bytes of this file (SHA-256 ${sha256}) are missing or changed, so they are not given out. ` +
      'Restore them from a backup and run `model-commons verify`, or upload the same file again.',
  );
