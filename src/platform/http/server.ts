import { once } from 'node:events';
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { MlflowError, malformedRequest } from '../errors.ts';

const STOP_WITHIN_MS = 30_000;
const HEADERS_WITHIN_MS = 10_000;
const MAX_HEADER_BYTES = 32 * 1024;
const LINGER_MS = 1_000;

/** A server and the set of its replies that are not finished yet. */
export type Server = { http: http.Server; running: Set<http.ServerResponse> };

/**
 * Makes a server, not listening yet. Time limits stop slow senders; there is none on a whole request, because a
 * model of many gigabytes takes as long as it takes.
 */
export function createServer(listener: http.RequestListener): Server {
  const server = http.createServer({ maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval: 5_000 }, listener);
  server.headersTimeout = HEADERS_WITHIN_MS;
  server.requestTimeout = 0;
  server.keepAliveTimeout = 65_000;
  const running = new Set<http.ServerResponse>();
  server.on('request', (_, res) => {
    running.add(res);
    res.once('close', () => running.delete(res));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Into a reply that has begun nothing else may be written.
    const begun = [...running].some((res) => res.socket === socket && res.headersSent);
    if (begun || !socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else refuseBrokenRequest(error.code, socket);
  });
  return { http: server, running };
}

/** Answers what is no HTTP that can be read, in MLflow's shape like everything else, and closes the connection. */
function refuseBrokenRequest(code: string | undefined, socket: Duplex): void {
  const { status, body } = brokenRequest(code);
  const text = JSON.stringify(body);
  const headers = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close`;
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${headers}\r\n\r\n${text}`);
  // Closing at once, with bytes unread, would take the reply from the client.
  socket.resume();
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

function brokenRequest(code: string | undefined): { status: number; body: object } {
  const error =
    code === 'HPE_HEADER_OVERFLOW'
      ? new MlflowError('BAD_REQUEST', `The request's address and headers are larger than ${MAX_HEADER_BYTES} bytes.`, 431)
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new MlflowError('DEADLINE_EXCEEDED', `The request's headers did not arrive within ${HEADERS_WITHIN_MS / 1000} seconds.`)
        : malformedRequest('The request is not valid HTTP/1.1.');
  return { status: error.status, body: error.toBody() };
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
