import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { FOREIGN_KEY_VIOLATION, isBadValue, isDatabaseError, isUnavailable } from '../db/database.ts';
import { doesNotExist, invalidParameter, MlflowError } from '../errors.ts';
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
  const known = asMlflowError(error, log);
  sendJson(res, known.status, known.toBody());
}

const isClientGone = (error: unknown) =>
  (error instanceof MlflowError && error.cause === undefined) ||
  ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'ECONNABORTED', 'EPIPE'].includes((error as { code?: string }).code ?? '');

function asMlflowError(error: unknown, log: Logger): MlflowError {
  if (error instanceof MlflowError) {
    // What is not for the caller to read.
    if (error.cause !== undefined) log.error({ err: error.cause }, error.message);
    return error;
  }
  if (isBadValue(error))
    return invalidParameter('Invalid value: a number is out of range, or a text holds what cannot be stored or compared.');
  // Stores look for what they refer to, so this is a race with its removal.
  if (isDatabaseError(error, FOREIGN_KEY_VIOLATION)) return doesNotExist('Something this request refers to has just been removed.');
  const requestId = randomUUID();
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
