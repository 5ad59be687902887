import { tableOfLookUps } from './aliases.ts';
import { tableOfArtifactMemory } from './artifact-memory.ts';
import { ARTIFACT_CONNECTIONS, tableOfArtifacts } from './artifacts.ts';
import { COST_COLUMNS, rowsOfCost } from './cost.ts';
import { lookUpConnections } from './options.ts';
import { PROCESSES_COLUMNS, rowsOfProcesses } from './processes.ts';
import { format, GATE_COLUMNS, rowsOfGates } from './report.ts';
import type { Results } from './results.ts';
import { rowsOfStarts } from './starts.ts';
import type { Throughput } from './throughput.ts';
import {
  COLUMNS,
  PER_REQUEST_COLUMNS,
  rowsOfSpeeds,
  rowsOfTargets,
  rowsOfThroughput,
  rowsPerRequest,
  SPEED_COLUMNS,
  TARGET_COLUMNS,
} from './throughput-report.ts';

/** A table with what must be said about it. `id` names its place in a page. */
export type Section = { id: string; heading: string; columns: string[]; rows: string[][]; notes: string[] };

const STALL =
  'with 1 connection the stock server with 4 workers waits 40 ms before each reply, for its own network stack (Nagle against delayed acknowledgement): ' +
  'the better one, which ours is compared with, is then the one with 1 worker';

const remarksOf = (results: Throughput[]): string[] =>
  results.flatMap(({ operation, connections, failures, notes }) =>
    [...failures.map((text) => `failed: ${text}`), ...notes].map((text) => `${operation}, ${connections} connections: ${text}`),
  );

/** Each thing that is said of every number of connections is said once. */
const onlyOnce = (results: Throughput[]): Throughput[] =>
  results.map((result, index) => ({
    ...result,
    notes: result.notes.filter(
      (note) => !results.slice(0, index).some(({ operation, notes }) => operation === result.operation && notes.includes(note)),
    ),
  }));

export function sectionOfStarts({ starts, options }: Pick<Results, 'starts' | 'options'>): Section {
  const columns = ['server', 'first s', 'start s', 'range', 'sooner'];
  return {
    id: 'starts',
    heading: `Starts, ${options.rounds} of each in alternation, medians (stock as shipped: default workers, jobs on)`,
    columns: options.memory ? [...columns, 'processes', 'RSS MiB', 'PSS MiB', 'less RSS'] : columns,
    rows: rowsOfStarts(starts),
    notes: [],
  };
}

export const sectionOfCost = ({ cost }: Pick<Results, 'cost'>): Section => ({
  id: 'cost',
  heading: 'What a server holds: memory without PostgreSQL, and database connections, idle and under 16 and 64 connections',
  columns: COST_COLUMNS,
  rows: rowsOfCost(cost),
  notes: [],
});

export function sectionOfThroughput({ throughput, ceilings, options }: Pick<Results, 'throughput' | 'ceilings' | 'options'>): Section {
  const most = ceilings.map(({ connections, perSecond }) => `${format(perSecond)} req/s with ${connections}`).join(', ');
  return {
    id: 'throughput',
    heading: `Throughput, ${options.rounds} rounds of ${options.seconds} s in alternation, medians`,
    columns: COLUMNS,
    rows: rowsOfThroughput(throughput),
    notes: [
      `the generator's own ceiling: ${most} connections`,
      ...(throughput.some(({ connections }) => connections === 1) ? [STALL] : []),
      ...remarksOf(onlyOnce(throughput)),
    ],
  };
}

/** The same in fewer columns: what a page of many operations has room for. */
const sectionOfSpeeds = (results: Pick<Results, 'throughput' | 'ceilings' | 'options'>): Section => ({
  ...sectionOfThroughput(results),
  heading: `Requests a second / p50 ms / p99 ms, ${results.options.rounds} rounds of ${results.options.seconds} s in alternation, medians`,
  columns: SPEED_COLUMNS,
  rows: rowsOfSpeeds(results.throughput),
});

const sectionPerRequest = ({ throughput }: Pick<Results, 'throughput'>): Section => ({
  id: 'per-request',
  heading: 'What a request costs, with 16 connections; the stock server with 4 workers',
  columns: PER_REQUEST_COLUMNS,
  rows: rowsPerRequest(throughput),
  notes: [],
});

export const sectionOfTargets = ({ throughput }: Pick<Results, 'throughput'>): Section => ({
  id: 'targets',
  heading: 'What was asked for, with 16 connections',
  columns: TARGET_COLUMNS,
  rows: rowsOfTargets(throughput),
  notes: [],
});

export const sectionOfProcesses = ({ processes, options }: Pick<Results, 'processes' | 'options'>): Section => ({
  id: 'processes',
  heading: `Ours as 1, 2 and 4 processes, ${options.rounds} rounds of ${options.seconds} s in alternation, medians`,
  columns: PROCESSES_COLUMNS,
  rows: rowsOfProcesses(processes),
  notes: remarksOf(processes),
});

export const sectionOfLookUps = (id: 'resolving' | 'login', results: Pick<Results, 'resolving' | 'login' | 'options'>): Section => ({
  id,
  heading: `The version of an alias, ${lookUpConnections(results.options)} connections, ${results.options.rounds} rounds of ${results.options.seconds} s in alternation, medians`,
  columns: ['way', 'req/s', 'p50 ms', 'CPU ms/req', 'CPU over first', 'time over first'],
  rows: tableOfLookUps(results[id]),
  notes: [],
});

export const sectionOfLargePromotion = ({ largePromotion }: Pick<Results, 'largePromotion'>): Section => ({
  id: 'large-promotion',
  heading: 'A version of 2 GiB, once',
  columns: ['uploaded s', 'promoted ms', 'bytes of files added'],
  rows: largePromotion
    ? [[format(largePromotion.uploadSeconds), format(largePromotion.promotionSeconds * 1000), String(largePromotion.addedBytes)]]
    : [],
  notes: [],
});

export const sectionOfArtifacts = ({ artifacts, options }: Pick<Results, 'artifacts' | 'options'>): Section => ({
  id: 'artifacts',
  heading: `Artifacts, ${ARTIFACT_CONNECTIONS} connections, ${options.rounds} rounds in alternation, medians`,
  columns: ['row', 'server', 'MiB/s', 'files/s', 'ms', 'CPU ms/req', 'ours over it'],
  rows: tableOfArtifacts(artifacts),
  notes: artifacts.flatMap(({ row, failure }) => (failure ? [`${row.name}: ${failure}`] : [])),
});

export const sectionOfArtifactMemory = ({ artifactMemory }: Pick<Results, 'artifactMemory'>): Section => ({
  id: 'artifact-memory',
  heading: `Memory while 10 GiB pass through, up and down, MiB; it took ${format(artifactMemory?.seconds ?? Number.NaN)} s`,
  columns: ['memory', 'before', 'most', 'after', 'growth'],
  rows: artifactMemory ? tableOfArtifactMemory(artifactMemory) : [],
  notes: [],
});

const sectionOfGates = ({ gates }: Pick<Results, 'gates'>): Section => ({
  id: 'gates',
  heading: 'Gates',
  columns: GATE_COLUMNS,
  rows: rowsOfGates(gates),
  notes: [],
});

/** All that a run has measured, as a page has it. */
export const sectionsOf = (results: Results): Section[] =>
  [
    sectionOfTargets(results),
    results.options.baseline === undefined ? sectionOfSpeeds(results) : sectionOfThroughput(results),
    sectionPerRequest(results),
    sectionOfProcesses(results),
    sectionOfStarts(results),
    sectionOfCost(results),
    sectionOfLookUps('resolving', results),
    sectionOfLookUps('login', results),
    sectionOfLargePromotion(results),
    sectionOfArtifacts(results),
    sectionOfArtifactMemory(results),
    sectionOfGates(results),
  ].filter(({ rows }) => rows.length > 0);
