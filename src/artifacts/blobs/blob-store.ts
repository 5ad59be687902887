import type { Readable } from 'node:stream';

/** What was stored: the key to read it back by, its size in bytes and its hex SHA-256. */
export type StoredBlob = { key: string; size: number; sha256: string };

/** Where the bytes of artifacts lie. Keys are made by the store; a blob is written once and never changed. */
export type BlobStore = {
  /**
   * Stores a stream to its end and makes it durable; resolves only then. When the stream fails, nothing is kept and the error is passed on.
   * Rejects with IO_ERROR (507) when the store is full.
   */
  write(body: Readable): Promise<StoredBlob>;
  /** Bytes `start`..`end`, both inclusive, or all of them. The stream fails when the blob is missing. */
  read(key: string, range?: { start: number; end: number }): Promise<Readable>;
  /** Removes the bytes; a missing blob is fine. */
  remove(key: string): Promise<void>;
};
