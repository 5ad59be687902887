import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Login } from './access/open.ts';
import type { Config } from './config.ts';
import { startEmbeddedPostgres } from './platform/db/embedded.ts';
import { migrateAtStart } from './platform/db/migrate.ts';
import { openLogger } from './platform/logger.ts';
import { stopSignal } from './stop-signal.ts';
import { sumMetrics } from './worker-metrics.ts';

const RESTART_AFTER_MS = 1000;

/** What a worker tells its parent once it listens, for the banner. */
type Ready = { port: number; login: Login };

/** In a worker: tells the parent that this one listens. */
export function tellReady(ready: Ready): void {
  process.send?.(ready);
}

/**
 * Runs `config.workers` processes that share the port, with the database and the schema made ready here before. One that ends unexpectedly is replaced.
 * SIGINT and SIGTERM stop them all, then PostgreSQL. Rejects when a worker cannot start.
 */
export async function serveByWorkers(config: Config, banner: (config: Config, ready: Ready) => string): Promise<void> {
  const interrupted = stopSignal();
  const { log, flush } = await openLogger(config.logLevel);
  const embedded = config.databaseUrl === undefined ? await startEmbeddedPostgres(config.dataDir) : undefined;
  const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
  const end = async (exitCode: number) => {
    await embedded?.stop();
    flush();
    process.exit(exitCode);
  };
  try {
    await migrateAtStart(databaseUrl, config.databasePooler, log);
    sumMetrics();
    const start = () => cluster.fork({ DATABASE_URL: databaseUrl });
    const starting = Array.from({ length: config.workers }, start);
    const started = await Promise.race([Promise.all(starting.map(readyOf)), interrupted]);
    if (Array.isArray(started)) {
      if (started[0]) process.stdout.write(banner(config, started[0]));
      replaceLost(start, log);
    }
  } catch (error) {
    await stopAll();
    await embedded?.stop().catch(() => {});
    flush();
    throw error;
  }
  void interrupted.then(async ({ signal }) => {
    log.info({ signal }, 'stopping');
    await end((await stopAll()) ? 0 : 1);
  });
}

/** Resolves when a worker listens; rejects when it ends before. It has said itself why. */
async function readyOf(worker: Worker): Promise<Ready> {
  const ended = once(worker, 'exit').then(([code]) => {
    throw new Error(`a worker ended with exit code ${code} before it listened; see above`);
  });
  const ready = new Promise<Ready>((resolve) => {
    worker.on('message', (message: object) => {
      if ('port' in message) resolve(message as Ready);
    });
  });
  return Promise.race([ready, ended]);
}

let isStopping = false;

function replaceLost(start: () => Worker, log: Logger): void {
  cluster.on('exit', async (worker, code, signal) => {
    if (isStopping) return;
    log.error({ pid: worker.process.pid, code, signal }, 'a worker ended and is replaced');
    await sleep(RESTART_AFTER_MS);
    if (!isStopping) start();
  });
}

/** Stops all workers, each after what it has under way; true when all could. One that was only starting may end by the signal itself. */
async function stopAll(): Promise<boolean> {
  isStopping = true;
  const running = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
  const stopped = await Promise.all(
    running.map(async (worker) => {
      const exited = once(worker, 'exit');
      worker.process.kill('SIGTERM');
      const [code, signal] = (await exited) as [number | null, NodeJS.Signals | null];
      return code === 0 || signal === 'SIGTERM';
    }),
  );
  return stopped.every(Boolean);
}
