import { readdir, stat } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cpuSecondsOf } from '../compat/servers/processes.ts';
import { oursOnSharedPostgres, type Server, type Site, startServer } from '../compat/servers/servers.ts';
import { applyLoad } from './load.ts';
import { call, callEach, isChampion, makeFixture, resolvesAliases, sendJson } from './operations.ts';
import { atMost, format, type Gate } from './report.ts';
import { median, percentile } from './statistics.ts';
import type { LoadOptions } from './throughput.ts';

const API = '/api/2.0/mlflow';
const REGISTRY = 'shared';
const LOCAL = 'local-';
const MOUNTED = 'mounted-';
const WARM_UP_SECONDS = 1;
const MOST_COST = 1.15;
// Short slices, many of them: what disturbs one lane then disturbs its neighbours too.
const SLICES_PER_ROUND = 8;

/** Look-ups of aliases by each spelling: slices of load, and the server's CPU milliseconds for each reply over all of them (PostgreSQL's not included). */
export type Resolving = { spelling: string; perSecond: number[]; p50: number[]; cpuMs: number }[];

/** Looks aliases up by local names, dotted names and mounted names, in alternation, on one server of ours. */
export async function measureResolving(site: Site, { rounds, seconds, connections }: LoadOptions): Promise<Resolving> {
  const server = await startServer({ ...oursOnSharedPostgres, label: 'ours, sharing' }, site);
  await callEach(server, [sendJson('POST', server, '/api/1.0/registries', { name: REGISTRY })]);
  const names = await makeFixture(server, LOCAL);
  await makeFixture(server, `${REGISTRY}.`);
  await callEach(
    server,
    names.map((name) => sendJson('PUT', server, `/api/1.0/workspaces/default/mounts/${MOUNTED}${name}`, { registry: REGISTRY, name })),
  );
  const lanes = [
    { spelling: 'local', next: resolvesAliases(server, LOCAL) },
    { spelling: 'dotted', next: resolvesAliases(server, `${REGISTRY}.`) },
    { spelling: 'mounted', next: resolvesAliases(server, MOUNTED) },
  ].map((lane) => ({ ...lane, perSecond: [] as number[], p50: [] as number[], cpuSeconds: 0, replies: 0 }));
  const check = ({ body }: { body: Buffer }) => {
    if (!isChampion(JSON.parse(body.toString()))) throw new Error(`a wrong reply: ${body.toString().slice(0, 200)}`);
  };
  const load = { port: server.port, check, connections };
  for (const { next } of lanes) await applyLoad({ ...load, next, seconds: WARM_UP_SECONDS });
  for (let slice = 0; slice < rounds * SLICES_PER_ROUND; slice++) {
    for (const lane of slice % 2 === 0 ? lanes : lanes.toReversed()) {
      const cpuBefore = cpuSecondsOf(server.running.pid);
      const { failures, ...measured } = await applyLoad({ ...load, next: lane.next, seconds: seconds / SLICES_PER_ROUND });
      lane.cpuSeconds += cpuSecondsOf(server.running.pid) - cpuBefore;
      lane.replies += measured.replies;
      const [failure] = Object.keys(failures);
      if (failure !== undefined) throw new Error(`resolve-shared: ${failure}`);
      lane.perSecond.push(measured.perSecond);
      lane.p50.push(measured.p50);
    }
  }
  await server.running.stop();
  return lanes.map(({ spelling, perSecond, p50, cpuSeconds, replies }) => ({
    spelling,
    perSecond,
    p50,
    cpuMs: (cpuSeconds * 1000) / replies,
  }));
}

/** Rows for print: spelling, req/s, p50, CPU ms per request, the same over a local name's, and time over a local name's with the quarters of its slices. */
export function tableOfResolving(resolving: Resolving): string[][] {
  const [local] = resolving;
  return resolving.map(({ spelling, perSecond, p50, cpuMs }, lane) => {
    const times = perSecond.map((each, slice) => (local?.perSecond[slice] ?? Number.NaN) / each);
    const [low, high] = [percentile(times, 0.25), percentile(times, 0.75)];
    return [
      ...[spelling, format(median(perSecond)), format(median(p50)), format(cpuMs)],
      ...(lane === 0
        ? ['', '']
        : [`${format(cpuMs / (local?.cpuMs ?? Number.NaN))}x`, `${format(median(times))}x (${format(low)}..${format(high)})`]),
    ];
  });
}

/** Gates on the CPU time: req/s is what the machine has left for it, which differs from slice to slice by more than what is looked for. */
export const gatesOfResolving = ([local, ...others]: Resolving): Gate[] =>
  others.map(({ spelling, cpuMs }) =>
    atMost(`alias by ${spelling} name, CPU over local`, cpuMs / (local?.cpuMs ?? Number.NaN), MOST_COST, 'x'),
  );

const LARGE_BYTES = 2 * 1024 ** 3;
const CHUNK = Buffer.alloc(1024 * 1024);

/** What it takes to promote a version of 2 GiB. */
export type LargePromotion = { uploadSeconds: number; promotionSeconds: number; addedBytes: number };

/** Sends 2 GiB to our server as a file of a run, registers it and promotes the version, once. */
export async function measureLargePromotion(site: Site): Promise<LargePromotion> {
  const server = await startServer({ ...oursOnSharedPostgres, label: 'ours, large' }, site);
  const { experiment_id } = await call(server, sendJson('POST', server, `${API}/experiments/create`, { name: 'large' }));
  const made = await call(server, sendJson('POST', server, `${API}/runs/create`, { experiment_id, start_time: 1 }));
  const { run_id, artifact_uri } = (made as { run: { info: { run_id: string; artifact_uri: string } } }).run.info;
  const uploadStarted = performance.now();
  await putLarge(server, `${artifact_uri.replace('mlflow-artifacts:/', '')}/model/weights.bin`);
  const uploadSeconds = (performance.now() - uploadStarted) / 1000;
  const target = `${REGISTRY}-large.large`;
  await callEach(server, [
    sendJson('POST', server, '/api/1.0/registries', { name: `${REGISTRY}-large` }),
    sendJson('POST', server, `${API}/registered-models/create`, { name: 'large' }),
    sendJson('POST', server, `${API}/model-versions/create`, { name: 'large', source: `${artifact_uri}/model`, run_id }),
    sendJson('POST', server, `${API}/registered-models/create`, { name: target }),
  ]);
  const before = await storedBytes(site);
  const startedAt = performance.now();
  await callEach(server, [sendJson('POST', server, `${API}/model-versions/create`, { name: target, source: 'models:/large/1', run_id })]);
  const promotionSeconds = (performance.now() - startedAt) / 1000;
  const addedBytes = (await storedBytes(site)) - before;
  await server.running.stop();
  return { uploadSeconds, promotionSeconds, addedBytes };
}

async function putLarge({ port }: Server, file: string): Promise<void> {
  const request = http.request({
    host: '127.0.0.1',
    port,
    method: 'PUT',
    path: `/api/2.0/mlflow-artifacts/artifacts/${file}`,
    headers: { 'Content-Length': LARGE_BYTES },
  });
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => request.once('response', resolve).once('error', reject));
  await pipeline(Readable.from(chunks()), request);
  const { statusCode } = await answered;
  if (statusCode !== 200) throw new Error(`large-promotion: the upload is answered ${statusCode}`);
}

function* chunks(): Generator<Buffer> {
  for (let sent = 0; sent < LARGE_BYTES; sent += CHUNK.length) yield CHUNK;
}

async function storedBytes({ folder }: Site): Promise<number> {
  const files = await readdir(path.join(folder, 'ours'), { recursive: true, withFileTypes: true });
  const sizes = files.filter((file) => file.isFile()).map(async (file) => (await stat(path.join(file.parentPath, file.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

export const gatesOfLargePromotion = ({ promotionSeconds, addedBytes }: LargePromotion): Gate[] => [
  atMost('promotion of 2 GiB', promotionSeconds, 1, ' s'),
  atMost('promotion of 2 GiB, files added', addedBytes / 1024 ** 2, 0, ' MiB'),
];
