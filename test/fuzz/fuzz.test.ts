import os from 'node:os';
import { expect, it } from 'vitest';
import { ADMIN, startServerWithLogin } from '../helpers/login.ts';
import { startTestServer } from '../helpers/server.ts';
import { makeCallers } from './callers.ts';
import { runFuzz } from './run-fuzz.ts';

const server = await startTestServer(undefined, { allowedSchemes: ['http', 'https'], allowPrivateIps: true, timeoutSeconds: 1 });

it('3000 broken requests get no 5xx, no answer that tells of the server’s insides, and do not hang (T15)', {
  timeout: 120_000,
}, async () => {
  const secrets = [server.artifactDir, process.cwd(), os.tmpdir()];
  const { statuses, findings } = await runFuzz({ url: server.url, requests: 3000, seed: 20261121, secrets });
  expect(findings, JSON.stringify(statuses)).toEqual([]);
  expect(statuses['200']).toBeGreaterThan(300);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

it('neither with login on, whoever sends them', { timeout: 120_000 }, async () => {
  const guarded = await startServerWithLogin();
  const authorizations = await makeCallers(guarded.url, ADMIN.password);
  const secrets = [guarded.artifactDir, process.cwd(), os.tmpdir()];
  const { statuses, findings } = await runFuzz({ url: guarded.url, requests: 2000, seed: 7, secrets, authorizations });
  expect(findings, JSON.stringify(statuses)).toEqual([]);
  for (const status of ['200', '401', '403', '404']) expect(statuses[status], JSON.stringify(statuses)).toBeGreaterThan(20);
});
