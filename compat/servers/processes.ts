import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { atEnd } from './clean-up.ts';

const STOP_WITHIN_MS = 20_000;
const KERNEL_TICKS_PER_SECOND = 100;

export type Launch = {
  command: string;
  args: string[];
  /** Added to the few variables that every process gets. */
  env?: Record<string, string>;
  cwd: string;
  /** Takes what the process prints. */
  logFile: string;
  identity?: { uid?: number; gid?: number };
  /** What asks it to stop; SIGTERM unless told. */
  stopSignal?: NodeJS.Signals;
  /** Names, in its first line, a process that leaves the process tree: PostgreSQL's postmaster.pid. */
  daemonPidFile?: string;
};

export type Running = {
  pid: number;
  logFile: string;
  hasEnded(): boolean;
  /** Asks the whole process group to stop, waits, kills what is left. */
  stop(): Promise<void>;
};

type Process = {
  pid: number;
  parent: number;
  group: number;
  name: string;
  cpuSeconds: number /** Of children that ended. */;
  endedCpuSeconds: number;
  startedAt: number;
};

const killers = new Set<() => void>();
process.on('exit', () => {
  for (const kill of killers) kill();
});

/** Starts a process in a group of its own, which is gone after `cleanUp`. No setting of the user's own shell reaches it. */
export function start({ command, args, env, cwd, logFile, identity, stopSignal = 'SIGTERM', daemonPidFile }: Launch): Running {
  let started: Running | undefined;
  atEnd(() => started?.stop());
  const log = openSync(logFile, 'a');
  const stdio = ['ignore', log, log] as const;
  const child = spawn(command, args, { cwd, env: { ...plainEnvironment(), ...env }, detached: true, stdio: [...stdio], ...identity });
  closeSync(log);
  child.on('error', () => {}); // it has no pid then
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} cannot be started`);

  // Processes of the tree that a dead parent no longer leads to, known by their start since numbers are used again.
  let members: Process[] = [];
  const daemons = () => (daemonPidFile === undefined ? [] : processTable().filter((one) => isDaemon(one, daemonPidFile)));
  const left = () => {
    const known = (one: Process) => members.some((member) => member.pid === one.pid && member.startedAt === one.startedAt);
    return processTable().filter((one) => one.group === pid || known(one));
  };
  const kill = () => {
    // PostgreSQL is not killed outright: a postmaster's children would stay for a while.
    for (const one of [...treeOf(pid), ...left(), ...daemons()]) signal(one.pid, one.name === 'postgres' ? 'SIGQUIT' : 'SIGKILL');
  };
  killers.add(kill);

  let stopping: Promise<void> | undefined;
  started = {
    pid,
    logFile,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    stop() {
      stopping ??= (async () => {
        members = [...treeOf(pid), ...daemons()];
        signal(-pid, stopSignal);
        const until = Date.now() + STOP_WITHIN_MS;
        while (left().length > 0 && Date.now() < until) await sleep(50);
        kill();
        killers.delete(kill);
      })();
      return stopping;
    },
  };
  return started;
}

/** CPU seconds, user and system, that a process and its descendants have used. */
export function cpuSecondsOf(pid: number): number {
  return treeOf(pid).reduce((sum, one) => sum + one.cpuSeconds, 0);
}

/** The parent of the PostgreSQL processes on this machine of which one is connected to `database`; undefined when there is none. */
export function postmasterOf(database: string): number | undefined {
  return processTable().find(({ pid, name }) => name === 'postgres' && readOrEmpty(`/proc/${pid}/cmdline`).split(' ')[2] === database)
    ?.parent;
}

/** CPU seconds of a PostgreSQL's processes, and of those that have ended. */
export function cpuSecondsOfPostgres(postmaster: number): number {
  const cluster = processTable().filter(({ pid, parent }) => pid === postmaster || parent === postmaster);
  return cluster.reduce((sum, one) => sum + one.cpuSeconds + (one.pid === postmaster ? one.endedCpuSeconds : 0), 0);
}

export type Memory = { processes: number; rss: number; pss: number };

/** Resident memory of a process and its descendants without PostgreSQL, in bytes. PSS divides a shared page among the processes that share it. */
export function memoryOf(pid: number): Memory {
  const tree = treeOf(pid).filter((one) => one.name !== 'postgres');
  const sum = (file: string, field: RegExp) =>
    tree.reduce((bytes, one) => {
      const text = readOrEmpty(`/proc/${one.pid}/${file}`);
      return bytes + Number(field.exec(text)?.[1] ?? 0) * 1024;
    }, 0);
  return { processes: tree.length, rss: sum('status', /^VmRSS:\s+(\d+)/m), pss: sum('smaps_rollup', /^Pss:\s+(\d+)/m) };
}

/** The end of what a process printed, to tell why it failed. */
export const tailOf = (logFile: string): string => readOrEmpty(logFile).slice(-3000).trim();

function treeOf(pid: number): Process[] {
  const table = processTable();
  const found = table.filter((one) => one.pid === pid || one.group === pid);
  for (const member of found) {
    found.push(...table.filter((one) => one.parent === member.pid && !found.includes(one)));
  }
  return found;
}

function processTable(): Process[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const stat = readOrEmpty(`/proc/${entry}/stat`);
      const end = stat.lastIndexOf(')');
      if (end < 0) return [];
      // man proc_pid_stat: the fields from the third on; a zombie has ended
      const fields = stat.slice(end + 2).split(' ');
      if (fields[0] === 'Z') return [];
      return {
        pid: Number(entry),
        parent: Number(fields[1]),
        group: Number(fields[2]),
        name: stat.slice(stat.indexOf('(') + 1, end),
        cpuSeconds: (Number(fields[11]) + Number(fields[12])) / KERNEL_TICKS_PER_SECOND,
        endedCpuSeconds: (Number(fields[13]) + Number(fields[14])) / KERNEL_TICKS_PER_SECOND,
        startedAt: Number(fields[19]),
      };
    });
}

const isDaemon = ({ pid, name }: Process, pidFile: string) => name === 'postgres' && pid === Number.parseInt(readOrEmpty(pidFile), 10);

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended already
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function plainEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'USER', 'LANG', 'LC_ALL', 'TMPDIR', 'LD_LIBRARY_PATH', 'XDG_CACHE_HOME'];
  return Object.fromEntries(kept.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
