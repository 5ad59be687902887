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
 */
export async function* readChecked(reader: Reader, blob: BlobRow, start: number, end: number): AsyncGenerator<Buffer> {
  if (blob.damaged_timestamp !== null) throw dataLoss(blob);
  const { blobs } = reader;
  const crcs = blob.piece_crcs ?? (await crcsOf(reader, blob));
  const first = start - (start % PIECE_BYTES);
  const beyond = Math.min(blob.size, end - (end % PIECE_BYTES) + PIECE_BYTES);
  let at = first;
  let crc = 0;
  let held: Buffer[] = [];
  try {
    for await (const chunk of (await blobs.read(blob.key, { start: first, end: beyond - 1 })) as AsyncIterable<Buffer>) {
      for (const part of splitAtPieces(chunk, at)) {
        crc = crc32(part, crc);
        held.push(part);
        at += part.length;
        if (at % PIECE_BYTES !== 0 && at !== blob.size) continue;
        if (crc !== crcs.readUInt32BE(Math.floor((at - 1) / PIECE_BYTES) * 4)) throw await damaged(reader, blob);
        yield* clip(held, at, start, end);
        crc = 0;
        held = [];
      }
    }
  } catch (error) {
    if (error instanceof MlflowError || (await blobs.sizeOf(blob.key)) === blob.size) throw error;
    throw await damaged(reader, blob);
  }
  if (at < beyond) throw await damaged(reader, blob);
}

/** What of the bytes in `held`, which end before byte `at`, lies in `start`..`end`. */
function* clip(held: Buffer[], at: number, start: number, end: number): Generator<Buffer> {
  let from = at - held.reduce((length, part) => length + part.length, 0);
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
