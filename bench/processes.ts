import type { Site } from '../compat/servers/servers.ts';
import { startProcesses } from './lanes.ts';
import { medianOf } from './ratios.ts';
import { format } from './report.ts';
import { measureThroughput, type Throughput } from './throughput.ts';

const COUNTS = [1, 2, 4];
const CONNECTIONS = [16, 64];
const OPERATIONS = ['get-by-alias', 'set-alias', 'create-model-version'];

/** Ours with `WORKERS` 1, 2 and 4, in alternation. */
export async function measureProcesses(site: Site, options: { rounds: number; seconds: number }): Promise<Throughput[]> {
  return measureThroughput(await startProcesses(site, COUNTS), OPERATIONS, { ...options, connections: CONNECTIONS });
}

export const PROCESSES_COLUMNS = ['operation', 'c', 'server', 'req/s', 'p50 ms', 'p99 ms', 'CPU ms/req', 'PG ms/req', 'over 1 process'];

/** Rows for print under PROCESSES_COLUMNS. */
export const rowsOfProcesses = (results: Throughput[]): string[][] =>
  results.flatMap(({ operation, connections, lanes }) =>
    lanes.map((lane, index) => [
      ...(index === 0 ? [operation, String(connections)] : ['', '']),
      lane.label,
      ...(['perSecond', 'p50', 'p99', 'cpuMs', 'postgresMs'] as const).map((figure) => format(medianOf(lane, figure))),
      index === 0 ? '' : `${format(medianOf(lane, 'perSecond') / medianOf(lanes[0], 'perSecond'))}x`,
    ]),
  );
