import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { FOREIGN_KEY_VIOLATION, isBadValue, isDatabaseError, isUnavailable } from '../db/database.ts';
import { doesNotExist, type ErrorCode, invalidParameter, MlflowError } from '../errors.ts';
import { stringifyExactJson } from '../json.ts';

const DISCARD_MS = 5_000;

export function sendJson(res: ServerResponse, status: number, body: unknown): void {
  const text = stringifyExactJson(body);
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  res.end(text);
}

/** Answers an error in MLflow's shape. One nobody planned is logged whole and answered without its text, so that it leaks nothing. */
export function replyError(error: unknown, req: IncomingMessage, res: ServerResponse, log: Logger): void {
  if (res.headersSent || res.destroyed) {
    if (!isClientGone(error)) log.error({ err: error }, 'a reply was broken off');
    res.destroy();
    return;
  }
  discardBody(req, res);
  const known = asMlflowError(error, log, String(req.headers['x-request-id']));
  // A browser that is told so asks for a password by a window of its own: pages here have a better one.
  if (known.status === 401 && req.headers['sec-fetch-mode'] === undefined) res.setHeader('WWW-Authenticate', 'Basic realm="mlflow"');
  if (known.retryAfter !== undefined) res.setHeader('Retry-After', known.retryAfter);
  const older = /^mlflow-python-client\/1\./.test(req.headers['user-agent'] ?? '') ? IN_MLFLOW_1[known.code] : undefined;
  sendJson(res, known.status, { ...known.toBody(), ...(older && { error_code: older }) });
}

/** What clients of MLflow 1 are told in place of codes that they do not have: one they do not know makes them fail with an error of their own. */
const IN_MLFLOW_1: Partial<Record<ErrorCode, string>> = {
  UNAUTHENTICATED: 'CUSTOMER_UNAUTHORIZED',
  DEADLINE_EXCEEDED: 'TEMPORARILY_UNAVAILABLE',
  NOT_IMPLEMENTED: 'BAD_REQUEST',
  DATA_LOSS: 'IO_ERROR',
};

const isClientGone = (error: unknown) =>
  (error instanceof MlflowError && error.cause === undefined) ||
  ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'ECONNABORTED', 'EPIPE'].includes((error as { code?: string }).code ?? '');

function asMlflowError(error: unknown, log: Logger, requestId: string): MlflowError {
  if (error instanceof MlflowError) {
    // What is not for the caller to read.
    if (error.cause !== undefined) log.error({ err: error.cause }, error.message);
    return error;
  }
  if (isBadValue(error))
    return invalidParameter('Invalid value: a number is out of range, or a text holds what cannot be stored or compared.');
  // Stores look for what they refer to, so this is a race with its removal.
  if (isDatabaseError(error, FOREIGN_KEY_VIOLATION)) return doesNotExist('Something this request refers to has just been removed.');
  log.error({ err: error, requestId }, 'request failed');
  return isUnavailable(error)
    ? new MlflowError('TEMPORARILY_UNAVAILABLE', `The database does not answer at the moment. Try again shortly. (request id ${requestId})`)
    : new MlflowError('INTERNAL_ERROR', `Something went wrong in the server; its log says more under request id ${requestId}.`);
}

/** Lets a client finish sending what nobody will read, so that it gets to see the reply; cuts it off after 5 s. */
function discardBody(req: IncomingMessage, { socket }: ServerResponse): void {
  if (req.complete || socket === null || socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), DISCARD_MS).unref();
  if (!req.destroyed) {
    req.resume();
    req.once('close', () => clearTimeout(timer));
    return;
  }
  // Whoever read it failed and destroyed it, but not the connection. Node then stops reading that, with the client's next request on it.
  req.push = (chunk) => {
    if (chunk === null) clearTimeout(timer);
    return true;
  };
  socket.resume();
}
