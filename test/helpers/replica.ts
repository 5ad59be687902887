import { execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/platform/db/embedded.ts';
import { findBinaries, unprivilegedIdentity } from '../../src/platform/db/embedded-binaries.ts';
import { destroyDataDir, makeDataDir, postmasterOf } from './process.ts';

const exec = promisify(execFile);

/** A PostgreSQL of its own and a replica that streams from it. To be stopped. */
export async function startWithReplica() {
  const [primaryDir, replicaDir] = [await makeDataDir(), await makeDataDir()];
  // A cluster that does not run can be copied as it is.
  await (await startEmbeddedPostgres(primaryDir)).stop();
  await exec('cp', ['-a', path.join(primaryDir, 'postgres'), replicaDir]);
  const primary = await startEmbeddedPostgres(primaryDir, ['-c wal_keep_size=128MB']);
  const cluster = path.join(replicaDir, 'postgres');
  const { hostname, port, username, password } = new URL(primary.url);
  await fs.writeFile(path.join(cluster, 'standby.signal'), '');
  await fs.appendFile(
    path.join(cluster, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=${hostname} port=${port} user=${username} password=${password}'\n`,
  );
  const [{ pg_ctl }, identity, replicaPort] = [await findBinaries(), await unprivilegedIdentity(), await freePort()];
  const control = (...args: string[]) => exec(pg_ctl, [...args, '--pgdata', cluster], { ...identity, cwd: '/' });
  const flags = `-p ${replicaPort} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c wal_retrieve_retry_interval=100ms`;
  const start = () => control('start', '--wait', '--log', path.join(cluster, 'server.log'), '--options', flags);
  await start();
  const url = new URL(primary.url);
  url.port = String(replicaPort);

  return {
    primaryUrl: primary.url,
    replicaUrl: url.href,
    /** Process ids. */
    postmasters: { primary: postmasterOf(primaryDir), replica: postmasterOf(replicaDir) },
    startReplica: start,
    /** Ends it at once, with all its connections. */
    killReplica: () => control('stop', '--mode', 'immediate', '--wait'),
    /** What it refused to do since it does not write. */
    refusedWrites: async () =>
      (await fs.readFile(path.join(cluster, 'server.log'), 'utf8'))
        .split('\n')
        .filter((line) => /read-only transaction|during recovery/.test(line)),
    promoteReplica: () => control('promote', '--wait'),
    async stop() {
      await destroyDataDir(replicaDir);
      await primary.stop();
      await destroyDataDir(primaryDir);
    },
  };
}

/** Runs SQL on a connection of its own. */
export async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}
