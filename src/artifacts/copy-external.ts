import { Readable } from 'node:stream';
import { forEachConcurrently } from '../platform/concurrently.ts';
import { doesNotExist, invalidParameter, invalidState, MlflowError } from '../platform/errors.ts';
import { parseArtifactPath } from './artifact-path.ts';
import type { BlobStore, StoredBlob } from './blobs/blob-store.ts';
import { unavailable } from './blobs/store-errors.ts';
import type { ImportSource, SourceFile } from './import-artifacts.ts';

/** A file whose bytes are in the store, but no row yet. */
export type CopiedFile = { path: string; blob: StoredBlob };

// Whoever asks for them has them all in memory.
const MAX_FILES = 100_000;
const AT_ONCE = 4;

/**
 * The files of a folder in another store. Throws RESOURCE_DOES_NOT_EXIST when there are none, INVALID_PARAMETER_VALUE when there are over 100,000 or one
 * cannot keep its path, PERMISSION_DENIED or TEMPORARILY_UNAVAILABLE when the store refuses or fails. `url` names the folder.
 */
export async function listExternal(source: ImportSource, url: string): Promise<SourceFile[]> {
  const files = new Map<string, SourceFile>();
  try {
    for await (const file of source.files(() => {})) {
      files.set(file.path, file);
      if (files.size > MAX_FILES) throw invalidParameter(`There are more than ${MAX_FILES} files at ${url}.`);
    }
  } catch (error) {
    throw refusalOf(error, url);
  }
  if (files.size === 0) throw noFiles(url);
  for (const path of files.keys()) checkPath(path, files);
  return [...files.values()];
}

function checkPath(path: string, files: Map<string, SourceFile>): void {
  const refused = (reason: string) => invalidParameter(`The file ${JSON.stringify(path)} cannot be taken over. ${reason}`);
  try {
    parseArtifactPath(path);
  } catch (error) {
    throw refused((error as Error).message);
  }
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    if (files.has(path.slice(0, end))) throw refused(`A part of its path is a file, ${JSON.stringify(path.slice(0, end))}.`);
  }
}

/**
 * Copies all these files into the artifact store, or none: after a failure, or when `onBytes`, which hears of each chunk's length, throws, the copies are
 * removed. Throws as `listExternal`, as the store's `write`, and INVALID_STATE for a file that changed since it was listed.
 */
export async function copyExternal(
  blobs: BlobStore,
  files: SourceFile[],
  url: string,
  onBytes: (bytes: number) => void,
): Promise<CopiedFile[]> {
  const copied: CopiedFile[] = [];
  try {
    await forEachConcurrently(files, AT_ONCE, async (file) => {
      const blob = await copy(blobs, file, url, onBytes);
      copied.push({ path: file.path, blob });
      if (blob.size !== file.size) throw changedMeanwhile(url);
    });
  } catch (error) {
    await removeCopies(blobs, copied);
    throw error;
  }
  return copied;
}

/** Removes copies, all but those kept under these keys. */
export const removeCopies = (blobs: BlobStore, copies: CopiedFile[], kept: ReadonlySet<string> = new Set()): Promise<void> =>
  forEachConcurrently(copies, AT_ONCE, async ({ blob }) => {
    if (!kept.has(blob.key)) await blobs.remove(blob.key);
  });

async function copy(blobs: BlobStore, file: SourceFile, url: string, onBytes: (bytes: number) => void): Promise<StoredBlob> {
  const body = await file.open().catch((error: unknown) => {
    throw refusalOf(error, url);
  });
  const chunks = async function* () {
    for await (const chunk of readFrom(body, url)) {
      onBytes(chunk.length);
      yield chunk;
    }
  };
  try {
    return await blobs.write(Readable.from(chunks(), { objectMode: false }));
  } finally {
    body.destroy();
  }
}

async function* readFrom(body: Readable, url: string): AsyncGenerator<Buffer> {
  try {
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    throw refusalOf(error, url);
  }
}

const noFiles = (url: string) => doesNotExist(`There are no files at ${url}.`);
const changedMeanwhile = (url: string) => invalidState(`Files at ${url} were written to while they were copied. Try again.`);

/** What a caller is told when the other store refused or failed. Its own words are the `cause`, for the log. */
function refusalOf(error: unknown, url: string): MlflowError {
  const logged = unavailable(error);
  const { name = '', $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode ?? 0;
  const because = (refusal: MlflowError) => Object.assign(refusal, { cause: logged.cause });
  if (name === 'NoSuchBucket') return because(noFiles(url));
  if (name === 'NoSuchKey' || name === 'PreconditionFailed') return because(changedMeanwhile(url));
  if (name === 'CredentialsProviderError' || [401, 403].includes(status))
    return because(new MlflowError('PERMISSION_DENIED', `The credentials of this server do not let it read ${url}.`));
  return logged;
}
