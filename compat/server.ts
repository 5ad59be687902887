import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './servers/ports.ts';

export type Server = { url: string; stop(): Promise<void> };

const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 30_000;

/**
 * The server under test: the one at COMPAT_URL, else one started with `npm start` as its users do, on a free port and an
 * empty DATA_DIR, with these further settings. `stop` presses Ctrl-C and throws when that does not end it. Throws when it is not up within two minutes.
 */
export async function startServer(settings: Record<string, string> = {}): Promise<Server> {
  const running = process.env.COMPAT_URL;
  if (running) return { url: running.replace(/\/+$/, ''), stop: async () => {} };

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const dataDir = await mkdtemp(join(tmpdir(), 'model-commons-compat-'));
  await chmod(dataDir, 0o755); // started by root, the embedded PostgreSQL runs as a user of its own, who must get in
  const { NODE_ENV: _, ...env } = process.env; // vitest sets it, a user does not
  // A process group of its own, so that a signal reaches npm, its shell and the server alike, as Ctrl-C in a terminal does.
  const child = spawn('npm', ['start'], {
    cwd: join(import.meta.dirname, '..'),
    env: { ...env, ...settings, HOST: '127.0.0.1', PORT: String(port), DATA_DIR: dataDir },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output = (output + chunk).slice(-10_000)));
  const signal = (name: NodeJS.Signals | 0) => {
    try {
      return child.pid !== undefined && process.kill(-child.pid, name);
    } catch {
      return false; // nobody is left in the group
    }
  };
  const interrupt = () => signal('SIGINT');
  process.once('exit', interrupt); // when the tests themselves are interrupted

  const stop = async () => {
    interrupt();
    const until = Date.now() + STOP_LIMIT_MS;
    while (signal(0) && Date.now() < until) await sleep(50);
    const clean = !signal(0);
    signal('SIGKILL');
    process.off('exit', interrupt);
    await rm(dataDir, { recursive: true, force: true });
    if (!clean) throw new Error(`the server did not end on SIGINT; its last output:\n${output}`);
  };

  const until = Date.now() + START_LIMIT_MS;
  while (!(await isHealthy(url))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > until) {
      await stop();
      throw new Error(`npm start did not answer GET ${url}/health; its last output:\n${output}`);
    }
    await sleep(200);
  }
  return { url, stop };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) })).status === 200;
  } catch {
    return false;
  }
}
