import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { databaseUrl } from './global-setup.ts';
import { destroyDataDir, makeDataDir, startServer } from './process.ts';

/**
 * An empty database and data folder, and how to start servers on them, with these settings (or of the sources in another `folder`). All ends with the test that
 * is running, or as `whenFinished` says.
 */
export async function makeSite(env: Record<string, string> = {}, whenFinished: (end: () => Promise<void> | void) => void = onTestFinished) {
  const name = `site_${randomUUID().replaceAll('-', '')}`;
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const dataDir = await makeDataDir();
  whenFinished(() => destroyDataDir(dataDir));
  const url = databaseUrl(inject('postgresUrl'), name);
  const start = async (flags: string[] = [], folder?: string) => {
    const server = await startServer(dataDir, ['--database-url', url, ...flags], env, undefined, folder);
    whenFinished(() => server.killGroup('SIGKILL'));
    return server;
  };
  return { dataDir, databaseUrl: url, start };
}
