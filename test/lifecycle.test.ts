import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { databaseUrl } from './helpers/global-setup.ts';
import {
  addressOf,
  type CliProcess,
  destroyDataDir,
  killQuietly,
  makeDataDir,
  postmasterOf,
  runCli,
  runs,
  type ServerProcess,
  startServer,
} from './helpers/process.ts';

let stopped: string;

beforeAll(async () => {
  stopped = await makeDataDir();
  const server = await startServer(stopped);
  await createModel(server, 'kept');
  await stop(server);
});
afterAll(() => destroyDataDir(stopped));

/** A folder without data, removed after the test with whatever still runs on it. */
async function emptyDataDir(): Promise<string> {
  const dataDir = await makeDataDir();
  onTestFinished(() => destroyDataDir(dataDir));
  return dataDir;
}

/** The folder of a server that was stopped cleanly and had the model `kept`. */
async function usedDataDir(): Promise<string> {
  const dataDir = await emptyDataDir();
  // Keeps the owner, which is not the tests' own user when they run as root.
  await promisify(execFile)('cp', ['-a', `${stopped}/.`, dataDir]);
  return dataDir;
}

const killedAfterTest = <P extends CliProcess>(cli: P): P => {
  onTestFinished(() => cli.killGroup('SIGKILL'));
  return cli;
};
const run = (arguments_: string[], env?: Record<string, string>) => killedAfterTest(runCli(arguments_, env));
const start = async (dataDir: string, flags?: string[]) => killedAfterTest(await startServer(dataDir, flags));

async function createModel({ url }: ServerProcess, name: string): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  const reply = await fetch(`${url}/api/2.0/mlflow/registered-models/create`, { method: 'POST', headers, body: JSON.stringify({ name }) });
  expect(reply.status).toBe(200);
}

async function modelNames({ url }: ServerProcess): Promise<string[]> {
  const reply = await fetch(`${url}/api/2.0/mlflow/registered-models/search`);
  const { registered_models: models = [] } = (await reply.json()) as { registered_models?: { name: string }[] };
  return models.map(({ name }) => name);
}

async function stop(server: ServerProcess): Promise<void> {
  server.kill('SIGTERM');
  expect(await server.exited).toBe(0);
}

/** The database of a PostgreSQL that runs on a data folder. */
async function embeddedUrl(dataDir: string): Promise<string> {
  const [, , , port] = (await fs.readFile(path.join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n');
  const password = await fs.readFile(path.join(dataDir, 'postgres.password'), 'utf8');
  return `postgresql://model_commons:${password}@127.0.0.1:${port}/model_commons`;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows;
}

async function freshDatabase(): Promise<string> {
  const name = `lifecycle_${randomUUID().replaceAll('-', '')}`;
  await query(inject('postgresUrl'), `create database ${name}`);
  return databaseUrl(inject('postgresUrl'), name);
}

describe('the first start', () => {
  it('makes everything and prints the address, where the data is and what a client needs', async () => {
    const dataDir = await emptyDataDir();
    const server = await start(dataDir);
    expect(server.stdout()).toContain(`embedded PostgreSQL in ${dataDir}`);
    expect(server.stdout()).toContain(`file://${dataDir}/artifacts`);
    expect(server.stdout()).toContain(`export MLFLOW_TRACKING_URI=${server.url}\n`);
    expect(server.stdout()).toContain(`mlflow.set_tracking_uri("${server.url}")\n`);
    expect((await fs.readdir(dataDir)).toSorted()).toEqual(['artifacts', 'postgres', 'postgres.password']);
    expect((await fs.stat(path.join(dataDir, 'postgres.password'))).mode & 0o077).toBe(0);
    await createModel(server, 'first');
  });

  it('can be made again when kill -9 ended it while it made the database', async () => {
    const dataDir = await emptyDataDir();
    const killed = run(['serve', '--port', '0', '--data-dir', dataDir]);
    await expect.poll(() => fs.readdir(dataDir), { timeout: 10_000, interval: 5 }).toContainEqual(expect.stringContaining('unfinished'));
    await sleep(150);
    killed.kill('SIGKILL');
    await killed.exited;
    expect(await fs.readdir(dataDir)).not.toContain('postgres');
    expect(await modelNames(await start(dataDir))).toEqual([]);
  });

  it('serves once when two are started at the same moment', async () => {
    const dataDir = await emptyDataDir();
    const both = [1, 2].map(() => run(['serve', '--port', '0', '--data-dir', dataDir]));
    const outcomes = await Promise.allSettled(both.map(addressOf));
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const refused = both[outcomes.findIndex(({ status }) => status === 'rejected')];
    expect([await refused?.exited, refused?.stderr()]).toEqual([2, expect.stringContaining('Another Model Commons server is running')]);
  });
});

describe('stopping', () => {
  it('by Ctrl-C ends the server and PostgreSQL, and the next start finds the data', async () => {
    const dataDir = await usedDataDir();
    const server = await start(dataDir);
    await createModel(server, 'new');
    server.killGroup('SIGINT');
    server.killGroup('SIGINT');
    expect([await server.exited, server.stderr()]).toEqual([0, '']);
    expect([runs(-server.pid), postmasterOf(dataDir)]).toEqual([false, undefined]);
    expect(await modelNames(await start(dataDir))).toEqual(['kept', 'new']);
  });

  it('while it still starts leaves no PostgreSQL', async () => {
    const dataDir = await usedDataDir();
    const server = run(['serve', '--port', '0', '--data-dir', dataDir]);
    await expect.poll(() => postmasterOf(dataDir), { timeout: 10_000, interval: 5 }).toBeTypeOf('number');
    server.kill('SIGTERM');
    expect([await server.exited, server.stderr()]).toEqual([0, '']);
    expect(postmasterOf(dataDir)).toBeUndefined();
  });

  it('by SIGTERM lets a request that is under way finish', async () => {
    const server = await start(await usedDataDir());
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
    const path = '/api/2.0/mlflow-artifacts/artifacts/late';
    socket.write(`PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234`);
    await sleep(100);
    server.kill('SIGTERM');
    await expect.poll(() => fetch(`${server.url}/health`).catch(() => 'refused')).toBe('refused');
    socket.write('56789');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    expect(reply.toString()).toMatch(/^HTTP\/1.1 200/);
    const began = Date.now();
    expect(await server.exited).toBe(0);
    expect(Date.now() - began).toBeLessThan(3000);
  });
});

describe('after kill -9', () => {
  it('of the server alone, a start takes over the PostgreSQL that still runs', async () => {
    const dataDir = await usedDataDir();
    const server = await start(dataDir);
    await createModel(server, 'acknowledged');
    server.kill('SIGKILL');
    await server.exited;
    const postmaster = postmasterOf(dataDir);
    expect(postmaster).toBeTypeOf('number');
    const next = await start(dataDir);
    expect([await modelNames(next), postmasterOf(dataDir)]).toEqual([['acknowledged', 'kept'], postmaster]);
    await stop(next);
    expect(postmasterOf(dataDir)).toBeUndefined();
  });

  it('of the server and PostgreSQL, a start recovers', async () => {
    const dataDir = await usedDataDir();
    const server = await start(dataDir);
    await createModel(server, 'acknowledged');
    server.kill('SIGKILL');
    killQuietly(Number(postmasterOf(dataDir)), 'SIGKILL');
    await server.exited;
    expect(await modelNames(await start(dataDir))).toEqual(['acknowledged', 'kept']);
  });

  it('of PostgreSQL alone, the server starts it again and goes on', async () => {
    const dataDir = await usedDataDir();
    const server = await start(dataDir);
    killQuietly(Number(postmasterOf(dataDir)), 'SIGKILL');
    await expect.poll(() => modelNames(server), { timeout: 10_000 }).toEqual(['kept']);
    await createModel(server, 'later');
    await stop(server);
    expect(postmasterOf(dataDir)).toBeUndefined();
  });
});

describe('what a start meets', () => {
  it.each([
    ['another live process', process.pid],
    ['no process', 2 ** 22 - 3],
  ])('a stale postmaster.pid with the number of %s does not stop it', async (_, pid) => {
    const dataDir = await usedDataDir();
    const lines = [pid, path.join(dataDir, 'postgres'), 1_700_000_000, 54321, '', '127.0.0.1', '   123456    654321', 'ready   '];
    await fs.writeFile(path.join(dataDir, 'postgres', 'postmaster.pid'), `${lines.join('\n')}\n`);
    expect(await modelNames(await start(dataDir))).toEqual(['kept']);
  });

  it('a live server on the same DATA_DIR: it is refused in one sentence, and the first goes on', async () => {
    const dataDir = await usedDataDir();
    const first = await start(dataDir);
    const second = run(['serve', '--port', '0', '--data-dir', dataDir]);
    expect(await second.exited).toBe(2);
    expect(second.stderr()).toBe(
      `model-commons: Another Model Commons server is running on ${dataDir}. Stop it, or start this one with another DATA_DIR.\n`,
    );
    await createModel(first, 'still-serving');
  });

  it('a migration lock that was left behind does not block it', async () => {
    const dataDir = await usedDataDir();
    const server = await start(dataDir);
    server.kill('SIGKILL');
    await server.exited;
    await query(await embeddedUrl(dataDir), 'update schema_migrations_lock set is_locked = 1');
    expect(await modelNames(await start(dataDir))).toEqual(['kept']);
  });

  it('a PORT in use: one sentence names it, and no PostgreSQL is left', async () => {
    const dataDir = await usedDataDir();
    const holder = net.createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as net.AddressInfo;
    const server = run(['serve', '--port', String(port), '--data-dir', dataDir]);
    expect(await server.exited).toBe(1);
    expect(server.stderr()).toBe(
      `model-commons: PORT: ${port} on 127.0.0.1 is already in use. Stop what uses it, or choose another with --port.\n`,
    );
    expect(postmasterOf(dataDir)).toBeUndefined();
  });

  it('three others that start with it on an empty DATABASE_URL: all come up, and the schema is applied once', async () => {
    const [dataDir, url] = [await emptyDataDir(), await freshDatabase()];
    const servers = await Promise.all([1, 2, 3, 4].map(() => start(dataDir, ['--database-url', url])));
    await Promise.all(servers.map((server, i) => createModel(server, `by-${i}`)));
    for (const server of servers) expect(await modelNames(server)).toEqual(['by-0', 'by-1', 'by-2', 'by-3']);
    const migrations = (await fs.readdir(new URL('../migrations', import.meta.url))).map((name) => ({ name }));
    expect(await query(url, 'select name from schema_migrations order by id')).toEqual(migrations);
    expect(await fs.readdir(dataDir)).toEqual(['artifacts']);
    await Promise.all(servers.map(stop));
  });
});
