import { readdir, stat } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { oursOnSharedPostgres, type Server, type Site, startServer } from '../compat/servers/servers.ts';
import { type LookUps, measureLookUps, timesOverFirst } from './aliases.ts';
import { makeFixture, resolvesAliases } from './fixture.ts';
import { atMost, type Gate } from './report.ts';
import { call, callEach, sendJson } from './requests.ts';
import { median } from './statistics.ts';
import type { LoadOptions } from './throughput.ts';

const API = '/api/2.0/mlflow';
const REGISTRY = 'shared';
const LOCAL = 'local-';
const MOUNTED = 'mounted-';
const MOST_COST = 1.15;

/** Looks aliases up by local names, dotted names and mounted names, in alternation, on one server of ours. */
export async function measureResolving(site: Site, options: LoadOptions): Promise<LookUps> {
  const server = await startServer({ ...oursOnSharedPostgres, label: 'ours, sharing' }, site);
  await callEach(server, [sendJson('POST', server, '/api/1.0/registries', { name: REGISTRY })]);
  const names = await makeFixture(server, LOCAL);
  await makeFixture(server, `${REGISTRY}.`);
  await callEach(
    server,
    names.map((name) => sendJson('PUT', server, `/api/1.0/workspaces/default/mounts/${MOUNTED}${name}`, { registry: REGISTRY, name })),
  );
  const lookUps = await measureLookUps(
    [
      { way: 'local', server, next: resolvesAliases(server, LOCAL) },
      { way: 'dotted', server, next: resolvesAliases(server, `${REGISTRY}.`) },
      { way: 'mounted', server, next: resolvesAliases(server, MOUNTED) },
    ],
    options,
  );
  await server.running.stop();
  return lookUps;
}

export const gatesOfResolving = (lookUps: LookUps): Gate[] =>
  timesOverFirst(lookUps).map(({ way, times }) => atMost(`alias by ${way} name, time over local`, median(times), MOST_COST, 'x'));

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
