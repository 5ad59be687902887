import { invalidParameter, MlflowError } from '../../platform/errors.ts';
import type { UploadedPart } from './blob-store.ts';

/**
 * What a caller is told when a store failed. The store's own words, which name hosts and buckets, go to the log only: they are the `cause`.
 * An error that was meant for the caller stays as it is.
 */
export function unavailable(cause: unknown): MlflowError {
  if (cause instanceof MlflowError) return cause;
  const error = new MlflowError('TEMPORARILY_UNAVAILABLE', 'The artifact store does not answer at the moment. Try again shortly.');
  error.cause = summaryOf(cause);
  return error;
}

/** SDKs hang the request on their errors, with what it was signed in by. */
function summaryOf(cause: unknown): Error {
  const { name, message, stack, code } = cause as Error & { code?: unknown };
  return Object.assign(new Error(message), { name, stack, code });
}

/** Waits for what a store was asked. Throws TEMPORARILY_UNAVAILABLE when it failed, but an error that was `expected` as it is. */
export async function answerOf<T>(asked: Promise<T>, expected: (error: unknown) => boolean = () => false): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw expected(error) ? error : unavailable(error);
  }
}

/** For credentials that cannot sign addresses: clients send the file whole on this answer only, in these words (mlflow/exceptions.py). */
export const partsNotSupported = () =>
  new MlflowError('NOT_IMPLEMENTED', 'Multipart upload is not supported for the current artifact repository');

/** The parts by number. Throws INVALID_PARAMETER_VALUE when they are not 1 to `count`, each once. */
export function checkNumbers(parts: UploadedPart[], count: number): UploadedPart[] {
  const sorted = [...parts].sort((a, b) => a.number - b.number);
  if (sorted.length !== count || sorted.some(({ number }, i) => number !== i + 1))
    throw invalidParameter(`The list of parts must name each of 1 to ${count} once.`);
  return sorted;
}

/** Why a store did not put parts together. */
export const partsRefused = (isGivenUp: boolean) =>
  invalidParameter(
    isGivenUp
      ? 'This upload is finished or was given up: begin a new one.'
      : 'The parts cannot be put together: one was not uploaded, is not named as it was, or is too small (5 MiB is the least, but for the last).',
  );

/** Why a store cannot be reached, as a phrase without the store's own words. */
export function problemOfConnection(error: unknown, store: string): string {
  const { code, name } = error as { code?: unknown; name?: string };
  const reason = typeof code === 'string' ? code : name;
  if (/CERT|TLS|SSL|LEAF|ISSUER/.test(reason ?? ''))
    return `the certificate of ${store} is not trusted (${reason}): name its authority with NODE_EXTRA_CA_CERTS`;
  return `${store} does not answer as it should (${reason})`;
}
