import type { IncomingMessage } from 'node:http';
import getRawBody from 'raw-body';
import { invalidParameter, MlflowError } from '../errors.ts';
import { type JsonBody, parseJsonBody } from './wire.ts';

const BODY_WAIT_MS = 30_000;
const SLOWEST_BYTES_PER_MS = 16;

/**
 * Reads and parses a JSON body of at most `limit` bytes, which has 30 s and the time that `limit` takes at 16 kB/s to arrive. `mayBeAbsent`: without a
 * body no content type is asked for.
 * Throws MALFORMED_REQUEST, INVALID_PARAMETER_VALUE (content type), 413 or 408 with a sentence for the caller.
 */
export async function readJsonBody(req: IncomingMessage, limit: number, mayBeAbsent: boolean): Promise<JsonBody | undefined> {
  const length = req.headers['content-length'];
  const isAbsent = (length === undefined || length === '0') && req.headers['transfer-encoding'] === undefined;
  if (isAbsent && mayBeAbsent) return undefined;
  // Only POST and PUT are checked, and before anything else (mlflow/server/handlers.py, _validate_content_type).
  if (req.method === 'POST' || req.method === 'PUT') {
    const type = req.headers['content-type'];
    if (type === undefined) throw invalidParameter('Bad Request. Content-Type header is missing.');
    if (type.split(';')[0] !== 'application/json') throw invalidParameter("Bad Request. Content-Type must be one of ['application/json'].");
  }
  if (length === undefined && req.headers['transfer-encoding'] === undefined) return undefined;
  return parseJsonBody(await readBytes(req, limit));
}

/** Reads a body of at most `limit` bytes in the time that `readJsonBody` tells. Throws 413 or 408 with a sentence for the caller. */
export async function readBytes(req: IncomingMessage, limit: number): Promise<Buffer> {
  const waitMs = BODY_WAIT_MS + limit / SLOWEST_BYTES_PER_MS;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    // Made only when it is needed: an error looks at the whole stack.
    const refuse = () =>
      reject(new MlflowError('DEADLINE_EXCEEDED', `The request body did not arrive within ${Math.round(waitMs / 1000)} seconds.`));
    timer = setTimeout(refuse, waitMs);
  });
  try {
    return await Promise.race([getRawBody(req, { limit, length: req.headers['content-length'] ?? null }), late]);
  } catch (error) {
    throw (error as { type?: string }).type === 'entity.too.large'
      ? new MlflowError(
          'BAD_REQUEST',
          `The request body is larger than ${limit} bytes, the limit of this endpoint. Send it in smaller parts.`,
          413,
        )
      : error;
  } finally {
    clearTimeout(timer);
  }
}
