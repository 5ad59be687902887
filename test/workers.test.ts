import fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { addressOf, makeDataDir, runCli, workersOf } from './helpers/process.ts';

const dataDir = await makeDataDir();
const cli = runCli(['serve', '--workers', '2', '--port', '0', '--data-dir', dataDir, '--log-level', 'warn']);
const url = await addressOf(cli);
afterAll(async () => {
  cli.killGroup('SIGKILL');
  await fs.rm(dataDir, { recursive: true, force: true });
});

const workers = () => workersOf(cli);

const api = `${url}/api/2.0/mlflow/registered-models`;
const post = (path: string, body: unknown) =>
  fetch(`${api}/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

it('answers from several processes on one port as one server does', { timeout: 60_000 }, async () => {
  expect(workers()).toHaveLength(2);
  await post('create', { name: 'm' });
  const replies = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const reply = await fetch(`${url}/api/2.0/mlflow/model-versions/create`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Connection: 'close' },
        body: JSON.stringify({ name: 'm', source: 's3://bucket/m' }),
      });
      return Number(((await reply.json()) as { model_version: { version: string } }).model_version.version);
    }),
  );
  expect(replies.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
});

it('goes on when a worker is lost, and replaces it', { timeout: 60_000 }, async () => {
  const [lost = 0] = workers();
  process.kill(lost, 'SIGKILL');
  await sleep(200);
  expect((await fetch(`${api}/get?name=m`)).status).toBe(200);
  for (let waited = 0; waited < 30_000 && workers().length < 2; waited += 200) await sleep(200);
  expect(workers()).toHaveLength(2);
  expect(workers()).not.toContain(lost);
});

it('stops all of it at SIGTERM', { timeout: 60_000 }, async () => {
  cli.kill('SIGTERM');
  expect(await cli.exited).toBe(0);
});
