import { cpuSecondsOf, cpuSecondsOfPostgres, postmasterOf } from '../compat/servers/processes.ts';
import { ensureFixture } from './fixture.ts';
import type { Role, Runner } from './lanes.ts';
import { applyLoad, Connection, type Slice } from './load.ts';
import { checkReply, type Operation, operations, type Prepared } from './operations.ts';
import { medianOf } from './ratios.ts';
import { format } from './report.ts';
import type { Target } from './requests.ts';

const WARM_UP_SECONDS = 0.7;
const FLOORS: Role[] = ['express', 'bare'];

/** A slice, and the CPU milliseconds for each good reply: the server's, and PostgreSQL's. */
export type Round = Slice & { cpuMs: number; postgresMs: number };
export type Lane = { label: string; role: Role; rounds: Round[] };

export type Throughput = {
  operation: string;
  connections: number;
  /** Ours first. */
  lanes: Lane[];
  /** What makes the figures worthless: an answer of ours or of a floor that was not right. Empty when all is well. */
  failures: string[];
  /** What a reader should know, and no failure of ours. */
  notes: string[];
};

export type LoadOptions = { rounds: number; seconds: number; connections: number };
export type ThroughputOptions = { rounds: number; seconds: number; connections: number[] };

const canAnswer = (operation: Operation, { role }: Runner): boolean => operation.onFloor || !FLOORS.includes(role);

/** Minutes that `measureThroughput` takes, about: a stock server is waited for longer than a slice. */
export function expectedMinutes(runners: Runner[], names: string[], { rounds, seconds, connections }: ThroughputOptions): number {
  const lanes = operations.filter(({ name }) => names.includes(name)).flatMap((one) => runners.filter((runner) => canAnswer(one, runner)));
  return (lanes.length * connections.length * (rounds * (seconds + 0.6) + WARM_UP_SECONDS)) / 60;
}

/** Measures each operation with each number of connections on all servers, which take turns, and stops these. */
export async function measureThroughput(runners: Runner[], names: string[], options: ThroughputOptions): Promise<Throughput[]> {
  for (const { server, role, database } of runners) await ensureFixture(server, FLOORS.includes(role) ? 'floor' : database);
  const results: Throughput[] = [];
  for (const operation of operations.filter(({ name }) => names.includes(name))) {
    results.push(...(await measureOperation(operation, runners, options)));
  }
  for (const { server } of runners) await server.running.stop();
  return results;
}

type Prepare = { runner: Runner; prepared: Prepared; good: number };

async function measureOperation(operation: Operation, runners: Runner[], options: ThroughputOptions): Promise<Throughput[]> {
  const able = runners.filter((runner) => canAnswer(operation, runner));
  const results = options.connections.map((connections): Throughput => {
    const lanes = able.map(({ server: { label }, role }) => ({ label, role, rounds: [] }));
    return { operation: operation.name, connections, lanes, failures: [], notes: [] };
  });
  try {
    const lanes: Prepare[] = [];
    for (const runner of able) lanes.push({ runner, prepared: await operation.prepare(runner.server), good: 0 });
    const notes = await compareFields(operation, lanes);
    for (const result of results) {
      result.notes.push(...notes);
      await measureWith(result, operation, lanes, options);
      console.log(
        `  ${operation.name}, ${result.connections} connections: ${result.failures[0] ?? `${format(medianOf(result.lanes[0], 'perSecond'))}/s`}`,
      );
    }
    for (const { runner, prepared, good } of lanes) {
      if (FLOORS.includes(runner.role)) continue; // it has no search to verify by
      await prepared.verify?.(good).catch((error: Error) => tell(results.at(-1), runner, error.message));
    }
  } catch (error) {
    for (const { lanes, failures } of results) if (lanes[0]?.rounds.length !== options.rounds) failures.push((error as Error).message);
  }
  return results;
}

async function measureWith(result: Throughput, operation: Operation, lanes: Prepare[], options: ThroughputOptions): Promise<void> {
  const { connections } = result;
  for (const lane of lanes) {
    const { port } = lane.runner.server;
    const { replies } = await applyLoad({ port, next: lane.prepared.next, check: () => {}, connections, seconds: WARM_UP_SECONDS });
    lane.good += replies;
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, lane] of alternated([...lanes.entries()], round)) {
      const { server, database } = lane.runner;
      const postmaster = postmasterOf(database);
      const postgres = () => (postmaster === undefined ? Number.NaN : cpuSecondsOfPostgres(postmaster));
      const before = { cpu: cpuSecondsOf(server.running.pid), postgres: postgres() };
      const check = (reply: Parameters<typeof checkReply>[1]) => checkReply(operation, reply);
      const slice = await applyLoad({ port: server.port, next: lane.prepared.next, check, connections, seconds: options.seconds });
      lane.good += slice.replies;
      result.lanes[index]?.rounds.push({
        ...slice,
        cpuMs: ((cpuSecondsOf(server.running.pid) - before.cpu) * 1000) / slice.replies,
        postgresMs: ((postgres() - before.postgres) * 1000) / slice.replies,
      });
    }
  }
  for (const [index, { runner }] of lanes.entries()) {
    const times = new Map<string, number>();
    for (const [failure, count] of result.lanes[index]?.rounds.flatMap((round) => Object.entries(round.failures)) ?? [])
      times.set(failure, (times.get(failure) ?? 0) + count);
    for (const [failure, count] of times) tell(result, runner, `${count} times: ${failure}`);
  }
}

const alternated = <T>(list: T[], round: number): T[] => (round % 2 === 0 ? list : list.toReversed());

/** A wrong answer of the stock server is not our failure: the rounds that have one do not count. */
function tell(result: Throughput | undefined, { server, role }: Runner, what: string): void {
  result?.[role === 'stock' ? 'notes' : 'failures'].push(`${server.label}, ${what}`);
}

/** Says which fields only our reply has, and which only the stock one, so that a server which answers less does not pass for a fast one unseen. */
async function compareFields(operation: Operation, lanes: Prepare[]): Promise<string[]> {
  const fields = new Map<Role, Set<string>>();
  for (const lane of lanes) {
    fields.set(lane.runner.role, await fieldsOfReply(operation, lane.runner.server, lane.prepared.next()));
    lane.good++;
  }
  const ours = fields.get('ours') ?? new Set();
  const stock = fields.get('stock') ?? ours;
  const onlyIn = (one: Set<string>, other: Set<string>) => [...one].filter((field) => !other.has(field)).join(' ');
  return [
    ...(onlyIn(ours, stock) ? [`only our reply has ${onlyIn(ours, stock)}`] : []),
    ...(onlyIn(stock, ours) ? [`only the stock reply has ${onlyIn(stock, ours)}`] : []),
  ];
}

/** The paths of all fields in one reply. Throws unless the reply is right. */
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
