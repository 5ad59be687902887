import type { IncomingMessage } from 'node:http';
import getRawBody from 'raw-body';
import { MlflowError, malformedRequest } from '../errors.ts';

const MAX_FORM = 16 * 1024;
const FORM_WAIT_MS = 30_000;

/** The fields of a small HTML form. Throws MALFORMED_REQUEST for anything else. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  if (req.headers['content-type']?.split(';')[0] !== 'application/x-www-form-urlencoded')
    throw malformedRequest('Content-Type must be application/x-www-form-urlencoded, as browsers send a form.');
  const timer = setTimeout(
    () => req.destroy(new MlflowError('DEADLINE_EXCEEDED', 'The form did not arrive within 30 seconds.')),
    FORM_WAIT_MS,
  );
  try {
    return new URLSearchParams((await getRawBody(req, { limit: MAX_FORM })).toString());
  } catch (error) {
    if ((error as { type?: string }).type !== 'entity.too.large') throw error;
    throw new MlflowError('BAD_REQUEST', `The form is larger than ${MAX_FORM} bytes.`, 413);
  } finally {
    clearTimeout(timer);
  }
}
