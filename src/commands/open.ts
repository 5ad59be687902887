import type pg from 'pg';
import type { BlobStore } from '../artifacts/blobs/blob-store.ts';
import { openBlobStore } from '../artifacts/blobs/open.ts';
import { type Config, readConfig } from '../config.ts';
import { isUnavailable, openPool } from '../platform/db/database.ts';
import { joinEmbeddedPostgres } from '../platform/db/embedded.ts';
import { checkSchema } from '../platform/db/migrate.ts';

const POOL_SIZE = 6;

export type Opened = { db: pg.Pool; blobs: BlobStore; config: Config; signal: AbortSignal };

/** What the help of a command says of the settings it shares with the server. */
export const SETTINGS_HELP = `Reads the same settings as the server, as an option or as an environment variable: --data-dir, --database-url,
--artifacts-url and the store's own (see model-commons --help). The server may run meanwhile, or not.
`;

/**
 * Runs `work` on the database and the artifact store of the server with these settings, and closes them again. SIGINT and SIGTERM abort `signal`;
 * the work then stops at the next place that leaves everything whole. Gives the exit code: the one of `work`, or 1 when it was stopped.
 */
export async function withServerData(settings: string[], work: (opened: Opened) => Promise<number>): Promise<number> {
  return withDatabase(settings, async ({ db, config, signal }) => {
    const blobs = await openBlobStore(config.artifactsUrl, config.artifactStores).catch((error: Error) => {
      throw new Error(`ARTIFACTS_URL: ${config.artifactsUrl} cannot be used (${error.message}).`);
    });
    return work({ db, blobs, config, signal });
  });
}

/** As `withServerData`, for what needs the database alone. */
export async function withDatabase(settings: string[], work: (opened: Omit<Opened, 'blobs'>) => Promise<number>): Promise<number> {
  const config = readConfig(settings);
  return untilStopped(async (signal) => {
    const embedded = config.databaseUrl === undefined ? await joinEmbeddedPostgres(config.dataDir) : undefined;
    try {
      return await onDatabase(embedded?.url ?? config.databaseUrl ?? '', config, signal, work);
    } catch (error) {
      if (isUnavailable(error)) throw new Error(`The database went away (${(error as Error).message}). Run this again to go on.`);
      throw error;
    } finally {
      await embedded?.stop();
    }
  });
}

async function onDatabase(
  url: string,
  config: Config,
  signal: AbortSignal,
  work: (opened: Omit<Opened, 'blobs'>) => Promise<number>,
): Promise<number> {
  await checkSchema(url, config.databasePooler);
  const db = openPool(url, POOL_SIZE, config.databasePooler);
  db.on('error', () => {});
  try {
    return await work({ db, config, signal });
  } finally {
    await db.end();
  }
}

/**
 * Runs `work` with a signal that SIGINT and SIGTERM abort, and gives its exit code, or 1 when it was stopped. Further signals change nothing: npm passes
 * the terminal's on, so the same Ctrl-C may come twice.
 */
export async function untilStopped(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  try {
    const exitCode = await work(controller.signal);
    if (!controller.signal.aborted) return exitCode;
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  }
  process.stderr.write('Stopped before the end. Run it again to go on.\n');
  return 1;
}
