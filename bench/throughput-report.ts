import { operations } from './operations.ts';
import type { Bar } from './picture.ts';
import { medianOf, overBetterStock, overLane, overRole, p99OverStock, type Ratio } from './ratios.ts';
import { atLeast, atMost, format, type Gate } from './report.ts';
import type { Lane, Throughput } from './throughput.ts';

/** Gates are set on as many connections: with one, the stock server waits for its own network stack. */
export const GATE_CONNECTIONS = 16;
const MOST_OF_STOCK_P99 = 0.1;

export const COLUMNS = [
  ...['operation', 'c', 'server', 'req/s', 'p50 ms', 'p99 ms', 'CPU ms/req', 'PG ms/req', 'bytes'],
  ...['ours over it', 'ours over the better'],
];

const times = (ratio: number): string => (Number.isNaN(ratio) ? '-' : `${format(ratio)}x`);

const operationOf = ({ operation }: Throughput) => operations.find(({ name }) => name === operation);

const hasStock = ({ lanes }: Throughput) => lanes.some(({ role }) => role === 'stock');
const isGated = (result: Throughput) => result.connections === GATE_CONNECTIONS && hasStock(result);

/** An operation that failed is a failed gate even where no ratio is asked of it. */
export function gatesOfThroughput(results: Throughput[]): Gate[] {
  return results.flatMap((result) => {
    const { operation, connections, failures } = result;
    const name = `${operation}, ${connections} connections`;
    if (failures.length > 0) return [{ name, needs: 'no failure', got: `${failures.length} kinds`, pass: false }];
    const { gate, share } = operationOf(result) ?? {};
    if (!isGated(result) || gate === undefined) return [];
    return [
      ratioGate(name, result, gate),
      ...(share === undefined ? [] : [atLeast(`${name}, of bare node:http + pg`, overRole(result, 'bare').ratio, share, 'x')]),
      atMost(`${name}, p99 of stock's`, p99OverStock(result), MOST_OF_STOCK_P99, 'x'),
    ];
  });
}

function ratioGate(name: string, result: Throughput, gate: number): Gate {
  const asked = atLeast(name, overBetterStock(result).ratio, gate, 'x');
  const enough = operationOf(result)?.enoughPerSecond;
  if (enough === undefined) return asked;
  const absolute = atLeast(name, medianOf(result.lanes[0], 'perSecond'), enough, '/s');
  return { name, needs: `${asked.needs} or ${absolute.needs}`, got: `${asked.got}, ${absolute.got}`, pass: asked.pass || absolute.pass };
}

const withRange = ({ ratio, least, most }: Ratio): string =>
  Number.isNaN(ratio) ? '-' : `${format(ratio)}x (${format(least)}..${format(most)})`;

/** With one connection the stock server with workers waits 40 ms for its own network stack, which is no speed of ours. */
const isStalled = ({ connections }: Throughput, { label }: Lane): boolean => connections === 1 && label === 'stock 4 workers';

/** Over the better stock server, or over the baseline where that is what is measured. */
const overBetter = (result: Throughput): Ratio => (hasStock(result) ? overBetterStock(result) : overRole(result, 'baseline'));

/** Rows for print under COLUMNS. */
export function rowsOfThroughput(results: Throughput[]): string[][] {
  return results.flatMap((result) =>
    result.lanes.map((lane, index) => {
      const { ratio } = overLane(result, lane);
      const figures = (['perSecond', 'p50', 'p99', 'cpuMs', 'postgresMs', 'bytes'] as const).map((figure) =>
        format(medianOf(lane, figure)),
      );
      return [
        ...(index === 0 ? [result.operation, String(result.connections)] : ['', '']),
        lane.label,
        ...figures,
        index === 0 ? '' : isStalled(result, lane) ? 'stalls' : times(ratio),
        index === 0 ? withRange(overBetter(result)) : '',
      ];
    }),
  );
}

/** Ours over the better stock server, with 16 connections. */
export const barsOfThroughput = (results: Throughput[]): Bar[] =>
  results.filter(isGated).map((result) => {
    const at = operationOf(result)?.gate;
    const gate = at === undefined ? undefined : { at, reached: ratioGate('', result, at).pass };
    return { name: result.operation, ...overBetterStock(result), gate };
  });

/** The part of the table that a stranger reads first: what was asked for and what came of it, with 16 connections. */
export function rowsOfTargets(results: Throughput[]): string[][] {
  return results.filter(isGated).map((result) => {
    const { gate, stretch, share, enoughPerSecond } = operationOf(result) ?? {};
    const asked = (value: number | undefined, unit = 'x') => (value === undefined ? '' : `${value}${unit}`);
    const p99 = p99OverStock(result);
    const failed = gatesOfThroughput([result]).some(({ pass }) => !pass);
    return [
      result.operation,
      format(medianOf(result.lanes[0], 'perSecond')),
      withRange(overBetterStock(result)),
      enoughPerSecond === undefined ? asked(gate) : `${asked(gate)} or ${enoughPerSecond}/s`,
      asked(stretch),
      format(overRole(result, 'express').ratio),
      format(overRole(result, 'bare').ratio),
      asked(share, ''),
      format(p99),
      gate === undefined ? '' : failed ? '**missed**' : 'reached',
    ];
  });
}

export const TARGET_COLUMNS = [
  ...['operation', 'req/s', 'over the better stock server', 'gate', 'stretch'],
  ...['over Express + pg', 'over bare + pg', 'at least', 'p99 over stock', ''],
];

const laneOf = ({ lanes }: Throughput, column: string): Lane | undefined =>
  lanes.find(({ role, label }) => label === column || role === column);

export const SPEED_COLUMNS = [
  'operation',
  'c',
  'ours',
  'stock, 4 workers',
  'stock, 1 worker',
  'Express + pg',
  'bare + pg',
  'over the better stock',
];

/** Rows for print under SPEED_COLUMNS: requests per second, p50 and p99 of each server in one cell. */
export const rowsOfSpeeds = (results: Throughput[]): string[][] =>
  results.filter(hasStock).map((result) => [
    result.operation,
    String(result.connections),
    ...['ours', 'stock 4 workers', 'stock 1 worker', 'express', 'bare'].map((column) => {
      const lane = laneOf(result, column);
      return lane ? (['perSecond', 'p50', 'p99'] as const).map((figure) => format(medianOf(lane, figure))).join(' / ') : '-';
    }),
    withRange(overBetterStock(result)),
  ]);

export const PER_REQUEST_COLUMNS = [
  'operation',
  ...['server CPU ms: ours', 'stock', 'Express', 'bare'],
  ...['PostgreSQL CPU ms: ours', 'stock', 'bare'],
  ...['bytes: ours', 'stock'],
];

/** Rows for print under PER_REQUEST_COLUMNS: what a request costs, with 16 connections; of the stock server, that with 4 workers. */
export const rowsPerRequest = (results: Throughput[]): string[][] =>
  results.filter(isGated).map((result) => {
    const cells = (figure: 'cpuMs' | 'postgresMs' | 'bytes', columns: string[]) =>
      columns.map((column) => format(medianOf(laneOf(result, column), figure)));
    return [
      result.operation,
      ...cells('cpuMs', ['ours', 'stock', 'express', 'bare']),
      ...cells('postgresMs', ['ours', 'stock', 'bare']),
      ...cells('bytes', ['ours', 'stock']),
    ];
  });
