import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuSecondsOf, cpuSecondsOfPostgres } from '../compat/servers/processes.ts';
import { destroyDataDir, makeDataDir, startServer } from '../test/helpers/process.ts';
import { query, startWithReplica } from '../test/helpers/replica.ts';
import { applyLoad } from './load.ts';
import { format, printTable } from './report.ts';
import { API, callAll, get, post, sendJson, type Target } from './requests.ts';
import { median } from './statistics.ts';

/**
 * What requests cost in processor time, write-ahead log and rows, with and without a read replica: the figures of docs/scale.md. Sources, PostgreSQL and load
 * share the machine, so compare lanes, and CPU rather than throughput.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '16,1' },
    versions: { type: 'string', default: '5000' },
    only: { type: 'string', default: '' },
  },
});
const MODELS = Array.from({ length: 200 }, (_, i) => `model-${i}`);
// Long, since what was compiled by use counts for more than a replica does.
const WARM_UP_SECONDS = 5;

let turn = 0;
const nextModel = () => MODELS[turn++ % MODELS.length] as string;
const OPERATIONS: Record<string, (target: Target) => Buffer> = {
  'get by alias': (target) => get(target, `${API}/registered-models/alias`, { name: nextModel(), alias: 'champion' }),
  'newest version by search': (target) =>
    get(target, `${API}/model-versions/search`, {
      filter: `name = '${nextModel()}'`,
      order_by: 'version_number DESC',
      max_results: '1',
    }),
  'set alias': (target) =>
    post(target, `${API}/registered-models/alias`, { name: nextModel(), alias: 'champion', version: String(1 + (turn % 5)) }),
  'set version tag': (target) =>
    post(target, `${API}/model-versions/set-tag`, { name: nextModel(), version: '1', key: 'state', value: String(turn) }),
  'create version': (target) => post(target, `${API}/model-versions/create`, { name: nextModel(), source: `s3://bucket/models/${turn}` }),
};

const postgres = await startWithReplica();
const { primaryUrl, replicaUrl, postmasters } = postgres;
const dataDir = await makeDataDir();
const one = async (url: string, sql: string) => Number((await query<{ value: string }>(url, sql))[0]?.value);
const launched: { killGroup(signal: NodeJS.Signals): void }[] = [];
const start = async (label: string, ...flags: string[]) => {
  const server = await startServer(dataDir, ['--database-url', primaryUrl, ...flags]);
  launched.push(server);
  return { label, pid: server.pid, port: Number(new URL(server.url).port) };
};

try {
  const servers = [await start('no replica'), await start('a replica', '--database-replica-urls', replicaUrl)] as const;
  const [target] = servers;
  await callAll(
    target,
    MODELS.map((name) => post(target, `${API}/registered-models/create`, { name })),
  );
  const createVersion = (name: string, i: number) =>
    sendJson('POST', target, `${API}/model-versions/create`, {
      name,
      source: `s3://models-of-the-company/${name}/${i}/artifacts/model`,
      run_id: `${i}`.padStart(32, '0'),
      description: 'Trained by the nightly job',
      tags: [
        { key: 'git_commit', value: `${i}`.padStart(40, '0') },
        { key: 'team', value: 'demand' },
      ],
    });
  const many = Number(values.versions);
  await callAll(
    target,
    Array.from({ length: 5 * MODELS.length }, (_, i) => createVersion(MODELS[i % MODELS.length] as string, i)),
  );
  await callAll(
    target,
    MODELS.map((name) => post(target, `${API}/registered-models/alias`, { name, alias: 'champion', version: '1' })),
  );
  const size = () =>
    one(
      primaryUrl,
      "select sum(pg_total_relation_size(c.oid)) as value from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace",
    );
  await query(primaryUrl, 'vacuum full');
  const before = await size();
  await callAll(
    target,
    Array.from({ length: many }, (_, i) => createVersion(MODELS[i % MODELS.length] as string, i)),
  );
  const grown = await size();
  console.log(`\n${many} versions with a description and two tags: ${format((grown - before) / many)} bytes each, rows and indexes\n`);
  await sleep(3000);

  const walAt = () => one(primaryUrl, "select pg_current_wal_insert_lsn() - '0/0' as value");
  const cpuOf = (pid: number) => ({
    node: cpuSecondsOf(pid),
    primary: cpuSecondsOfPostgres(postmasters.primary ?? 0),
    replica: cpuSecondsOfPostgres(postmasters.replica ?? 0),
  });
  for (const connections of values.connections.split(',').map(Number)) {
    const rows: string[][] = [];
    for (const [operation, request] of Object.entries(OPERATIONS).filter(([name]) => name.includes(values.only))) {
      const lanes = servers.map((server) => ({ server, slices: [] as number[][] }));
      for (let round = 0; round <= Number(values.rounds); round++) {
        for (const { server, slices } of round % 2 === 0 ? lanes : lanes.toReversed()) {
          const [wal, cpu] = [await walAt(), cpuOf(server.pid)];
          const slice = await applyLoad({
            port: server.port,
            next: () => request(server),
            check: () => {},
            connections,
            seconds: round === 0 ? WARM_UP_SECONDS : Number(values.seconds),
          });
          const [walAfter, cpuAfter] = [await walAt(), cpuOf(server.pid)];
          if (Object.keys(slice.failures).length > 0) throw new Error(`${operation}: ${JSON.stringify(slice.failures)}`);
          const perRequest = (amount: number) => amount / slice.replies;
          const ms = (part: keyof typeof cpu) => perRequest((cpuAfter[part] - cpu[part]) * 1000);
          if (round > 0)
            slices.push([slice.perSecond, slice.p50, slice.p99, ms('node'), ms('primary'), ms('replica'), perRequest(walAfter - wal)]);
        }
      }
      for (const [index, { server, slices }] of lanes.entries())
        rows.push([
          index === 0 ? operation : '',
          server.label,
          ...(slices[0] ?? []).map((_, column) => format(median(slices.map((slice) => slice[column] as number)))),
        ]);
    }
    console.log(`${connections} connection${connections === 1 ? '' : 's'}: medians of ${values.rounds} rounds`);
    printTable(['operation', 'with', 'req/s', 'p50 ms', 'p99 ms', 'node CPU ms', 'primary CPU ms', 'replica CPU ms', 'WAL bytes'], rows);
  }
  const connected = "select count(*) as value from pg_stat_activity where application_name = 'model-commons'";
  console.log(
    `connections of both servers: ${await one(primaryUrl, connected)} to the primary, ${await one(replicaUrl, connected)} to the replica`,
  );
} finally {
  for (const { killGroup } of launched) killGroup('SIGKILL');
  await postgres.stop();
  await destroyDataDir(dataDir);
}
