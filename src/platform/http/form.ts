import type { IncomingMessage } from 'node:http';
import { malformedRequest } from '../errors.ts';
import { readBytes } from './body.ts';

const MAX_FORM = 16 * 1024;

/** The fields of a small HTML form. Throws MALFORMED_REQUEST for anything else, and as `readBytes`. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  if (req.headers['content-type']?.split(';')[0] !== 'application/x-www-form-urlencoded')
    throw malformedRequest('Content-Type must be application/x-www-form-urlencoded, as browsers send a form.');
  return new URLSearchParams((await readBytes(req, MAX_FORM)).toString());
}
