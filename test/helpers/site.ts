import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { databaseUrl } from './global-setup.ts';
import { destroyDataDir, makeDataDir, startServer } from './process.ts';

/** An empty database and data folder, and how to start servers on them, with these settings. All ends with the test that is running. */
export async function makeSite(env: Record<string, string> = {}) {
  const name = `site_${randomUUID().replaceAll('-', '')}`;
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const dataDir = await makeDataDir();
  onTestFinished(() => destroyDataDir(dataDir));
  const start = async () => {
    const server = await startServer(dataDir, ['--database-url', databaseUrl(inject('postgresUrl'), name)], env);
    onTestFinished(() => server.killGroup('SIGKILL'));
    return server;
  };
  return { dataDir, start };
}
