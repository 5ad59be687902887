import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import { createApp } from './app.ts';
import { openBlobStore } from './artifacts/blobs/open.ts';
import type { Config } from './config.ts';
import { openPool } from './platform/db/database.ts';
import { startEmbeddedPostgres } from './platform/db/embedded.ts';
import { migrate } from './platform/db/migrate.ts';
import { MlflowError, malformedRequest } from './platform/errors.ts';
import { openLogger } from './platform/logger.ts';

const POOL_SIZE = 16;
const STOP_WITHIN_MS = 30_000;
const HEADERS_WITHIN_MS = 10_000;
const MAX_HEADER_BYTES = 32 * 1024;
const LINGER_MS = 1_000;

/**
 * Starts everything: database, schema, artifact store, server; returns when it listens. SIGINT and SIGTERM stop it in the reverse order, also while it
 * is still starting: PostgreSQL is never left running.
 */
export async function serve(config: Config): Promise<void> {
  const interrupted = stopSignal();
  const { log, flush } = await openLogger(config.logLevel);
  const embedded = config.databaseUrl === undefined ? await startEmbeddedPostgres(config.dataDir) : undefined;
  const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
  try {
    const started = await Promise.race([start(config, databaseUrl, log), interrupted]);
    if ('signal' in started) {
      await embedded?.stop();
      process.exit(0);
    }
    const { server, db, running } = started;
    process.stdout.write(banner(config, server));
    void interrupted
      .then(async ({ signal }) => {
        log.info({ signal }, 'stopping');
        await closeServer(server, running);
        await db.end();
        await embedded?.stop();
        return 0;
      })
      .catch((error: Error) => {
        log.error({ err: error }, 'could not stop cleanly');
        return 1;
      })
      .then((exitCode) => {
        flush();
        process.exit(exitCode);
      });
  } catch (error) {
    await embedded?.stop().catch(() => {});
    flush();
    throw error;
  }
}

type Started = { server: http.Server; running: Set<http.ServerResponse>; db: pg.Pool };

async function start(config: Config, databaseUrl: string, log: Logger): Promise<Started> {
  const applied = await migrate(databaseUrl);
  if (applied.length > 0) log.info({ applied }, 'database schema is up to date');
  const db = openPool(databaseUrl, POOL_SIZE);
  db.on('error', (error) => log.warn({ err: error }, 'an idle database connection was lost'));
  const blobs = await openBlobStore(config.artifactsUrl, config.s3Endpoint).catch((error: Error) => {
    throw new Error(`ARTIFACTS_URL: ${config.artifactsUrl} cannot be used (${error.message}).`);
  });
  const { server, running } = createServer(createApp({ db, blobs, log }));
  await listen(server, config);
  return { server, running, db };
}

/** Resolves at the first SIGINT or SIGTERM; further ones change nothing (npm passes the terminal's on, so the same Ctrl-C may come twice). */
function stopSignal(): Promise<{ signal: NodeJS.Signals }> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve({ signal }));
  });
}

/**
 * Makes the server, and the set of its replies that are not finished yet. Time limits stop slow senders; there is none on a whole request, because a
 * model of many gigabytes takes as long as it takes.
 */
function createServer(listener: http.RequestListener): { server: http.Server; running: Set<http.ServerResponse> } {
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
  return { server, running };
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

async function listen(server: http.Server, { host, port }: Config): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new Error(`PORT: ${port} on ${host} is already in use. Stop what uses it, or choose another with --port.`);
    if (code === 'EACCES') throw new Error(`PORT: this user may not listen on ${port}; choose one above 1023 with --port.`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') throw new Error(`HOST: ${host} is not an address of this machine.`);
    throw error;
  }
}

/** Lets running requests finish, for at most 30 s. Connections without one, which browsers and clients keep open, are cut. */
async function closeServer(server: http.Server, running: Set<http.ServerResponse>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const until = Date.now() + STOP_WITHIN_MS;
  while (running.size > 0 && Date.now() < until) await sleep(20);
  server.closeAllConnections();
  await closed;
}

function banner({ host, dataDir, databaseUrl, artifactsUrl }: Config, server: http.Server): string {
  const { port } = server.address() as AddressInfo;
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  const address = `http://${reachable}:${port}`;
  const database = databaseUrl === undefined ? `embedded PostgreSQL in ${dataDir}` : `PostgreSQL at ${new URL(databaseUrl).host}`;
  return `
Model Commons is ready at ${address}
  database   ${database}
  artifacts  ${artifactsUrl}

Point an MLflow client at it, in the shell or in Python:
  export MLFLOW_TRACKING_URI=${address}
  mlflow.set_tracking_uri("${address}")

`;
}
