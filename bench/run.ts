import { execFile } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { atEnd, cleanUp, cleanUpOnSignals, isEnding } from '../compat/servers/clean-up.ts';
import { openDatabases } from '../compat/servers/postgres.ts';
import { ensureVenv, findPython } from '../compat/servers/venv.ts';
import { tableOfLookUps } from './aliases.ts';
import { gatesOfArtifactMemory, measureArtifactMemory, tableOfArtifactMemory } from './artifact-memory.ts';
import { ARTIFACT_CONNECTIONS, gatesOfArtifacts, measureArtifacts, tableOfArtifacts } from './artifacts.ts';
import { gatesOfLogin, measureLogin } from './login.ts';
import { readOptions } from './options.ts';
import { format, printGates, printTable } from './report.ts';
import { gatesOfLargePromotion, gatesOfResolving, measureLargePromotion, measureResolving } from './sharing.ts';
import { gatesOfStarts, measureStarts, rowsOfStarts } from './starts.ts';
import { gatesOfThroughput, measureCeiling, measureThroughput, rowsOfThroughput } from './throughput.ts';

const run = promisify(execFile);
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

  const resolving = options.resolveShared ? await measureResolving(site, options) : [];
  const login = options.login ? await measureLogin(site, options) : [];
  for (const lookUps of [resolving, login].filter(({ length }) => length > 0)) {
    console.log(
      `\nThe version of an alias, ${options.connections} connections, ${options.rounds} rounds of ${options.seconds} s in alternation, medians`,
    );
    printTable(['way', 'req/s', 'p50 ms', 'CPU ms/req', 'CPU over first', 'time over first'], tableOfLookUps(lookUps));
  }
  const largePromotion = options.largePromotion ? await measureLargePromotion(site) : undefined;
  if (largePromotion) {
    const { uploadSeconds, promotionSeconds, addedBytes } = largePromotion;
    console.log(
      `\n2 GiB: uploaded in ${format(uploadSeconds)} s, promoted in ${format(promotionSeconds * 1000)} ms, which added ${addedBytes} bytes of files`,
    );
  }

  const artifacts = options.artifacts.length > 0 ? await measureArtifacts(site, options.artifacts, options.rounds) : [];
  if (artifacts.length > 0) {
    console.log(`\nArtifacts, ${ARTIFACT_CONNECTIONS} connections, ${options.rounds} rounds in alternation, medians`);
    printTable(['row', 'server', 'MiB/s', 'files/s', 'ms', 'CPU ms/req', 'ours over it'], tableOfArtifacts(artifacts));
    for (const { row, failure } of artifacts) if (failure) console.log(`  ${row.name}: ${failure}`);
  }
  const artifactMemory = options.artifactMemory ? await measureArtifactMemory(site) : undefined;
  if (artifactMemory) {
    console.log(`\nMemory while 10 GiB pass through, up and down, MiB; it took ${format(artifactMemory.seconds)} s`);
    printTable(['memory', 'before', 'most', 'after', 'growth'], tableOfArtifactMemory(artifactMemory));
  }

  const gates = [
    ...gatesOfStarts(starts, options),
    ...gatesOfThroughput(throughput, options.connections),
    ...gatesOfResolving(resolving),
    ...gatesOfLogin(login),
    ...(largePromotion ? gatesOfLargePromotion(largePromotion) : []),
    ...gatesOfArtifacts(artifacts),
    ...(artifactMemory ? gatesOfArtifactMemory(artifactMemory) : []),
  ];
  printGates(gates);
  if (options.rounds < 3) console.log('Fewer than 3 rounds: good enough to try the bench, not to quote.');
  const results = path.join(import.meta.dirname, 'results');
  await mkdir(results, { recursive: true });
  const file = path.join(results, `${about.date.replaceAll(':', '-')}.json`);
  // Not the PostgreSQL's URL, which may hold a password.
  const { postgres: _, ...kept } = options;
  await writeFile(
    file,
    `${JSON.stringify({ ...about, options: kept, starts, ceiling, throughput, resolving, login, largePromotion, artifacts, artifactMemory, gates }, null, 2)}\n`,
  );
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
