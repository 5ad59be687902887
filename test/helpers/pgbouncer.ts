import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { unprivilegedIdentity } from '../../src/platform/db/embedded-binaries.ts';
import { killQuietly } from './process.ts';

const exec = promisify(execFile);
const STARTS_WITHIN_MS = 10_000;

const find = () =>
  exec('sh', ['-c', 'PATH="$PATH:/usr/sbin" command -v pgbouncer']).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );

/** The path of Debian's PgBouncer, which root installs when it is missing; null where that cannot be. */
export async function findPgBouncer(): Promise<string | null> {
  const found = await find();
  if (found !== null || process.getuid?.() !== 0) return found;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await exec('sh', ['-c', 'apt-get update -qq && apt-get install -y -qq --no-install-recommends pgbouncer'], { env }).catch(() => {});
  return find();
}

/**
 * Starts PgBouncer in transaction mode before the PostgreSQL of `databaseUrl`, as its package sets it up, with `poolSize` connections to it. Gives the URL
 * of the same database through it. It ends with the test that is running.
 */
export async function startPgBouncer(program: string, databaseUrl: string, poolSize: number): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-pgbouncer-'));
  const { uid, gid } = await unprivilegedIdentity();
  const { hostname, port, username, password } = new URL(databaseUrl);
  const own = await freePort();
  const users = path.join(folder, 'users.txt');
  const settings = path.join(folder, 'pgbouncer.ini');
  await fs.writeFile(users, `"${username}" "${password}"\n`);
  await fs.writeFile(
    settings,
    `[databases]
* = host=${hostname} port=${port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = 200
`,
  );
  await fs.chmod(folder, 0o755);
  const identity = uid === undefined || gid === undefined ? {} : { uid, gid };
  const child = spawn(program, ['--quiet', settings], { ...identity, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const stop = () => killQuietly(Number(child.pid), 'SIGKILL');
  process.once('exit', stop);
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    process.off('exit', stop);
    stop();
    await ended;
    await fs.rm(folder, { recursive: true, force: true });
  });
  for (let waited = 0; !(await accepts(own)); waited += 50) {
    if (waited > STARTS_WITHIN_MS || child.exitCode !== null) throw new Error(`PgBouncer did not start. It printed: ${said}`);
    await sleep(50);
  }
  const through = new URL(databaseUrl);
  through.host = `127.0.0.1:${own}`;
  return through.href;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    const finish = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => finish(true)).once('error', () => finish(false));
  });
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
