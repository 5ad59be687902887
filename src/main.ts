import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createApp } from './app.ts';
import { openBlobStore } from './artifacts/blobs/open.ts';
import type { Config } from './config.ts';
import { openPool } from './platform/db/database.ts';
import { startEmbeddedPostgres } from './platform/db/embedded.ts';
import { migrate } from './platform/db/migrate.ts';
import { openLogger } from './platform/logger.ts';

const POOL_SIZE = 16;
const STOP_WITHIN_MS = 30_000;
const HEADERS_WITHIN_MS = 10_000;
const MAX_HEADER_BYTES = 32 * 1024;

/** Starts everything: database, schema, artifact store, server; returns when it listens. SIGINT and SIGTERM stop it in the reverse order. */
export async function serve(config: Config): Promise<void> {
  const { log, flush } = openLogger(config.logLevel);
  const embedded = config.databaseUrl === undefined ? await startEmbeddedPostgres(config.dataDir) : undefined;
  const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
  try {
    const applied = await migrate(databaseUrl);
    if (applied.length > 0) log.info({ applied }, 'database schema is up to date');
    const db = openPool(databaseUrl, POOL_SIZE);
    db.on('error', (error) => log.warn({ err: error }, 'an idle database connection was lost'));
    const blobs = await openBlobStore(config.artifactsUrl, config.s3Endpoint);
    const server = createServer(createApp({ db, blobs, log }));
    await listen(server, config);
    process.stdout.write(banner(config, server));

    const stop = async (signal: string) => {
      log.info({ signal }, 'stopping');
      await closeServer(server);
      await db.end();
      await embedded?.stop();
      flush();
      process.exit(0);
    };
    let stopping = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        // npm passes the terminal's signal on, so the same Ctrl-C may come twice.
        if (!stopping) void stop(signal);
        stopping = true;
      });
    }
  } catch (error) {
    await embedded?.stop();
    flush();
    throw error;
  }
}

/** Time limits stop slow senders; there is none on a whole request, because a model of many gigabytes takes as long as it takes. */
function createServer(listener: http.RequestListener): http.Server {
  const server = http.createServer({ maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval: 5_000 }, listener);
  server.headersTimeout = HEADERS_WITHIN_MS;
  server.requestTimeout = 0;
  server.keepAliveTimeout = 65_000;
  return server;
}

async function listen(server: http.Server, { host, port }: Config): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new Error(`PORT: ${port} on ${host} is already in use. Stop what uses it, or choose another with --port.`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') throw new Error(`HOST: ${host} is not an address of this machine.`);
    throw error;
  }
}

/** Lets running requests finish, for at most 30 s; idle connections are closed at once. */
async function closeServer(server: http.Server): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), STOP_WITHIN_MS);
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  await closed;
  clearTimeout(cut);
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
