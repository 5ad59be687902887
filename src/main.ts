import cluster from 'node:cluster';
import { once } from 'node:events';
import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import type pg from 'pg';
import type { Logger } from 'pino';
import { type Audit, openAudit } from './access/audit/open.ts';
import { type Access, type Login, loginOf, openAccess } from './access/open.ts';
import { createApp } from './app.ts';
import { openBlobStore } from './artifacts/blobs/open.ts';
import { sweepUploads } from './artifacts/sweep-uploads.ts';
import type { Config } from './config.ts';
import { type Observation, observe } from './observe.ts';
import { openPool } from './platform/db/database.ts';
import { startEmbeddedPostgres } from './platform/db/embedded.ts';
import { migrateAtStart } from './platform/db/migrate.ts';
import { openReplicas, type Replicas } from './platform/db/replicas.ts';
import { closeServer, createServer, type Server } from './platform/http/server.ts';
import { openLogger } from './platform/logger.ts';
import { type Consumers, openConsumers } from './registry/consumers/open.ts';
import { openWebhooks, type Webhooks } from './registry/webhooks/open.ts';
import { stopSignal } from './stop-signal.ts';
import { serveByWorkers, tellReady } from './workers.ts';

const POOL_SIZE = 16;
const SWEEP_MS = 3_600_000;

/**
 * Starts everything: database, schema, artifact store, server; returns when it listens. SIGINT and SIGTERM stop it in the reverse order, also while it
 * is still starting: PostgreSQL is never left running.
 */
export async function serve(config: Config): Promise<void> {
  if (config.workers > 1 && cluster.isPrimary) return serveByWorkers(config, banner);
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
    const { server, db, replicas, webhooks, consumers, access, audit, observation } = started;
    const ready = { port: (server.http.address() as AddressInfo).port, login: loginOf(access) };
    if (cluster.isWorker) tellReady(ready);
    else process.stdout.write(banner(config, ready));
    void interrupted
      .then(async ({ signal }) => {
        log.info({ signal }, 'stopping');
        await closeServer(server);
        await webhooks.stop();
        await consumers.stop();
        access?.stop();
        await audit?.stop();
        await replicas?.stop();
        await db.end();
        await embedded?.stop();
        await observation.stop();
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

type Started = {
  server: Server;
  db: pg.Pool;
  replicas: Replicas | null;
  webhooks: Webhooks;
  consumers: Consumers;
  access: Access | null;
  audit: Audit | null;
  observation: Observation;
};

async function start(config: Config, databaseUrl: string, log: Logger): Promise<Started> {
  await migrateAtStart(databaseUrl, config.databasePooler, log);
  const db = openPool(databaseUrl, POOL_SIZE, config.databasePooler);
  db.on('error', (error) => log.warn({ err: error }, 'an idle database connection was lost'));
  const { replicaUrls: urls, databasePooler: pooler } = config;
  const replicas = urls.length > 0 ? openReplicas(db, { primaryUrl: databaseUrl, urls, pooler, poolSize: POOL_SIZE }, log) : null;
  const blobs = await openBlobStore(config.artifactsUrl, config.artifactStores).catch((error: Error) => {
    throw new Error(`ARTIFACTS_URL: ${config.artifactsUrl} cannot be used (${error.message}).`);
  });
  blobs.warmUp?.();
  const observation = await observe(config.observe, log);
  const { watch, metricsText, pool, attempted } = observation;
  pool('primary', db);
  const webhooks = await openWebhooks(watch.database(db, 'webhooks'), config.webhooks, log, attempted, replicas?.settled);
  const consumers = openConsumers(watch.database(db, 'consumers'), log);
  const { links, locations, adoption, security } = config;
  const access = await openAccess(watch.database(db, 'access'), config.auth);
  const audit = config.audit ? openAudit(watch.database(db, 'audit'), log) : null;
  const server = createServer(
    createApp({ db, replicas, blobs, webhooks, consumers, links, locations, adoption, log, security, access, audit, watch, metricsText }),
  );
  await listen(server.http, config);
  const sweep = () => sweepUploads(db, blobs).catch((error: Error) => log.warn({ err: error }, 'abandoned uploads could not be removed'));
  void sweep();
  setInterval(sweep, SWEEP_MS).unref();
  return { server, db, replicas, webhooks, consumers, access, audit, observation };
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

function banner({ host, dataDir, databaseUrl, artifactsUrl }: Config, { port, login }: { port: number; login: Login }): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  const address = `http://${reachable}:${port}`;
  const who = {
    off: 'off: everybody who reaches this address may do everything (AUTH=on changes that)',
    on: 'on',
    setup: `on; choose the password of the administrator, within 24 hours, at\n             ${address}/setup?token=${login.setupToken}`,
  }[login.state];
  const database = databaseUrl === undefined ? `embedded PostgreSQL in ${dataDir}` : `PostgreSQL at ${new URL(databaseUrl).host}`;
  return `
Model Commons is ready at ${address}
  database   ${database}
  artifacts  ${artifactsUrl}
  login      ${who}

Point an MLflow client at it, in the shell or in Python:
  export MLFLOW_TRACKING_URI=${address}
  mlflow.set_tracking_uri("${address}")
${login.state === 'off' ? '' : 'and say who you are by MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or by MLFLOW_TRACKING_TOKEN.\n'}
`;
}
