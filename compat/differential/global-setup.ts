import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { type Server, startServer } from '../server.ts';
import { cleanUp } from '../servers/clean-up.ts';
import { openDatabases } from '../servers/postgres.ts';
import { startServer as startBeside, stock } from '../servers/servers.ts';
import { ensureVenv, findPython } from '../servers/venv.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Base URLs: the stock server without and with --enable-workspaces, and the server under test. */
    compared: { stock: string; stockWithWorkspaces: string; ours: string };
  }
}

let ours: Server | undefined;
let folder: string | undefined;

/** Starts the stock server twice, on one PostgreSQL that sorts by code point, and ours as its users do. */
export async function setup(project: TestProject): Promise<void> {
  const python = await ensureVenv('mlflow-3.17.2', await findPython());
  folder = await mkdtemp(join(tmpdir(), 'model-commons-differential-'));
  await chmod(folder, 0o755); // PostgreSQL runs as another user when this one is root
  const mlflow = join(dirname(python), 'mlflow');
  const first = await openDatabases(undefined, folder);
  const second = await openDatabases(Object.assign(new URL(first.stock), { pathname: '/postgres' }).href, folder);
  const [plain, workspaces, own] = await Promise.all([
    startBeside(stock('stock', { workers: 1, jobs: false }), { databases: first, mlflow, folder }),
    startBeside(stock('stock with workspaces', { workers: 1, jobs: false, workspaces: true }), { databases: second, mlflow, folder }),
    startServer(),
  ]);
  ours = own;
  const urlOf = ({ port }: { port: number }) => `http://127.0.0.1:${port}`;
  project.provide('compared', { stock: urlOf(plain), stockWithWorkspaces: urlOf(workspaces), ours: own.url });
}

export async function teardown(): Promise<void> {
  await ours?.stop();
  await cleanUp();
  if (folder) await rm(folder, { recursive: true, force: true });
}
