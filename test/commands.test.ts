import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { databaseUrl } from './helpers/global-setup.ts';
import { destroyDataDir, makeDataDir, postmasterOf, runCli, startServer } from './helpers/process.ts';

const SLOW = 120_000;

async function run(...arguments_: string[]) {
  const cli = runCli(arguments_);
  const code = await cli.exited;
  return { code, stdout: cli.stdout(), stderr: cli.stderr() };
}

describe('commands', () => {
  it(
    'share the database of a running server, or start and stop one; several may run at once',
    async () => {
      const dataDir = await makeDataDir();
      onTestFinished(() => destroyDataDir(dataDir));
      const none = await run('gc', '--data-dir', dataDir);
      expect(none).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(`DATA_DIR: there is no database in ${dataDir}.`) });

      const server = await startServer(dataDir);
      await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/a`, { method: 'PUT', body: 'bytes' });
      const done = { code: 0, stdout: expect.stringContaining('Read 1 file (5 bytes)') };
      expect(await run('verify', '--data-dir', dataDir)).toMatchObject(done);
      expect((await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/a`)).status).toBe(200);
      server.killGroup('SIGTERM');
      expect(await server.exited).toBe(0);

      const both = await Promise.all([run('verify', '--data-dir', dataDir), run('verify', '--data-dir', dataDir)]);
      expect(both).toMatchObject([done, done]);
      expect(postmasterOf(dataDir)).toBeUndefined();
    },
    SLOW,
  );

  it(
    'change nothing in a database that is not up to date, and say what to do',
    async () => {
      const name = `empty_${randomUUID().replaceAll('-', '')}`;
      const admin = new pg.Client({ connectionString: inject('postgresUrl') });
      await admin.connect();
      await admin.query(`create database ${name}`);
      await admin.end();
      const url = databaseUrl(inject('postgresUrl'), name);
      const { code, stderr } = await run('gc', '--database-url', url, '--delete');
      expect([code, stderr]).toEqual([
        1,
        'model-commons: The database is not up to date: start the server of this version once (`model-commons serve`), then run this again.\n',
      ]);
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query("select from information_schema.tables where table_schema = 'public'");
      await client.end();
      expect(rows).toHaveLength(0);
    },
    SLOW,
  );

  it(
    'are listed by --help, and each has its own',
    async () => {
      const { stdout } = await run('--help');
      for (const name of ['gc', 'verify', 'import-artifacts', 'download', 'model']) {
        expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
        expect(await run(name, '--help')).toMatchObject({ code: 0, stdout: expect.stringContaining(`Usage: model-commons ${name} `) });
      }
      expect(await run('gc', '--wat', '1')).toMatchObject({ code: 2, stderr: 'model-commons: --wat: not a known option. See --help.\n' });
      expect(await run('nonsense')).toMatchObject({ code: 2, stderr: 'model-commons: nonsense: not a known command. See --help.\n' });
    },
    SLOW,
  );
});
