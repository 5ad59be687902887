import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';

/** What was stored: the key to read it back by, its size in bytes, its hex SHA-256, and the CRC-32 of each piece (see checksums.ts). */
export type StoredBlob = { key: string; size: number; sha256: string; pieceCrcs: Buffer };

/** One blob of a listing; `modified` is epoch ms. */
export type ListedBlob = { key: string; size: number; modified: number };

/** A part as its uploader names it when all are there: `etag` is what the reply to the part said. */
export type UploadedPart = { number: number; etag: string };

/** An upload in parts: the key its blob will have, and the store's own name for the upload. */
export type PartsUpload = { key: string; uploadId: string };

/** Where the bytes of artifacts lie. Keys are made by the store; a blob is written once and never changed. */
export type BlobStore = {
  /** Starts what the first write would wait for, if there is anything. */
  warmUp?(): void;
  /**
   * Stores a stream to its end and makes it durable; resolves only then. When the stream fails, nothing is kept and the error is passed on.
   * Nobody else may use the chunks of the stream: their memory may be let go.
   * Rejects with IO_ERROR (507) when the store is full.
   */
  write(body: Readable): Promise<StoredBlob>;
  /**
   * Takes a file of this machine's disk as a blob without copying it: a second name for the same bytes, which nobody may write to from then on.
   * Only of stores on a disk. Rejects with the system's error (EXDEV, EPERM, EMLINK …) when the file cannot be linked to the store.
   */
  adopt?(file: string): Promise<StoredBlob>;
  /** Bytes `start`..`end`, both inclusive, or all of them. Rejects, or the stream fails, when the blob is missing. */
  read(key: string, range?: { start: number; end: number }): Promise<Readable>;
  /** Opens a blob, to read it into the caller's own buffers. Only of stores on a disk. Rejects when the blob is missing. */
  open?(key: string): Promise<FileHandle>;
  /** Size in bytes, or null when the blob is missing. */
  sizeOf(key: string): Promise<number | null>;
  /** Removes the bytes; a missing blob is fine. */
  remove(key: string): Promise<void>;
  /** All blobs, in no order; those written meanwhile may be missing. */
  list(): AsyncIterable<ListedBlob>;
  /** Removes what broken-off uploads left behind before `before` (epoch ms), but not of the uploads in parts whose keys are in `open`. */
  removeLeftovers(before: number, open: ReadonlySet<string>): Promise<void>;
  parts: PartsStore;
  /** An address that gives the bytes to anybody for `seconds`, as an attachment called `name`. Only of stores that clients reach themselves. */
  signedUrl?(key: string, download: { name: string; seconds: number }): Promise<string>;
};

/** Uploads in parts, as the stock client sends large files: parts 1..count, of equal size but for the last, in any order and several at once. */
export type PartsStore = {
  begin(count: number): Promise<PartsUpload>;
  /** Puts the parts together as one durable blob and removes them. May be called again after it failed. Rejects with INVALID_PARAMETER_VALUE when parts are missing or do not fit. */
  finish(upload: PartsUpload, count: number, parts: UploadedPart[]): Promise<StoredBlob>;
  /** Removes an upload and its parts; a missing one is fine. */
  abandon(upload: PartsUpload): Promise<void>;
} & (
  | {
      /** The client sends its parts straight to the store: where each goes, for `seconds`. */
      direct: true;
      partUrl(upload: PartsUpload, number: number, seconds: number): Promise<{ url: string; headers: Record<string, string> }>;
    }
  | {
      /** The client sends its parts through this server. Stores one of `length` bytes and gives its ETag; a part sent again replaces the former. */
      direct: false;
      writePart(upload: PartsUpload, part: { number: number; count: number; length: number }, body: Readable): Promise<string>;
    }
);
