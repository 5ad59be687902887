import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { startEmbeddedPostgres } from './platform/db/embedded.ts';
import { migrate } from './platform/db/migrate.ts';
import { openLogger } from './platform/logger.ts';
import { stopSignal } from './stop-signal.ts';

const RESTART_AFTER_MS = 1000;

/** What a worker tells its parent once it listens: what is to be printed for people. */
export type Ready = { banner: string };

/** In a worker: tells the parent that this one listens. */
export function tellReady(ready: Ready): void {
  process.send?.(ready);
}

/**
 * Runs `config.workers` processes that share the port, with the database and the schema made ready here before. One that ends unexpectedly is replaced.
 * SIGINT and SIGTERM stop them all, then PostgreSQL. Rejects when a worker cannot start.
 */
export async function serveByWorkers(config: Config): Promise<void> {
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
    const applied = await migrate(databaseUrl);
    if (applied.length > 0) log.info({ applied }, 'database schema is up to date');
    const start = () => cluster.fork({ DATABASE_URL: databaseUrl });
    const starting = Array.from({ length: config.workers }, start);
    const started = await Promise.race([Promise.all(starting.map(readyOf)), interrupted]);
    if (Array.isArray(started)) {
      process.stdout.write(started[0]?.banner ?? '');
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
    const codes = await stopAll();
    await end(codes.every((code) => code === 0) ? 0 : 1);
  });
}

/** Resolves when a worker listens; rejects when it ends before. It has said itself why. */
async function readyOf(worker: Worker): Promise<Ready> {
  const ended = once(worker, 'exit').then(([code]) => {
    throw new Error(`a worker ended with exit code ${code} before it listened; see above`);
  });
  const [ready] = await Promise.race([once(worker, 'message') as Promise<[Ready]>, ended]);
  return ready;
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

/** Stops all workers, each after what it has under way, and gives their exit codes. */
function stopAll(): Promise<(number | null)[]> {
  isStopping = true;
  const running = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
  return Promise.all(
    running.map(async (worker) => {
      const exited = once(worker, 'exit');
      worker.process.kill('SIGTERM');
      const [code] = (await exited) as [number | null];
      return code;
    }),
  );
}
