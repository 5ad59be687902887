import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { MlflowError, malformedRequest } from '../errors.ts';
import { sendJson } from './reply.ts';
import { SECURITY_HEADERS } from './security.ts';

const STOP_WITHIN_MS = 30_000;
const HEADERS_WITHIN_MS = 10_000;
const IDLE_MS = 30_000;
// A reader may have to wait for a disk or a processor of its own.
const READER_PATIENCE = 10;
const MAX_HEADER_BYTES = 32 * 1024;
const MAX_HEADERS = 100;
const LINGER_MS = 1_000;

/** A server and the set of its replies that are not finished yet. */
export type Server = { http: http.Server; running: Set<http.ServerResponse> };

/**
 * Makes a server, not listening yet. Time limits stop slow senders and readers; there is none on a whole request, because a model of many gigabytes takes
 * as long as it takes. A request's address and headers have 10 s (`headersTimeout`); after 30 s without a byte of its body (`timeout`) it is told 408, and
 * after ten times as long a client that takes nothing of its reply is cut off.
 */
export function createServer(listener: http.RequestListener): Server {
  const running = new Set<http.ServerResponse>();
  const refused = new WeakSet<net.Socket>();
  const server = http.createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval: 1_000, requireHostHeader: false },
    (req, res) => {
      // What came behind a request that was not understood is not to be trusted.
      if (refused.has(req.socket)) return;
      running.add(res);
      res.once('close', () => running.delete(res));
      const problem = problemOfHeaders(req);
      if (!problem) return listener(req, res);
      refused.add(req.socket);
      refuse(problem, res);
    },
  );
  server.headersTimeout = HEADERS_WITHIN_MS;
  server.requestTimeout = 0;
  server.keepAliveTimeout = 65_000;
  server.timeout = IDLE_MS;
  // Node leaves out what is more: one is let in, so that it shows.
  server.maxHeadersCount = MAX_HEADERS + 1;
  server.on('connection', (socket) => {
    // Replies that waited for others on the same connection are not told that it is gone.
    socket.once('close', () => {
      for (const res of running) if (res.req.socket === socket) running.delete(res);
    });
  });
  // Whatever else a client may expect, the answer is the same.
  server.on('checkExpectation', (req, res) => server.emit('request', req, res));
  server.on('timeout', (socket) => {
    const res = [...running].find((one) => one.socket === socket);
    if (res) endIdleRequest(res, socket, server.timeout);
    else socket.destroy();
  });
  server.on('clientError', (error: ParserError, socket) => {
    // Into a reply that has begun nothing else may be written.
    const begun = [...running].some((res) => res.socket === socket && res.headersSent);
    if (begun || !socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else refuseBrokenRequest(error, socket);
  });
  return { http: server, running };
}

/** Which of two peers is waited for decides: the sender of a body, the reader of a reply, or neither, while the server itself is at work. */
function endIdleRequest(res: http.ServerResponse, socket: net.Socket, idleMs: number): void {
  const { req } = res;
  if (!req.complete && req.readableLength === 0) {
    const error = new MlflowError('DEADLINE_EXCEEDED', `Nothing of the request body arrived for ${idleMs / 1000} seconds.`);
    // Whoever reads the body would wait on.
    if (res.headersSent) req.destroy(error);
    else
      refuse(
        error,
        res.once('finish', () => req.destroy(error)),
      );
  } else if (res.writableLength > 0 && socket.timeout === idleMs * READER_PATIENCE) {
    socket.destroy();
  } else {
    socket.setTimeout(res.writableLength > 0 ? idleMs * READER_PATIENCE : idleMs);
  }
}

/** What is wrong with headers that Node has read; programs on the way may have read another host, or fewer headers. */
function problemOfHeaders({ rawHeaders, httpVersion }: http.IncomingMessage): MlflowError | undefined {
  if (rawHeaders.length > 2 * MAX_HEADERS) return new MlflowError('BAD_REQUEST', `The request has more than ${MAX_HEADERS} headers.`, 431);
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.length === 4 && /^host$/i.test(rawHeaders[i] ?? '')) hosts++;
  return hosts > 1 || (hosts === 0 && httpVersion !== '1.0') ? malformedRequest('A request must have exactly one Host header.') : undefined;
}

/** Answers before, or instead of, whoever handles the request, and closes the connection. */
function refuse(error: MlflowError, res: http.ServerResponse): void {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) res.setHeader(name, value);
  res.setHeader('Connection', 'close');
  sendJson(res, error.status, error.toBody());
}

type ParserError = NodeJS.ErrnoException & { reason?: string; rawPacket?: Buffer };

/** Answers what is no HTTP that can be read, in MLflow's shape like everything else, and closes the connection. */
function refuseBrokenRequest(error: ParserError, socket: Duplex): void {
  const refusal = brokenRequest(error);
  const text = JSON.stringify(refusal.toBody());
  const headers = {
    ...SECURITY_HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${refusal.status} ${http.STATUS_CODES[refusal.status]}\r\n${lines.join('')}\r\n${text}`);
  // Closing at once, with bytes unread, would take the reply from the client.
  socket.resume();
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

function brokenRequest({ code, reason, rawPacket }: ParserError): MlflowError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      // The address is all of the first line: where that has not ended, it alone is too long.
      return /^[A-Z]+ [^\r\n]*$/.test(rawPacket?.subarray(0, MAX_HEADER_BYTES).toString('latin1') ?? '')
        ? new MlflowError('BAD_REQUEST', `The request's address is longer than ${MAX_HEADER_BYTES} bytes.`, 414)
        : new MlflowError('BAD_REQUEST', `The request's address and headers are larger than ${MAX_HEADER_BYTES} bytes.`, 431);
    case 'HPE_INVALID_CONTENT_LENGTH':
      return reason === 'Content-Length overflow'
        ? new MlflowError('BAD_REQUEST', 'The Content-Length is larger than any body can be.', 413)
        : malformedRequest('The Content-Length of the request is not one number.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new MlflowError('DEADLINE_EXCEEDED', `The request's headers did not arrive within ${HEADERS_WITHIN_MS / 1000} seconds.`);
    default:
      return malformedRequest('The request is not valid HTTP/1.1.');
  }
}

/** Lets running requests finish, for at most 30 s. Connections without one, which browsers and clients keep open, are cut. */
export async function closeServer({ http: server, running }: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const until = Date.now() + STOP_WITHIN_MS;
  while (running.size > 0 && Date.now() < until) await sleep(20);
  server.closeAllConnections();
  await closed;
}
