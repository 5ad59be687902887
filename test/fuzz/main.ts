import { parseArgs } from 'node:util';
import { destroyDataDir, makeDataDir, startServer } from '../helpers/process.ts';
import { makeCallers } from './callers.ts';
import { runFuzz } from './run-fuzz.ts';

const ADMIN_PASSWORD = 'correct horse battery';
const REQUESTS_OF_A_CALLER = 2500;

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '100000' }, seed: { type: 'string' }, login: { type: 'boolean', default: false } },
});
const requests = Number(values.requests);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const print = (line: string) => process.stdout.write(`${line}\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
print(`${requests} requests, seed ${seed}, login ${values.login ? 'on' : 'off'}`);
const dataDir = await makeDataDir();
const server = await startServer(dataDir, [], {
  MLFLOW_WEBHOOK_ALLOWED_SCHEMES: 'http,https',
  MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: 'true',
  MLFLOW_WEBHOOK_REQUEST_TIMEOUT: '1',
  ...(values.login && { AUTH: 'on', ADMIN_PASSWORD }),
});
const began = Date.now();
const statuses: Record<string, number> = {};
const findings: string[] = [];
// With login on in parts, each with new accounts: administrators' requests remove accounts and tokens, too.
const parts = values.login ? Math.ceil(requests / REQUESTS_OF_A_CALLER) : 1;
let authorizations: (string | undefined)[] = [undefined];
for (let part = 0; part < parts; part++) {
  if (values.login) authorizations = await makeCallers(server.url, ADMIN_PASSWORD, part).catch(() => authorizations);
  const report = await runFuzz({
    url: server.url,
    requests: Math.ceil(requests / parts),
    seed: seed + part,
    secrets: [dataDir, process.cwd()],
    authorizations,
  });
  for (const [status, count] of Object.entries(report.statuses)) statuses[status] = (statuses[status] ?? 0) + count;
  findings.push(...report.findings);
}
const seconds = (Date.now() - began) / 1000;
server.kill('SIGTERM');
const exitCode = await server.exited;
await destroyDataDir(dataDir);

for (const finding of findings) print(`\n${finding}`);
print(`\nseed ${seed}: ${requests} requests in ${Math.round(seconds)} s, ${findings.length} findings`);
for (const [status, count] of Object.entries(statuses)) print(`  ${status}  ${count}`);
if (exitCode !== 0) print(`The server ended with ${exitCode}: ${server.stderr()}`);
process.exit(findings.length > 0 || exitCode !== 0 ? 1 : 0);
