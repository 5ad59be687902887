import path from 'node:path';
import { freePort, isHealthy, waitUntil } from '../compat/servers/ports.ts';
import { cpuSecondsOf, start, tailOf } from '../compat/servers/processes.ts';
import { oursOnSharedPostgres, type Server, type Site, startServer, stock } from '../compat/servers/servers.ts';
import { applyLoad, Connection, type Slice } from './load.ts';
import { checkReply, get, makeFixture, type Operation, operations, type Target } from './operations.ts';
import { atLeast, format, type Gate } from './report.ts';
import { median } from './statistics.ts';

const WARM_UP_SECONDS = 1;

/** A slice, and the server's CPU milliseconds for each good reply (PostgreSQL's not included). */
type Round = Slice & { cpuMs: number };

export type Throughput = {
  operation: string;
  gate: number | undefined;
  /** Replies a second of ours that do instead of the gate. */
  enoughPerSecond: number | undefined;
  servers: { label: string; rounds: Round[] }[];
  /** Ours over the better of the two stock servers, from the medians; NaN when it was not measured or something failed. */
  ratio: number;
  /** The same within each round: shows how much the machine's noise moves it. */
  ratioOfRounds: number[];
  /** What makes the ratio worthless. Empty when all is well. */
  failures: string[];
  /** What a reader should know, and no failure. */
  notes: string[];
};

export type LoadOptions = { rounds: number; seconds: number; connections: number };

/** Measures each operation on our server and on the stock one with 4 workers and with one, in alternation, all three up and on the same PostgreSQL. */
export async function measureThroughput(site: Site, names: string[], options: LoadOptions): Promise<Throughput[]> {
  // One after the other: on an empty database each would migrate.
  const ours = await startServer({ ...oursOnSharedPostgres, label: 'ours' }, site);
  const stockOne = await startServer(stock('stock 1 worker', { workers: 1, jobs: false }), site);
  const stockFour = await startServer(stock('stock 4 workers', { jobs: false }), site);
  const servers = [ours, stockFour, stockOne];
  await makeFixture(ours);
  await makeFixture(stockOne);
  const results: Throughput[] = [];
  for (const operation of operations.filter(({ name }) => names.includes(name))) {
    const result = await measureOperation(operation, servers, options);
    console.log(`  ${operation.name}: ${result.failures[0] ?? `${format(result.ratio)}x`}`);
    results.push(result);
  }
  for (const server of servers) await server.running.stop();
  return results;
}

async function measureOperation(operation: Operation, servers: Server[], options: LoadOptions): Promise<Throughput> {
  const result: Throughput = {
    operation: operation.name,
    gate: operation.gate,
    enoughPerSecond: operation.enoughPerSecond,
    servers: servers.map(({ label }) => ({ label, rounds: [] })),
    ratio: Number.NaN,
    ratioOfRounds: [],
    failures: [],
    notes: [],
  };
  try {
    const lanes = [];
    for (const [index, server] of servers.entries()) {
      lanes.push({ server, next: await operation.prepare(server), rounds: result.servers[index]?.rounds ?? [] });
    }
    const fields: Set<string>[] = [];
    for (const { server, next } of lanes) {
      fields.push(await fieldsOfReply(operation, server, next()));
      await applyLoad({ ...options, port: server.port, next, check: () => {}, seconds: WARM_UP_SECONDS });
    }
    const [oursHas = new Set<string>(), stockHas = new Set<string>()] = fields;
    const onlyIn = (one: Set<string>, other: Set<string>) => [...one].filter((field) => !other.has(field)).join(' ');
    if (onlyIn(oursHas, stockHas)) result.notes.push(`only our reply has ${onlyIn(oursHas, stockHas)}`);
    if (onlyIn(stockHas, oursHas)) result.notes.push(`only the stock reply has ${onlyIn(stockHas, oursHas)}`);
    for (let round = 0; round < options.rounds; round++) {
      for (const { server, next, rounds } of round % 2 === 0 ? lanes : lanes.toReversed()) {
        const cpuBefore = cpuSecondsOf(server.running.pid);
        const slice = await applyLoad({ ...options, port: server.port, next, check: (reply) => checkReply(operation, reply) });
        rounds.push({ ...slice, cpuMs: ((cpuSecondsOf(server.running.pid) - cpuBefore) * 1000) / slice.replies });
        for (const [failure, times] of Object.entries(slice.failures)) result.failures.push(`${server.label}, ${times} times: ${failure}`);
      }
    }
  } catch (error) {
    result.failures.push((error as Error).message);
  }
  if (result.failures.length === 0) {
    const [ours = [], ...others] = result.servers.map(({ rounds }) => rounds.map(({ perSecond }) => perSecond));
    result.ratio = median(ours) / Math.max(...others.map(median));
    result.ratioOfRounds = ours.map((perSecond, round) => perSecond / Math.max(...others.map((other) => other[round] ?? 0)));
  }
  return result;
}

/** The paths of all fields in one reply, so that a server which answers less does not pass for a fast one unseen. Throws unless the reply is right. */
async function fieldsOfReply(operation: Operation, server: Target, request: Buffer): Promise<Set<string>> {
  const connection = new Connection(server.port);
  const reply = await connection.send(request);
  connection.close();
  if (reply.status !== 200) throw new Error(`${server.label} answers ${reply.status}: ${reply.body.toString().slice(0, 200)}`);
  checkReply(operation, reply);
  const fieldsOf = (value: unknown, path: string): string[] => {
    if (Array.isArray(value)) return value.flatMap((item) => fieldsOf(item, `${path}[]`));
    if (typeof value !== 'object' || value === null) return [path];
    return Object.entries(value).flatMap(([name, inner]) => fieldsOf(inner, path ? `${path}.${name}` : name));
  };
  return new Set(operation.isRight ? fieldsOf(JSON.parse(reply.body.toString()), '') : []);
}

/** What the generator can drive at most: requests per second of a process that answers 400 bytes without reading the request. */
export async function measureCeiling(site: Site, { connections, seconds }: LoadOptions): Promise<number> {
  const port = await freePort();
  const responder = `
    const reply = Buffer.from('HTTP/1.1 200 OK\\r\\nContent-Length: 400\\r\\n\\r\\n' + 'x'.repeat(400));
    require('net').createServer((socket) => socket.setNoDelay(true).on('error', () => {}).on('data', () => socket.write(reply))).listen(${port}, '127.0.0.1');`;
  const logFile = path.join(site.folder, 'ceiling.log');
  const running = start({ command: process.execPath, args: ['-e', responder], cwd: site.folder, logFile });
  await waitUntil(() => isHealthy(port), running);
  const request = get({ label: 'ceiling', port }, '/health');
  const { perSecond, failures } = await applyLoad({ port, next: () => request, check: () => {}, connections, seconds });
  await running.stop();
  if (Object.keys(failures).length > 0) throw new Error(`the generator's own ceiling: ${JSON.stringify(failures)} ${tailOf(logFile)}`);
  return perSecond;
}

/** An operation that failed is a failed gate even where no ratio is asked of it. */
export function gatesOfThroughput(results: Throughput[], connections: number): Gate[] {
  return results.flatMap(({ operation, gate, enoughPerSecond, servers, ratio, failures }) => {
    const name = `${operation}, ${connections} connections`;
    if (failures.length > 0) return { name, needs: 'no failure', got: `${failures.length} kinds`, pass: false };
    if (gate === undefined) return [];
    const asked = atLeast(name, ratio, gate, 'x');
    if (enoughPerSecond === undefined) return asked;
    const ours = medianOf(servers[0]?.rounds ?? [], 'perSecond');
    const absolute = atLeast(name, ours, enoughPerSecond, '/s');
    return { name, needs: `${asked.needs} or ${absolute.needs}`, got: `${asked.got}, ${absolute.got}`, pass: asked.pass || absolute.pass };
  });
}

/** Rows for print: operation, server, req/s, p50, p99, CPU ms per request, ours over this server, ours over the better with its range. */
export function rowsOfThroughput(results: Throughput[]): string[][] {
  return results.flatMap(({ operation, servers, ratio, ratioOfRounds }) => {
    const ours = medianOf(servers[0]?.rounds ?? [], 'perSecond');
    return servers.map(({ label, rounds }, index) => [
      index === 0 ? operation : '',
      label,
      ...(['perSecond', 'p50', 'p99', 'cpuMs'] as const).map((field) => format(medianOf(rounds, field))),
      index === 0 ? '' : `${format(ours / medianOf(rounds, 'perSecond'))}x`,
      index === 0 && !Number.isNaN(ratio)
        ? `${format(ratio)}x (${format(Math.min(...ratioOfRounds))}..${format(Math.max(...ratioOfRounds))})`
        : '',
    ]);
  });
}

const medianOf = (rounds: Round[], field: 'perSecond' | 'p50' | 'p99' | 'cpuMs') => median(rounds.map((round) => round[field]));
