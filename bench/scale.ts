import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { atEnd, cleanUpOnSignals, runToEnd } from '../compat/servers/clean-up.ts';
import { openDatabases } from '../compat/servers/postgres.ts';
import { oursOnSharedPostgres, type Server, type Site, startServer } from '../compat/servers/servers.ts';
import { COMMON_TAG, type FilledModel, type Filling, fill, fillingOf, INFIX, PREFIX, RARE_TAG, SMALL_WORKSPACE } from './fill.ts';
import { applyLoad } from './load.ts';
import { atMost, format, type Gate, printGates, printTable } from './report.ts';
import { call, get, sendJson } from './requests.ts';
import { median } from './statistics.ts';

const API = '/api/2.0/mlflow';
const FLAT = 1.5;
const NEARLY_FLAT = 3;
const WARM_UP_SECONDS = 1;

type Filled = { server: Server; filling: Filling };

/** An operation that is timed at every size: what asks for it, and what a right reply has. */
type Operation = {
  name: string;
  most: number;
  prepare(filled: Filled, smallest: Filling): Promise<() => Buffer>;
  isRight?(json: Reply): boolean;
};

type Reply = {
  model_version?: { name: string };
  model_versions?: unknown[];
  registered_models?: unknown[];
  runs?: unknown[];
  next_page_token?: string;
};

const oneOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;
const oneUpTo = (most: number) => String(1 + Math.floor(Math.random() * most));

const searchesModels = ({ server }: Filled, query: Record<string, string>) => get(server, `${API}/registered-models/search`, query);
const searchesVersions = ({ server }: Filled, query: Record<string, string>) => get(server, `${API}/model-versions/search`, query);
const PAGE = 20;
const page = { max_results: String(PAGE) };
const hasModels = (json: Reply) => json.registered_models?.length === PAGE;
const hasVersions = (json: Reply) => json.model_versions?.length === PAGE;

const OPERATIONS: Operation[] = [
  {
    name: 'get by alias',
    most: FLAT,
    prepare:
      async ({ server, filling }) =>
      () =>
        get(server, `${API}/registered-models/alias`, { name: oneOf(filling.models).name, alias: 'champion' }),
    isRight: (json) => json.model_version !== undefined,
  },
  {
    name: 'get version',
    most: FLAT,
    prepare:
      async ({ server, filling }) =>
      () => {
        const { name, versions } = oneOf(filling.models);
        return get(server, `${API}/model-versions/get`, { name, version: oneUpTo(versions) });
      },
    isRight: (json) => json.model_version !== undefined,
  },
  {
    name: 'newest by search',
    most: FLAT,
    prepare: async (filled) => () =>
      searchesVersions(filled, {
        filter: `name='${oneOf(filled.filling.models).name}'`,
        order_by: 'version_number DESC',
        max_results: '1',
      }),
    isRight: (json) => json.model_versions?.length === 1,
  },
  {
    name: 'newest by search, of the largest model',
    most: FLAT,
    prepare: async (filled) => () =>
      searchesVersions(filled, {
        filter: `name='${filled.filling.grown.at(-1)?.name}'`,
        order_by: 'version_number DESC',
        max_results: '1',
      }),
    isRight: (json) => json.model_versions?.length === 1,
  },
  {
    name: 'models by name prefix',
    most: FLAT,
    prepare: async (filled) => () => searchesModels(filled, { filter: `name LIKE '${PREFIX}%'`, ...page }),
    isRight: hasModels,
  },
  {
    name: 'models by infix',
    most: NEARLY_FLAT,
    prepare: async (filled) => () => searchesModels(filled, { filter: `name LIKE '%${INFIX}%'`, ...page }),
    isRight: hasModels,
  },
  {
    name: 'versions by a rare tag',
    most: FLAT,
    prepare: async (filled) => () => searchesVersions(filled, { filter: `tags.${RARE_TAG.key} = '${RARE_TAG.value}'`, ...page }),
    isRight: hasVersions,
  },
  {
    name: 'versions by a tag of one version',
    most: FLAT,
    async prepare(filled) {
      const commits = await commitsOf(filled);
      return () => searchesVersions(filled, { filter: `tags.git_commit = '${oneOf(commits)}'` });
    },
    isRight: (json) => json.model_versions?.length === 1,
  },
  {
    name: 'versions by a common tag (2 %)',
    most: NEARLY_FLAT,
    prepare: async (filled) => () => searchesVersions(filled, { filter: `tags.${COMMON_TAG.key} = '${COMMON_TAG.value}'`, ...page }),
    isRight: hasVersions,
  },
  {
    name: 'all models, 100 a page',
    most: FLAT,
    prepare: async (filled, smallest) => () => searchesModels(filled, { max_results: String(Math.min(100, smallest.models.length)) }),
    isRight: (json) => (json.registered_models?.length ?? 0) > 0,
  },
  {
    name: 'all versions, 100 a page',
    most: FLAT,
    prepare: async (filled) => () => searchesVersions(filled, { max_results: '100' }),
    isRight: (json) => json.model_versions?.length === 100,
  },
  {
    name: 'all versions of a small workspace',
    most: FLAT,
    prepare:
      async ({ server }) =>
      () =>
        get(server, `/workspaces/${SMALL_WORKSPACE}${API}/model-versions/search`, { max_results: '5' }),
    isRight: (json) => json.model_versions?.length === 5,
  },
  {
    name: 'all models, page at 99 %',
    most: FLAT,
    async prepare(filled, smallest) {
      const token = await tokenAt99Percent(filled, searchesModels, filled.filling.models.length, 1000);
      return () => searchesModels(filled, { max_results: String(Math.ceil(smallest.models.length / 100)), page_token: token });
    },
    isRight: (json) => (json.registered_models?.length ?? 0) > 0,
  },
  {
    name: 'all versions, page at 99 %',
    most: FLAT,
    async prepare(filled, smallest) {
      const token = await tokenAt99Percent(filled, searchesVersions, filled.filling.versions, 10_000);
      return () => searchesVersions(filled, { max_results: String(Math.ceil(smallest.versions / 200)), page_token: token });
    },
    isRight: (json) => (json.model_versions?.length ?? 0) > 0,
  },
];

/** Of runs there are a tenth as many as versions, at least a thousand. */
const RUN_OPERATIONS: Operation[] = [
  { name: 'runs of an experiment', filter: '' },
  { name: 'runs by a metric (half of them)', filter: 'metrics.rmse < 0.5' },
  { name: 'runs by a rare tag', filter: `tags.${RARE_TAG.key} = '${RARE_TAG.value}'` },
].map(({ name, filter }) => ({
  name,
  most: FLAT,
  async prepare({ server }) {
    const { experiment } = (await call(server, get(server, `${API}/experiments/get-by-name`, { experiment_name: 'large' }))) as {
      experiment: { experiment_id: string };
    };
    const request = sendJson('POST', server, `${API}/runs/search`, {
      experiment_ids: [experiment.experiment_id],
      filter,
      max_results: PAGE,
    });
    return () => request;
  },
  isRight: (json) => (json.runs?.length ?? 0) > PAGE / 2,
}));

/** What must not grow with the versions of one model. */
const MODEL_OPERATIONS: { name: string; ask(server: Server, model: FilledModel): Buffer }[] = [
  { name: 'get registered model', ask: (server, { name }) => get(server, `${API}/registered-models/get`, { name }) },
  {
    name: 'set alias',
    ask: (server, { name, versions }) =>
      sendJson('POST', server, `${API}/registered-models/alias`, { name, alias: 'candidate', version: oneUpTo(versions) }),
  },
  {
    name: 'set version tag',
    ask: (server, { name, versions }) =>
      sendJson('POST', server, `${API}/model-versions/set-tag`, { name, version: oneUpTo(versions), key: 'note', value: oneUpTo(1000) }),
  },
];

/** Some values of `git_commit` that there are. */
async function commitsOf(filled: Filled): Promise<string[]> {
  const reply = await call(filled.server, searchesVersions(filled, { max_results: '100' }));
  const found = reply.model_versions as { tags: { key: string; value: string }[] }[];
  return found.flatMap(({ tags }) => tags.filter(({ key }) => key === 'git_commit').map(({ value }) => value));
}

/** Walks to the last hundredth of a listing of `total`; gives the token it begins with. */
async function tokenAt99Percent(
  filled: Filled,
  searches: (filled: Filled, query: Record<string, string>) => Buffer,
  total: number,
  most: number,
): Promise<string> {
  let left = Math.floor(total * 0.99);
  let token: string | undefined;
  while (left > 0) {
    const limit = Math.min(left, most);
    const reply = await call(
      filled.server,
      searches(filled, { max_results: String(limit), ...(token !== undefined && { page_token: token }) }),
    );
    token = reply.next_page_token as string;
    left -= limit;
  }
  return token ?? '';
}

type Timing = { name: string; most: number /** p50 in ms of each round, by column. */; p50: Record<string, number[]> };

/** Asks on one connection, column after column, so that a busy moment meets all. Throws at the first wrong reply. */
async function timeColumns(
  columns: { label: string; server: Server; next(): Buffer }[],
  isRight: ((json: Reply) => boolean) | undefined,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Timing['p50']> {
  const p50: Timing['p50'] = Object.fromEntries(columns.map(({ label }) => [label, []]));
  const check = ({ body }: { body: Buffer }) => {
    if (isRight && !isRight(JSON.parse(body.toString()))) throw new Error(`a wrong reply: ${body.toString().slice(0, 200)}`);
  };
  for (let round = -1; round < rounds; round++) {
    for (const { label, server, next } of round % 2 === 0 ? columns : columns.toReversed()) {
      const measured = await applyLoad({ port: server.port, next, check, connections: 1, seconds: round < 0 ? WARM_UP_SECONDS : seconds });
      const [failure] = Object.keys(measured.failures);
      if (failure !== undefined) throw new Error(`${label}: ${failure}`);
      if (round >= 0) p50[label]?.push(measured.p50);
    }
  }
  return p50;
}

/** The median over the rounds of how many times as long one column took as another. */
const timesAsLong = ({ p50 }: Timing, column: string, over: string): number =>
  median((p50[column] ?? []).map((each, round) => each / (p50[over]?.[round] ?? Number.NaN)));

function print(timings: Timing[], labels: string[], first: string): void {
  const header = [
    'operation',
    ...labels.map((label) => `${label} ms`),
    ...labels.filter((label) => label !== first).map((label) => `${label} over ${first}`),
  ];
  printTable(
    header,
    timings.map((timing) => [
      timing.name,
      ...labels.map((label) => format(median(timing.p50[label] ?? []))),
      ...labels.filter((label) => label !== first).map((label) => `${format(timesAsLong(timing, label, first))}x`),
    ]),
  );
}

const HELP = `Times our server on registries of several sizes, in alternation, one connection at a time. Needs a build (npm run build).

Usage: npm run bench:scale -- [options]

  --sizes LIST       versions of the registries, the smallest first [1000,100000,1000000]
  --rounds N         slices of each operation at each size [5]
  --seconds N        length of a slice [1]
  --only TEXT        operations whose name has it
  --postgres URL     a PostgreSQL to make the databases in, dropped at the end, as a superuser [a cluster of its own]
  --help             prints this
`;

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      sizes: { type: 'string', default: '1000,100000,1000000' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      postgres: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return true;
  }
  const options = { rounds: Number(values.rounds), seconds: Number(values.seconds) };
  const wanted = ({ name }: { name: string }) => name.includes(values.only);
  cleanUpOnSignals();
  const folder = await mkdtemp(path.join(os.tmpdir(), 'model-commons-scale-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755); // PostgreSQL reads its folder below as another user
  const databases = await openDatabases(values.postgres, folder);
  const filled: Filled[] = [];
  for (const size of values.sizes.split(',').map(Number)) filled.push(await startFilled({ databases, mlflow: '', folder }, size));
  const [smallest, largest] = [filled[0], filled.at(-1)];
  if (!smallest || !largest) throw new Error('--sizes: name at least one');

  const timings: Timing[] = [];
  for (const operation of [...OPERATIONS, ...RUN_OPERATIONS].filter(wanted)) {
    const columns = [];
    for (const each of filled)
      columns.push({ label: labelOf(each), server: each.server, next: await operation.prepare(each, smallest.filling) });
    timings.push({ ...operation, p50: await timeColumns(columns, operation.isRight, options) });
  }
  const inOneModel: Timing[] = [];
  const { server, filling } = largest;
  for (const { name, ask } of MODEL_OPERATIONS.filter(wanted)) {
    const columns = filling.grown.map((model) => ({ label: String(model.versions), server, next: () => ask(server, model) }));
    inOneModel.push({ name, most: FLAT, p50: await timeColumns(columns, undefined, options) });
  }

  console.log(
    `\np50 at 1 connection by versions in the registry, ${options.rounds} rounds of ${options.seconds} s in alternation, medians`,
  );
  print(timings, filled.map(labelOf), labelOf(smallest));
  const counts = filling.grown.map(({ versions }) => String(versions));
  const [fewest = '', most = ''] = [counts[0], counts.filter((count) => Number(count) <= 10_000).at(-1)];
  console.log('The same by versions of the one model it is about, in the largest registry');
  print(inOneModel, counts, fewest);
  const gates: Gate[] = [
    ...timings.map((timing) =>
      atMost(
        `${timing.name}, ${labelOf(largest)} over ${labelOf(smallest)}`,
        timesAsLong(timing, labelOf(largest), labelOf(smallest)),
        timing.most,
        'x',
      ),
    ),
    ...inOneModel.map((timing) =>
      atMost(`${timing.name}, ${most} versions over ${fewest}`, timesAsLong(timing, most, fewest), timing.most, 'x'),
    ),
  ];
  printGates(gates);
  const results = path.join(import.meta.dirname, 'results');
  await mkdir(results, { recursive: true });
  const file = path.join(results, `scale-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}Z.json`);
  await writeFile(file, `${JSON.stringify({ postgres: databases.version, ...options, timings, inOneModel, gates }, null, 2)}\n`);
  console.log(`Written to ${path.relative(process.cwd(), file)}`);
  return gates.every(({ pass }) => pass);
}

const labelOf = ({ filling }: Filled) => String(filling.versions);

/** A server of ours on a database of its own, which is filled once the server has made its tables. */
async function startFilled(site: Site, size: number): Promise<Filled> {
  const filling = fillingOf(size);
  const name = `scale_${process.pid}_${size}`;
  const admin = new pg.Client({ connectionString: site.databases.ours });
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  atEnd(async () => {
    const client = new pg.Client({ connectionString: site.databases.ours });
    await client.connect();
    await client.query(`drop database if exists ${name} with (force)`);
    await client.end();
  });
  const url = Object.assign(new URL(site.databases.ours), { pathname: `/${name}` }).href;
  const folder = path.join(site.folder, String(size));
  await mkdir(folder);
  const startedAt = performance.now();
  const server = await startServer(oursOnSharedPostgres, { ...site, databases: { ...site.databases, ours: url }, folder });
  await fill(url, filling);
  console.log(`Filled with ${size} versions in ${format((performance.now() - startedAt) / 1000)} s`);
  return { server, filling };
}

await runToEnd('bench', main);
