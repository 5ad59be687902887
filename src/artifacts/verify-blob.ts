import type { Db } from '../platform/db/database.ts';
import { type BlobRow, flagDamaged, flagWhole } from './blob-rows.ts';
import type { BlobStore } from './blobs/blob-store.ts';
import { checksumsOf } from './blobs/checksums.ts';

/** `missing`: there are no bytes; `changed`: other ones than were stored. */
export type BlobState = 'ok' | 'missing' | 'changed';

/**
 * Reads all bytes of a blob, compares them with its size and SHA-256, and remembers what it found: damaged bytes are given to nobody, bytes found
 * whole again are. `onBytes` hears of each chunk's length. Rejects when the store does not answer.
 */
export async function verifyBlob(db: Db, blobs: BlobStore, blob: BlobRow, onBytes?: (bytes: number) => void): Promise<BlobState> {
  const size = await blobs.sizeOf(blob.key);
  if (size !== blob.size) {
    await flagDamaged(db, blob);
    return size === null ? 'missing' : 'changed';
  }
  const checksums = await checksumsOf(await blobs.read(blob.key), onBytes);
  if (checksums.sha256 !== blob.sha256) {
    await flagDamaged(db, blob);
    return 'changed';
  }
  if (blob.damaged_timestamp !== null || blob.piece_crcs === null) await flagWhole(db, blob, checksums);
  return 'ok';
}
