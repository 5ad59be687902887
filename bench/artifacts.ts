import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import { cpuSecondsOf } from '../compat/servers/processes.ts';
import { oursOnSharedPostgres, type Recipe, type Server, type Site, startServer, stock } from '../compat/servers/servers.ts';
import type { Bar } from './picture.ts';
import { atLeast, format, type Gate } from './report.ts';
import { median } from './statistics.ts';
import { getFile, type Job, list, put, runJobs } from './transfers.ts';

const run = promisify(execFile);
const KIB = 1024;
const MIB = 1024 * KIB;
export const ARTIFACT_CONNECTIONS = 4;
const BARE_GATE = 0.6;
let slicesSoFar = 0;

type Row = {
  name: string;
  size: number;
  count: number;
  phases: ('up' | 'list' | 'down')[];
  /** How many times a GET row reads each file. */
  times?: number;
  /** Ours over the better stock server. */
  gate: number;
  /** Whether ours over the bare server has a gate: not where ours keeps a tree in a database, which the bare one has not. */
  bareGate: boolean;
};

const rows: Row[] = [
  { name: 'put-1mib', size: MIB, count: 128, phases: ['up'], gate: 1.5, bareGate: true },
  { name: 'put-64mib', size: 64 * MIB, count: 4, phases: ['up'], gate: 0.9, bareGate: true },
  { name: 'get-1mib', size: MIB, count: 128, times: 4, phases: ['down'], gate: 1.5, bareGate: true },
  { name: 'get-64mib', size: 64 * MIB, count: 4, times: 4, phases: ['down'], gate: 2, bareGate: true },
  { name: 'small-files', size: 10 * KIB, count: 1000, phases: ['up', 'list', 'down'], gate: 3, bareGate: false },
];
export const artifactRows: string[] = rows.map(({ name }) => name);

/** Milliseconds of each phase, and the server's CPU milliseconds for each file that went through (PostgreSQL's not included). */
type Slice = { ms: number[]; cpuMs: number };
/** What one server did, a slice a round. */
type Lane = { label: string; slices: Slice[] };

/** Lanes in the order of `measureArtifacts`: ours, two stock servers, the bare one. */
export type ArtifactRow = { row: Row; lanes: Lane[]; failure: string | undefined };

const bare = (label: string, hasFiles: boolean): Recipe => ({
  label,
  launch: ({ folder }, port) => ({
    command: process.execPath,
    args: ['--import', 'tsx', path.join(import.meta.dirname, 'bare.ts'), String(port), ...(hasFiles ? [path.join(folder, 'bare')] : [])],
    cwd: path.join(import.meta.dirname, '..'),
  }),
});

/** Measures the rows called `names`, all servers up and taking turns, on the same disk and with 4 connections. */
export async function measureArtifacts(site: Site, names: string[], rounds: number): Promise<ArtifactRow[]> {
  // One after the other: on an empty database each would migrate.
  const servers: Server[] = [];
  for (const recipe of [
    { ...oursOnSharedPostgres, label: 'ours' },
    stock('stock 4 workers', { jobs: false }),
    stock('stock 1 worker', { workers: 1, jobs: false }),
    bare('bare node:http', true),
    bare('no files (ceiling)', false),
  ]) {
    servers.push(await startServer(recipe, site));
  }
  const results: ArtifactRow[] = [];
  for (const row of rows.filter(({ name }) => names.includes(name))) {
    results.push(await measureRow(row, servers, rounds));
    console.log(`  ${row.name} measured`);
  }
  for (const { running } of servers) await running.stop();
  return results;
}

async function measureRow(row: Row, servers: Server[], rounds: number): Promise<ArtifactRow> {
  const bytes = Buffer.allocUnsafe(row.count * row.size);
  // Without files there is nothing to list.
  const lanes = (row.phases.includes('list') ? servers.slice(0, -1) : servers).map((server) => ({ server, slices: [] as Slice[] }));
  let failure: string | undefined;
  try {
    // The first round warms up and does not count.
    for (let round = -1; round < rounds; round++) {
      for (const { server, slices } of round % 2 === 0 ? lanes : lanes.toReversed()) {
        const slice = await measureSlice(row, server, bytes).catch((error) => {
          throw new Error(`${server.label}: ${error.message}`);
        });
        if (round >= 0) slices.push(slice);
      }
    }
  } catch (error) {
    failure = (error as Error).message;
  }
  return { row, lanes: lanes.map(({ server, slices }) => ({ label: server.label, slices })), failure };
}

/**
 * Puts files of fresh bytes into a new folder, so that no server has them already or writes over others, and reads them; the clock runs for the row's
 * phases only. Nothing is removed: memory and disk that one server had freed would serve it, or the next one, sooner.
 */
async function measureSlice(row: Row, server: Server, bytes: Buffer): Promise<Slice> {
  const folder = `bench-${row.name}-${slicesSoFar++}`;
  randomFillSync(bytes);
  const files = Array.from({ length: row.count }, (_, i) => ({
    name: `${folder}/${i}.bin`,
    of: bytes.subarray(i * row.size, (i + 1) * row.size),
  }));
  const downs = () => files.map(({ name, of }) => getFile(name, of.length));
  const jobs: Record<Row['phases'][number], Job[]> = {
    up: files.map(({ name, of }) => put(name, of)),
    list: [list(folder, row.count)],
    down: Array.from({ length: row.times ?? 1 }, downs).flat(),
  };
  const runAll = (some: Job[]) => runJobs(server.port, ARTIFACT_CONNECTIONS, some);
  if (!row.phases.includes('up')) await runAll(jobs.up);
  // Or a server that syncs what it writes would wait for what another one left to the disk.
  await run('sync');
  const cpuBefore = cpuSecondsOf(server.running.pid);
  const ms = [];
  for (const phase of row.phases) ms.push(await runAll(jobs[phase]));
  const transfers = row.phases.reduce((sum, phase) => sum + jobs[phase].length, 0);
  const cpuMs = ((cpuSecondsOf(server.running.pid) - cpuBefore) * 1000) / transfers;
  const hasFiles = !server.label.startsWith('no files');
  if (hasFiles) await runAll(files.slice(0, 2).map(({ name, of }) => getFile(name, of.length, of)));
  return { ms, cpuMs };
}

const totalMs = ({ ms }: Slice) => ms.reduce((sum, one) => sum + one, 0);

/** Ours over another server, of bytes or files per second: a ratio for each round, whose slices follow each other. */
const ratiosOver = (ours: Lane | undefined, other: Lane | undefined): number[] =>
  other?.slices.map((slice, round) => totalMs(slice) / totalMs(ours?.slices[round] ?? slice)) ?? [];

/** Over the better stock server, and over the bare one. A row that failed is a failed gate. */
export function gatesOfArtifacts(results: ArtifactRow[]): Gate[] {
  return results.flatMap(({ row: { name, gate, bareGate }, lanes: [ours, four, one, bare], failure }) => {
    if (failure) return [{ name, needs: 'no failure', got: '1', pass: false }];
    const overStock = Math.min(median(ratiosOver(ours, four)), median(ratiosOver(ours, one)));
    return [
      atLeast(`${name}, over stock`, overStock, gate, 'x'),
      ...(bareGate ? [atLeast(`${name}, over bare node:http`, median(ratiosOver(ours, bare)), BARE_GATE, 'x')] : []),
    ];
  });
}

/** Ours over the better stock server. */
export const barsOfArtifacts = (results: ArtifactRow[]): Bar[] =>
  results.map(({ row: { name, gate }, lanes: [ours, ...others], failure }) => {
    const over = others.slice(0, 2).map((other) => ratiosOver(ours, other));
    const ratios = (failure ? [] : over).sort((a, b) => median(a) - median(b))[0] ?? [];
    const ratio = median(ratios);
    return { name, ratio, least: Math.min(...ratios), most: Math.max(...ratios), gate: { at: gate, reached: ratio >= gate } };
  });

/** Rows for print: row, server, MiB/s, files/s, ms of each phase, CPU ms per request, ours over this server, with its range over the rounds. */
export function tableOfArtifacts(results: ArtifactRow[]): string[][] {
  return results.flatMap(({ row: { name, size, count, times = 1, phases }, lanes, failure }) =>
    lanes.map((lane, index) => {
      const { label, slices } = lane;
      const filesPerSecond = (count * times * 1000) / median(slices.map(totalMs));
      const ratios = ratiosOver(lanes[0], lane);
      return [
        index === 0 ? name : '',
        label,
        format((filesPerSecond * size) / MIB),
        format(filesPerSecond),
        phases.map((phase, i) => `${phase} ${format(median(slices.map(({ ms }) => ms[i] ?? Number.NaN)))}`).join(', '),
        format(median(slices.map(({ cpuMs }) => cpuMs))),
        index === 0 || failure ? '' : `${format(median(ratios))}x (${format(Math.min(...ratios))}..${format(Math.max(...ratios))})`,
      ];
    }),
  );
}
