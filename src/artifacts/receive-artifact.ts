import type { IncomingMessage } from 'node:http';
import type { Services } from '../endpoint.ts';
import { MlflowError } from '../platform/errors.ts';
import { putArtifact, refuseReserved } from './store.ts';

/**
 * Stores a request's body at a path. The bytes are on the disk before the path shows them; a body that breaks off leaves nothing.
 * Throws as `putArtifact`.
 */
export async function receiveArtifact({ db, blobs, scope }: Services, path: string, req: IncomingMessage): Promise<void> {
  refuseReserved(path);
  const blob = await blobs.write(req);
  try {
    const keptAs = await putArtifact(db, scope.id, path, blob);
    if (keptAs !== blob.key) await blobs.remove(blob.key);
  } catch (error) {
    // After a lost connection the row may be there all the same: only a refusal says that nothing needs these bytes.
    if (error instanceof MlflowError) await blobs.remove(blob.key);
    throw error;
  }
}

/** Hands the body of a request that is one part of an upload to `write`, with its length in bytes. Throws BAD_REQUEST (411) when it has no Content-Length. */
export async function receivePart<T>(req: IncomingMessage, write: (length: number) => Promise<T>): Promise<T> {
  const length = req.headers['content-length'];
  if (length === undefined) throw new MlflowError('BAD_REQUEST', 'A part of an upload must be sent with its Content-Length.', 411);
  return write(Number(length));
}
