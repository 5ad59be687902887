import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { oursOnSharedPostgres, type Site, startServer } from '../compat/servers/servers.ts';
import { ARTIFACT_CONNECTIONS } from './artifacts.ts';
import { atMost, format, type Gate } from './report.ts';
import { getFile, put, runJobs } from './transfers.ts';

const MIB = 1024 * 1024;
const FILE_BYTES = 64 * MIB;
const GIB_EACH_WAY = 5;
const SAMPLE_EVERY_MS = 100;
const GATE_MIB = 32;

/** Bytes of memory of our process: anonymous (heaps, buffers, stacks) and resident, before anything went through and at the most. */
export type ArtifactMemory = { before: Sample; most: Sample; after: Sample; seconds: number };
type Sample = { anonymous: number; resident: number };

/** 5 GiB up and 5 GiB down through our server, in files of 64 MiB from 4 clients at once. */
export async function measureArtifactMemory(site: Site): Promise<ArtifactMemory> {
  const { port, running } = await startServer({ ...oursOnSharedPostgres, label: 'ours' }, site);
  const contents = Array.from({ length: ARTIFACT_CONNECTIONS }, () => randomBytes(FILE_BYTES));
  // The same bytes again and again: all are received, summed and synced as new ones are, then let go, so that the disk does not fill.
  const ups = contents.map((bytes, i) => put(`bench-memory/${i}.bin`, bytes));
  const downs = contents.map((_, i) => getFile(`bench-memory/${i}.bin`, FILE_BYTES));
  const before = memoryOfProcess(running.pid);
  const most = { ...before };
  const timer = setInterval(() => {
    const now = memoryOfProcess(running.pid);
    most.anonymous = Math.max(most.anonymous, now.anonymous);
    most.resident = Math.max(most.resident, now.resident);
  }, SAMPLE_EVERY_MS);
  try {
    let ms = 0;
    for (let passed = 0; passed < GIB_EACH_WAY * 1024 * MIB; passed += FILE_BYTES * ARTIFACT_CONNECTIONS)
      for (const jobs of [ups, downs]) ms += await runJobs(port, ARTIFACT_CONNECTIONS, jobs);
    return { before, most, after: memoryOfProcess(running.pid), seconds: ms / 1000 };
  } finally {
    clearInterval(timer);
    await running.stop();
  }
}

/** From /proc: `Anonymous` leaves out the pages of files, such as of the node binary, which come in when code first runs and belong to the page cache. */
function memoryOfProcess(pid: number): Sample {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const bytesOf = (field: RegExp) => Number(field.exec(text)?.[1]) * 1024;
  return { anonymous: bytesOf(/^Anonymous:\s+(\d+)/m), resident: bytesOf(/^Rss:\s+(\d+)/m) };
}

export const gatesOfArtifactMemory = ({ before, most }: ArtifactMemory): Gate[] => [
  atMost('memory growth, 10 GiB through', (most.anonymous - before.anonymous) / MIB, GATE_MIB, ' MiB'),
];

export function tableOfArtifactMemory({ before, most, after }: ArtifactMemory): string[][] {
  const mib = (bytes: number) => format(bytes / MIB);
  return (['anonymous', 'resident'] as const).map((kind) => [
    kind,
    ...[before, most, after].map((sample) => mib(sample[kind])),
    mib(most[kind] - before[kind]),
  ]);
}
