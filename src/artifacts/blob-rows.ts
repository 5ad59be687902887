import { type Db, run, statement } from '../platform/db/database.ts';
import type { Checksums } from './blobs/checksums.ts';

/** What the database knows of some bytes. `piece_crcs` is null for those stored before there were any; `damaged_timestamp` is epoch ms. */
export type BlobRow = {
  blob_id: number;
  key: string;
  size: number;
  sha256: string;
  piece_crcs: Buffer | null;
  damaged_timestamp: number | null;
};

/** The columns of a BlobRow, of a table `blobs b`. */
export const BLOB_COLUMNS = 'b.id as blob_id, b.storage_key as key, b.size, b.sha256, b.piece_crcs, b.damaged_timestamp';

/** The end of an `insert into blobs`: content that is there already keeps its bytes, unless they are damaged. */
export const ON_KNOWN_CONTENT = `
     on conflict (sha256) do update set
       storage_key = case when blobs.damaged_timestamp is null then blobs.storage_key else excluded.storage_key end,
       piece_crcs = excluded.piece_crcs, damaged_timestamp = null`;

const FLAG_DAMAGED = statement(
  'flag_damaged_blob',
  'update blobs set damaged_timestamp = now_ms() where id = :blob_id and storage_key = :key and damaged_timestamp is null',
);
const FLAG_WHOLE = statement(
  'flag_whole_blob',
  'update blobs set damaged_timestamp = null, piece_crcs = :piece_crcs where id = :blob_id and storage_key = :key',
);

/** Remembers that bytes are missing or changed: they are given to nobody until they were stored again, or found whole. */
export async function flagDamaged(db: Db, { blob_id, key }: BlobRow): Promise<void> {
  await run(db, FLAG_DAMAGED, { blob_id, key });
}

/** Remembers that bytes were read and are the right ones. */
export async function flagWhole(db: Db, { blob_id, key }: BlobRow, { pieceCrcs }: Checksums): Promise<void> {
  await run(db, FLAG_WHOLE, { blob_id, key, piece_crcs: pieceCrcs });
}
