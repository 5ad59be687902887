import type { ServerResponse } from 'node:http';
import { type BlobState, verifyBlob } from '../../artifacts/verify-blob.ts';
import type { Services } from '../../endpoint.ts';
import { invalidState } from '../../platform/errors.ts';
import { jsonLines } from './json-lines.ts';
import { digestOf, getManifest, listVersionBlobs } from './manifest.ts';
import type { VersionKey } from './store.ts';

/**
 * Reads all files of a frozen version again and answers in lines of JSON: what was checked so far, about each second, and at last
 * `{status: OK | DAMAGED, digest, digest_matches, damaged: [{path, state: missing | changed}]}`.
 * Throws RESOURCE_DOES_NOT_EXIST, and INVALID_STATE for a version whose files are elsewhere.
 */
export async function verifyVersion({ db, blobs }: Services, key: VersionKey, res: ServerResponse): Promise<void> {
  const { digest, size: bytes = 0, source } = await getManifest(db, key);
  if (digest === undefined)
    throw invalidState(`Version ${key.version} of ${key.name} is a live reference to ${source}: its files are not kept here.`);
  const files = await listVersionBlobs(db, key);
  const lines = jsonLines(res);
  const damaged: { path: string; state: BlobState }[] = [];
  let checkedBytes = 0;
  for (const [checkedFiles, file] of files.entries()) {
    const state = await verifyBlob(db, blobs, file, (length) => {
      checkedBytes += length;
      lines.progress(() => ({ checked_files: checkedFiles, files: files.length, checked_bytes: checkedBytes, bytes }));
    });
    if (state !== 'ok') damaged.push({ path: file.path, state });
    if (res.destroyed) return;
  }
  const matches = digestOf(files) === digest;
  lines.end({ status: matches && damaged.length === 0 ? 'OK' : 'DAMAGED', digest, digest_matches: matches, damaged });
}
