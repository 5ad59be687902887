import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { freePort, isHealthy, waitUntil } from './ports.ts';
import type { Databases } from './postgres.ts';
import { type Launch, type Running, start } from './processes.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

export type Site = {
  databases: Databases;
  /** The stock server's command. */
  mlflow: string;
  /** Everything that a server writes goes here. */
  folder: string;
};

/** A way to start a server: what to run, once it is known where it shall listen. */
export type Recipe = { label: string; launch(site: Site, port: number): Omit<Launch, 'logFile'> };

const listenOn = (port: number) => ({ HOST: '127.0.0.1', PORT: String(port) });
const dataDirOf = ({ folder }: Site, name: string) => path.join(folder, name);

const withEmbeddedPostgres = (label: string, command: string, args: string[]): Recipe => ({
  label,
  launch(site, port) {
    const dataDir = dataDirOf(site, 'ours-embedded');
    const daemonPidFile = path.join(dataDir, 'postgres', 'postmaster.pid');
    return { command, args, cwd: ROOT, env: { ...listenOn(port), DATA_DIR: dataDir }, daemonPidFile };
  },
});

const cli = [path.join(ROOT, 'dist', 'cli.js'), 'serve'];

export const oursAsShipped = withEmbeddedPostgres('ours', process.execPath, cli);

export const oursByNpmStart = withEmbeddedPostgres('ours, npm start', 'npm', ['start']);

export const oursOnSharedPostgres: Recipe = {
  label: 'ours, same PG',
  launch: (site, port) => ({
    command: process.execPath,
    args: cli,
    cwd: ROOT,
    env: { ...listenOn(port), DATA_DIR: dataDirOf(site, 'ours'), DATABASE_URL: site.databases.ours },
  }),
};

/** The stock server: as shipped it has 4 workers and runs jobs, which take 1.7 to 3 GiB. */
export const stock = (
  label: string,
  { workers, jobs, workspaces = false }: { workers?: number; jobs: boolean; workspaces?: boolean },
): Recipe => ({
  label,
  launch: (site, port) => ({
    command: site.mlflow,
    args: [
      'server',
      ...['--host', '127.0.0.1', '--port', String(port)],
      // `postgresql://` alone means psycopg 3 to its SQLAlchemy.
      ...['--backend-store-uri', site.databases.stock.replace(/^postgres(ql)?:/, 'postgresql+psycopg2:')],
      ...['--artifacts-destination', dataDirOf(site, label.replace(/\W+/g, '-')), '--serve-artifacts'],
      ...(workers === undefined ? [] : ['--workers', String(workers)]),
      ...(workspaces ? ['--enable-workspaces'] : []),
    ],
    cwd: site.folder,
    env: { MLFLOW_DISABLE_TELEMETRY: 'true', ...(!jobs && { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false' }) },
  }),
});

export type Server = { label: string; port: number; running: Running /** From exec to the first 200 on /health. */; readyAfterMs: number };

/** Starts a server and waits until it is ready. Throws with the end of its log when it does not get so. */
export async function startServer(recipe: Recipe, site: Site): Promise<Server> {
  const port = await freePort();
  const logs = path.join(site.folder, 'logs');
  await mkdir(logs, { recursive: true });
  const launch = { ...recipe.launch(site, port), logFile: path.join(logs, `${recipe.label.replace(/\W+/g, '-')}.log`) };
  const startedAt = performance.now();
  const running = start(launch);
  try {
    await waitUntil(() => isHealthy(port), running);
  } catch (error) {
    throw new Error(`${recipe.label}: ${(error as Error).message}`);
  }
  return { label: recipe.label, port, running, readyAfterMs: performance.now() - startedAt };
}
