import { execFile } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { atEnd, cleanUpOnSignals, isEnding, runToEnd } from '../compat/servers/clean-up.ts';
import { openDatabases } from '../compat/servers/postgres.ts';
import type { Site } from '../compat/servers/servers.ts';
import { ensureVenv, findPython } from '../compat/servers/venv.ts';
import { gatesOfArtifactMemory, measureArtifactMemory } from './artifact-memory.ts';
import { gatesOfArtifacts, measureArtifacts } from './artifacts.ts';
import { buildBaseline } from './baseline.ts';
import { measureCeilings } from './ceiling.ts';
import { measureCost } from './cost.ts';
import { startBesideBaseline, startLanes } from './lanes.ts';
import { gatesOfLogin, measureLogin } from './login.ts';
import { operations } from './operations.ts';
import { lookUpConnections, type Options, readOptions } from './options.ts';
import { pictureOfResults, plainPageOf, writePage } from './page.ts';
import { measureProcesses } from './processes.ts';
import { format, printGates, printTable } from './report.ts';
import type { About, Results } from './results.ts';
import {
  type Section,
  sectionOfArtifactMemory,
  sectionOfArtifacts,
  sectionOfCost,
  sectionOfLargePromotion,
  sectionOfLookUps,
  sectionOfProcesses,
  sectionOfStarts,
  sectionOfTargets,
  sectionOfThroughput,
} from './sections.ts';
import { gatesOfLargePromotion, gatesOfResolving, measureLargePromotion, measureResolving } from './sharing.ts';
import { gatesOfStarts, measureStarts } from './starts.ts';
import { expectedMinutes, measureThroughput, type Throughput } from './throughput.ts';
import { gatesOfThroughput } from './throughput-report.ts';

const run = promisify(execFile);
const RESULTS = path.join(import.meta.dirname, 'results');

const NOTHING: Omit<Results, keyof About | 'options'> = {
  starts: [],
  cost: [],
  ceilings: [],
  throughput: [],
  processes: [],
  resolving: [],
  login: [],
  artifacts: [],
  gates: [],
};

async function main(): Promise<boolean> {
  const options = readOptions();
  if (options.from !== undefined) {
    const results = JSON.parse(await readFile(options.from, 'utf8')) as Results;
    if (options.write === undefined) process.stdout.write(`${plainPageOf(results)}\n`);
    else await writePage(options.write, results);
    return true;
  }
  if (options.write !== undefined) await access(options.write);
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

  // Not the PostgreSQL's URL, which may hold a password.
  const results: Results = { ...about, options: { ...options, postgres: undefined }, ...NOTHING };
  try {
    await measure(site, options, results);
  } finally {
    await keep(results);
  }
  if (results.gates.length > 0) printGates(results.gates);
  if (options.rounds < 3) console.log('Fewer than 3 rounds: good enough to try the bench, not to quote.');
  if (options.write !== undefined && !isEnding()) await writePage(options.write, results);
  return results.gates.every(({ pass }) => pass);
}

/** Measures what is asked for, part by part, into `results`, and prints each part when it is done. */
async function measure(site: Site, options: Options, results: Results): Promise<void> {
  const lookUps = { ...options, connections: lookUpConnections(options) };
  if (options.startup || options.memory) {
    results.starts = await measureStarts(site, options.rounds, options);
    print(sectionOfStarts(results));
  }
  if (options.cost) {
    results.cost = await measureCost(site);
    print(sectionOfCost(results));
  }
  if (options.operations.length > 0) {
    results.ceilings = await measureCeilings(site, options);
    results.throughput = await measureOperations(site, options);
    print(sectionOfThroughput(results));
    if (options.baseline === undefined) print(sectionOfTargets(results));
  }
  if (options.processes) {
    results.processes = await measureProcesses(site, options);
    print(sectionOfProcesses(results));
  }
  if (options.resolveShared) {
    results.resolving = await measureResolving(site, lookUps);
    print(sectionOfLookUps('resolving', results));
  }
  if (options.login) {
    results.login = await measureLogin(site, lookUps);
    print(sectionOfLookUps('login', results));
  }
  if (options.largePromotion) {
    results.largePromotion = await measureLargePromotion(site);
    print(sectionOfLargePromotion(results));
  }
  if (options.artifacts.length > 0) {
    results.artifacts = await measureArtifacts(site, options.artifacts, options.rounds);
    print(sectionOfArtifacts(results));
  }
  if (options.artifactMemory) {
    results.artifactMemory = await measureArtifactMemory(site);
    print(sectionOfArtifactMemory(results));
  }
  results.gates = [
    ...gatesOfStarts(results.starts, options),
    ...gatesOfThroughput(results.throughput),
    ...gatesOfThroughput(results.processes),
    ...gatesOfResolving(results.resolving),
    ...gatesOfLogin(results.login),
    ...(results.largePromotion ? gatesOfLargePromotion(results.largePromotion) : []),
    ...gatesOfArtifacts(results.artifacts),
    ...(results.artifactMemory ? gatesOfArtifactMemory(results.artifactMemory) : []),
  ];
}

async function measureOperations(site: Site, options: Options): Promise<Throughput[]> {
  const names = options.operations;
  const floors = operations.some(({ name, onFloor }) => onFloor && names.includes(name));
  const runners =
    options.baseline === undefined
      ? await startLanes(site, { floors })
      : await startBesideBaseline(site, await buildBaseline(options.baseline, site.folder));
  console.log(`Operations: about ${Math.ceil(expectedMinutes(runners, names, options))} minutes`);
  return measureThroughput(runners, names, options);
}

function print({ heading, columns, rows, notes }: Section): void {
  console.log(`\n${heading}`);
  printTable(columns, rows);
  for (const note of notes) console.log(`  ${note}`);
}

/** Keeps the figures of a run, with a page and a picture of them. */
async function keep(results: Results): Promise<void> {
  await mkdir(RESULTS, { recursive: true });
  const file = path.join(RESULTS, results.date.replaceAll(':', '-'));
  await writeFile(`${file}.json`, `${JSON.stringify(results, null, 2)}\n`);
  await writeFile(`${file}.md`, `${plainPageOf(results)}\n`);
  const picture = pictureOfResults(results);
  if (picture) await writeFile(`${file}.svg`, picture);
  console.log(`Written to ${path.relative(process.cwd(), file)}.json, .md${picture ? ' and .svg' : ''}`);
}

async function describeRun(mlflow: string, postgres: string): Promise<About> {
  const git = async (...args: string[]) =>
    (await run('git', ['--no-optional-locks', ...args], { cwd: import.meta.dirname }).catch(() => ({ stdout: '' }))).stdout.trim();
  const changed = (await git('status', '--porcelain', ':/src', ':/migrations')) === '' ? '' : ' with changes';
  return {
    date: `${new Date().toISOString().slice(0, 19)}Z`,
    commit: `${await git('rev-parse', '--short', 'HEAD')}${changed}`,
    mlflow: (await run(mlflow, ['--version'])).stdout.trim(),
    postgres,
    node: process.versions.node,
    processor: os.cpus()[0]?.model ?? '',
    cpus: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    loadAverage: os.loadavg(),
  };
}

await runToEnd('bench', main);
