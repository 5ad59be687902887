import { execFile } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { atEnd, cleanUp, cleanUpOnSignals, isEnding } from '../compat/servers/clean-up.ts';
import { openDatabases } from '../compat/servers/postgres.ts';
import { ensureVenv, findPython } from '../compat/servers/venv.ts';
import { operations } from './operations.ts';
import { format, printGates, printTable } from './report.ts';
import { gatesOfStarts, measureStarts, rowsOfStarts } from './starts.ts';
import { gatesOfThroughput, measureCeiling, measureThroughput, rowsOfThroughput } from './throughput.ts';

const run = promisify(execFile);
const operationNames = operations.map(({ name }) => name);
const PARTS = ['startup', 'memory', 'throughput', ...operationNames];

const HELP = `Measures our server against the stock mlflow server, side by side. Needs a build (npm run build) and Linux.

Usage: npm run bench -- [options]

  --only LIST        startup, memory, throughput (all operations), or operations by name:
                     ${operationNames.join(', ')}
                     [everything]
  --rounds N         starts and slices per server, in alternation [5]
  --seconds N        length of a slice [2]
  --connections N    connections that ask at once [16]
  --postgres URL     a PostgreSQL to make two databases in, dropped at the end [a cluster of its own]
  --mlflow PATH      the stock server's command, with psycopg2 beside it [installed once, in the user's cache]
  --help             prints this
`;

type Options = {
  startup: boolean;
  memory: boolean;
  operations: string[];
  rounds: number;
  seconds: number;
  connections: number;
  postgres: string | undefined;
  mlflow: string | undefined;
};

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: 'startup,memory,throughput' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      connections: { type: 'string', default: '16' },
      postgres: { type: 'string' },
      mlflow: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const parts = values.only.split(',');
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: not one of ${PARTS.join(', ')}`);
  const positive = (name: 'rounds' | 'seconds' | 'connections') => {
    const value = Number(values[name]);
    if (!(value > 0) || (name !== 'seconds' && !Number.isInteger(value)))
      throw new Error(`--${name} ${values[name]}: must be a number above 0`);
    return value;
  };
  return {
    startup: parts.includes('startup'),
    memory: parts.includes('memory'),
    operations: parts.includes('throughput') ? operationNames : operationNames.filter((name) => parts.includes(name)),
    rounds: positive('rounds'),
    seconds: positive('seconds'),
    connections: positive('connections'),
    postgres: values.postgres,
    mlflow: values.mlflow,
  };
}

async function main(): Promise<boolean> {
  const options = readOptions();
  await access(path.join(import.meta.dirname, '../dist/cli.js')).catch(() => {
    throw new Error('there is no dist/cli.js: run npm run build first');
  });
  cleanUpOnSignals();
  const mlflow = options.mlflow ?? path.join(path.dirname(await ensureVenv('mlflow-3.17.2', await findPython())), 'mlflow');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'model-commons-bench-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755); // PostgreSQL reads its folder below as another user
  const databases = await openDatabases(options.postgres, folder);
  const site = { databases, mlflow, folder };
  const about = await describeRun(mlflow, databases.version);
  console.log(`${about.date}  commit ${about.commit}  ${about.mlflow}  PostgreSQL ${about.postgres}  Node ${about.node}`);
  console.log(
    `${about.cpus} cores, ${about.memoryGiB} GiB, load ${about.loadAverage.map(format).join(' ')}: shared, so quote ratios only\n`,
  );

  const starts = options.startup || options.memory ? await measureStarts(site, options.rounds, options) : [];
  if (starts.length > 0) {
    console.log(`\nStarts, ${options.rounds} of each in alternation, medians (stock as shipped: default workers, jobs on)`);
    const columns = ['server', 'first s', 'start s', 'range', 'sooner'];
    printTable(options.memory ? [...columns, 'processes', 'RSS MiB', 'PSS MiB', 'less RSS'] : columns, rowsOfStarts(starts));
  }

  const measured = options.operations.length > 0;
  const ceiling = measured ? await measureCeiling(site, options) : Number.NaN;
  const throughput = measured ? await measureThroughput(site, options.operations, options) : [];
  if (measured) {
    console.log(
      `\nThroughput, ${options.connections} connections, ${options.rounds} rounds of ${options.seconds} s in alternation, medians`,
    );
    console.log(`The generator's own ceiling: ${format(ceiling)} req/s`);
    const columns = ['operation', 'server', 'req/s', 'p50 ms', 'p99 ms', 'CPU ms/req', 'ours over it', 'ours over the better'];
    printTable(columns, rowsOfThroughput(throughput));
    for (const { operation, failures, notes } of throughput)
      for (const text of [...failures, ...notes]) console.log(`  ${operation}: ${text}`);
  }

  const gates = [...gatesOfStarts(starts, options), ...gatesOfThroughput(throughput, options.connections)];
  printGates(gates);
  if (options.rounds < 3) console.log('Fewer than 3 rounds: good enough to try the bench, not to quote.');
  const results = path.join(import.meta.dirname, 'results');
  await mkdir(results, { recursive: true });
  const file = path.join(results, `${about.date.replaceAll(':', '-')}.json`);
  // Not the PostgreSQL's URL, which may hold a password.
  const { postgres: _, ...kept } = options;
  await writeFile(file, `${JSON.stringify({ ...about, options: kept, starts, ceiling, throughput, gates }, null, 2)}\n`);
  console.log(`Written to ${path.relative(process.cwd(), file)}`);
  return gates.every(({ pass }) => pass);
}

async function describeRun(mlflow: string, postgres: string) {
  const git = async (...args: string[]) =>
    (await run('git', ['--no-optional-locks', ...args], { cwd: import.meta.dirname }).catch(() => ({ stdout: '' }))).stdout.trim();
  const changed = (await git('status', '--porcelain', ':/src', ':/migrations')) === '' ? '' : ' with changes';
  return {
    date: `${new Date().toISOString().slice(0, 19)}Z`,
    commit: `${await git('rev-parse', '--short', 'HEAD')}${changed}`,
    mlflow: (await run(mlflow, ['--version'])).stdout.trim(),
    postgres,
    node: process.versions.node,
    cpus: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    loadAverage: os.loadavg(),
  };
}

let passed = false;
try {
  passed = await main();
} catch (error) {
  if (!isEnding()) console.error(`bench: ${(error as Error).message}`);
}
await cleanUp();
process.exit(passed ? 0 : 1);
