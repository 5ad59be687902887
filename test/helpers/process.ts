import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const STARTS_WITHIN_MS = 60_000;

/** The command line in a process, and process group, of its own: what a person in a terminal runs. */
export type CliProcess = {
  pid: number;
  /** What it printed so far. */
  stdout(): string;
  stderr(): string;
  /** Sends a signal to the process alone. */
  kill(signal: NodeJS.Signals): void;
  /** Sends a signal to its whole process group, as Ctrl-C in a terminal does. */
  killGroup(signal: NodeJS.Signals): void;
  /** Resolves to the exit code once it has ended and all it printed was read; null when a signal ended it. */
  exited: Promise<number | null>;
};

/**
 * Runs `model-commons` with these arguments. Of the environment only what Node itself needs is passed on. `limit` is a command of the shell that is run
 * before, such as `ulimit -f 2048`; `folder` one with the sources of another release.
 */
export function runCli(arguments_: string[], env: Record<string, string> = {}, limit = ':', folder = REPOSITORY): CliProcess {
  const command = [process.execPath, '--import', 'tsx', 'src/cli.ts', ...arguments_];
  const child = spawn('sh', ['-c', `${limit} && exec "$0" "$@"`, ...command], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
  });
  const pid = Number(child.pid);
  // Whatever ends the tests, nothing of theirs goes on running.
  const killOnExit = () => killQuietly(-pid, 'SIGKILL');
  process.once('exit', killOnExit);
  child.once('exit', () => process.off('exit', killOnExit));
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  return {
    pid,
    stdout,
    stderr,
    kill: (signal) => child.kill(signal),
    killGroup: (signal) => killQuietly(-pid, signal),
    exited: exitCode(child),
  };
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}

/** A server that answers. */
export type ServerProcess = CliProcess & { url: string };

/** Starts a server on a free port and waits for its banner. Rejects with what it printed when it ends instead. */
export async function startServer(
  dataDir: string,
  flags: string[] = [],
  env: Record<string, string> = {},
  limit?: string,
  folder?: string,
): Promise<ServerProcess> {
  const cli = runCli(['serve', '--port', '0', '--data-dir', dataDir, '--log-level', 'warn', ...flags], env, limit, folder);
  return { ...cli, url: await addressOf(cli) };
}

/** The address in a server's banner, once it is printed. Rejects with what it printed when it ends instead. */
export async function addressOf(cli: CliProcess): Promise<string> {
  let ended = false;
  void cli.exited.then(() => {
    ended = true;
  });
  for (let waited = 0; waited < STARTS_WITHIN_MS && !ended; waited += 10) {
    const url = /ready at (http:\S+)/.exec(cli.stdout())?.[1];
    if (url) return url;
    await sleep(10);
  }
  cli.killGroup('SIGKILL');
  throw new Error(`The server did not start. It printed: ${cli.stdout()}${cli.stderr()}`);
}

/** An empty folder for a server's data. PostgreSQL, which runs as another user when the tests run as root, may enter it. */
export async function makeDataDir(): Promise<string> {
  const dataDir = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-data-'));
  await fs.chmod(dataDir, 0o755);
  return dataDir;
}

/** The process id of the PostgreSQL that runs on a data folder, or undefined. */
export function postmasterOf(dataDir: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(path.join(dataDir, 'postgres', 'postmaster.pid'), 'utf8'), 10);
    return runs(pid) && pid !== process.pid ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Stops the PostgreSQL that may be left on a data folder, and removes the folder. */
export async function destroyDataDir(dataDir: string): Promise<void> {
  const pid = postmasterOf(dataDir);
  // The immediate stop: unlike kill -9 it gives shared memory back.
  if (pid !== undefined) killQuietly(pid, 'SIGQUIT');
  for (let waited = 0; pid !== undefined && runs(pid) && waited < 5000; waited += 20) await sleep(20);
  await fs.rm(dataDir, { recursive: true, force: true, maxRetries: 10 });
}

/** The process ids of the workers of a server. */
export const workersOf = ({ pid }: CliProcess): number[] =>
  execFileSync('ps', ['-A', '-o', 'pid=,ppid=,comm='])
    .toString()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, command]) => Number(parent) === pid && /^node/.test(command ?? ''))
    .map(([pid]) => Number(pid));

/** True for a process that is alive and no zombie; a negative number asks for a process group. */
export function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return pid < 0 || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

/** Sends a signal to a process, which may be gone already. */
export function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone: what was wanted.
  }
}
