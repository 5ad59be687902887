import { AsyncLocalStorage } from 'node:async_hooks';
import type { RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Services } from '../src/endpoint.ts';
import { endpoints } from '../src/endpoints.ts';
import type { AnyEndpoint } from '../src/platform/http/mount.ts';
import { callOf, isDestructive, sendCall } from './helpers/endpoint-calls.ts';
import { makeWorld, type World } from './helpers/endpoint-world.ts';
import { startServerWithLogin } from './helpers/login.ts';

/**
 * How many statements each endpoint sends, beginnings and ends of transactions included: each is a wait for PostgreSQL. After a change on purpose
 * `npx vitest run --project server test/statements.test.ts -u` writes docs/statements.md again.
 */

/** Why an endpoint needs more than the one statement of the rule. With login and audit off; by `op`, or by `op METHOD path` where that makes a difference. */
const OF_MOUNTS = 'what a mount on the page shows is read from its registry';
const OF_EVENTS = 'which events are awaited is read again';
const GRAPH = 'a graph is gone through, step by step';
const MORE: Record<string, [statements: number, why: string]> = {
  'artifact.presign_download': [2, 'the key to sign with'],
  'audit.export': [2, 'up to the newest event there is when it begins, some hundreds at a time'],
  'logged_model.list_artifacts': [2, 'where the files are, and which'],
  'model.create_next_version POST /registries/:registry/models/:name/versions': [
    6,
    'the model, the files, the version with its origin: together',
  ],
  'model.create_next_version POST /workspaces/:workspace/models/:name/versions': [4, 'the model and the version, together'],
  'model.create_version PUT /registries/:registry/models/:name/versions/:version': [
    7,
    'as the next version, and whether there was one of that number',
  ],
  'model.create_version PUT /workspaces/:workspace/models/:name/versions/:version': [
    5,
    'as the next version, and whether there was one of that number',
  ],
  'model.list GET /workspaces/:workspace/models': [2, OF_MOUNTS],
  'model_version.compare GET /registries/:registry/models/:name/versions\\:compare': [
    4,
    'of each of two versions its files and what made it',
  ],
  'model_version.compare GET /workspaces/:workspace/models/:name/versions\\:compare': [
    8,
    'of each of two versions its files and what made it',
  ],
  'model_version.get_artifact': [2, 'where the file is, and the file'],
  'model_version.get_lineage GET /registries/:registry/models/:name/versions/:version/lineage': [8, GRAPH],
  'model_version.get_lineage GET /workspaces/:workspace/models/:name/versions/:version/lineage': [9, GRAPH],
  'model_version.list_consumers': [2, 'whether there is such a version, and a page of who uses it'],
  'model_version.verify': [2, 'the files, and where their bytes are'],
  'mount.set': [2, 'the mount, and how it looks then'],
  'promotion.create': [2, 'the source and its origin, the version with both'],
  'registered_model.list': [2, OF_MOUNTS],
  'registered_model.rename': [2, 'the model and all its versions, and how it looks then'],
  'registered_model.search': [2, OF_MOUNTS],
  'registry.create': [2, 'whether it hides models of workspaces'],
  'webhook.create': [2, OF_EVENTS],
  'webhook.delete': [2, OF_EVENTS],
  'webhook.update': [3, `the address is checked in between, and ${OF_EVENTS}`],
  'webhook_delivery.list': [2, 'whether there is such a webhook, and a page of its deliveries'],
};

const ABOUT = `# SQL statements of each operation

Written by \`test/statements.test.ts\`, which fails when a number changes: \`npx vitest run --project server test/statements.test.ts -u\` writes it again.

What one successful request sends to PostgreSQL, each time waiting for the answer; \`begin\` and \`commit\` count. \`t\`: in a transaction. The request names a
workspace, and who calls is known by a token and manages it, or is an administrator where one is needed. What servers remember for a second (which workspaces
and registries there are, mounts, callers with their rights, where a run belongs) is remembered already. \`-\`: not there without login, or the test's call is refused.
Why some need more than one statement with login off stands in the test (\`MORE\`).`;

type Server = Awaited<ReturnType<typeof startServerWithLogin>>;
type Declared = AnyEndpoint<Services>;
/** `sent` has the names of declared statements, or SQL. */
type Counted = { endpoint: Declared; status: number; sent: string[] };

// The caller's requests, by their ids, and what each sent.
const requests = new Map<unknown, string[]>();
const current = new AsyncLocalStorage<string[] | undefined>();

const send = pg.Client.prototype.query as (...parameters: unknown[]) => unknown;
vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...parameters: unknown[]) {
  const [asked] = parameters as [string | { name?: string; text: string }];
  current.getStore()?.push(typeof asked === 'string' ? asked : (asked.name ?? asked.text));
  return send.apply(this, parameters);
} as typeof pg.Client.prototype.query);
afterAll(() => vi.restoreAllMocks());

/** Tells what requests send from what the server sends by itself. */
function watch({ http }: Server): void {
  const [listener] = http.listeners('request') as [RequestListener];
  http.removeListener('request', listener);
  http.on('request', (req, res) => current.run(requests.get(req.headers['x-request-id']), () => listener(req, res)));
}

async function count(server: Server, endpoint: Declared, world: World, authorization: string): Promise<Counted> {
  const call = callOf(endpoint, world);
  const id = `counted-${requests.size}`;
  const sent: string[] = [];
  requests.set(id, sent);
  const headers = { ...call.headers, Authorization: authorization, 'X-Request-Id': id };
  const { status } = await sendCall(server.url, { ...call, headers });
  // The audit of a stream is written behind its reply.
  if (endpoint.kind === 'stream') await sleep(30);
  return { endpoint, status, sent };
}

const LEVEL = { type: 'workspace', permission: 'MANAGE' };

/** The calls of all endpoints there are: with login by who manages the workspace and the registry, what only administrators may do by one. */
async function countAll({ login, audited }: { login: boolean; audited: boolean }) {
  const server = await startServerWithLogin({ on: login }, audited);
  watch(server);
  const world = await makeWorld(server, 'counted', login);
  const { workspace, registry, runId, loggedModelId } = world;
  await server.admin.patch(`webhooks/${world.webhookId}`, { status: 'DISABLED' }, workspace);
  if (login) await server.as('manager', { ...LEVEL, scope: workspace }, { ...LEVEL, type: 'registry', scope: registry });
  const tokenOf = async (username: string) => (login ? `Bearer ${await server.tokenOf(username)}` : '');
  const [admin, manager] = [await tokenOf('admin'), await tokenOf('manager')];
  const remember = async (authorization: string) => {
    const headers = { 'X-MLFLOW-WORKSPACE': workspace, Authorization: authorization };
    const paths = [
      '/api/2.0/mlflow/model-versions/get?name=model&version=2',
      `/api/1.0/registries/${registry}/models/model`,
      `/api/2.0/mlflow/artifacts/list?run_id=${runId}`,
      `/api/2.0/mlflow/logged-models/${loggedModelId}`,
    ];
    for (const path of paths) await sendCall(server.url, { method: 'GET', path, headers, body: undefined });
  };
  // What is remembered for a second is remembered from here on.
  const now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockReturnValue(now);
  const counted: Counted[] = [];
  for (const endpoint of [...endpoints.filter((one) => !isDestructive(one)), ...endpoints.filter(isDestructive).reverse()]) {
    const authorization = endpoint.permission === 'admin' ? admin : manager;
    await remember(authorization);
    counted.push(await count(server, endpoint, world, authorization));
  }
  clock.mockRestore();
  return { server, counted };
}

const SETTINGS = {
  'login off': { login: false, audited: false },
  login: { login: true, audited: false },
  'login, audit': { login: true, audited: true },
};

/** By op; of an op with several paths also by path, where these differ. A count is null when the call of the sample is refused. */
function rowsOf(columns: Counted[][]): { name: string; effect: string; counts: (number | null)[]; inTransaction: boolean[] }[] {
  const rowOf = (endpoint: Declared, name: string) => {
    const calls = columns.map((counted) => counted.find((call) => call.endpoint === endpoint));
    return {
      name,
      effect: endpoint.effect,
      counts: calls.map((call) => (call && call.status < 400 ? call.sent.length : null)),
      inTransaction: calls.map((call) => call?.sent.some((sql) => sql.startsWith('begin')) ?? false),
    };
  };
  const ops = [...new Set(endpoints.map(({ op }) => op))];
  return ops.flatMap((op) => {
    const rows = endpoints
      .filter((endpoint) => endpoint.op === op)
      .map((endpoint) => rowOf(endpoint, `${op} ${endpoint.method} ${endpoint.path}`));
    const isOne = rows.every(({ counts }) => JSON.stringify(counts) === JSON.stringify(rows[0]?.counts));
    return isOne ? rows.slice(0, 1).map((row) => ({ ...row, name: op })) : rows;
  });
}

describe('the statements of a request', () => {
  let columns: Counted[][];
  let withoutMover: number;
  beforeAll(async () => {
    columns = [];
    for (const setting of Object.values(SETTINGS)) {
      const { server, counted } = await countAll(setting);
      columns.push(counted);
      const { rows } = await server.db.query("select count(*)::integer as moves from alias_moves where moved_by = ''");
      withoutMover = rows[0].moves;
    }
  }, 120_000);

  it('are as many as docs/statements.md says', async () => {
    const cell = (count: number | null, inTransaction: boolean) => (count === null ? '-' : `${count}${inTransaction ? ' t' : ''}`);
    const lines = rowsOf(columns).map(
      ({ name, effect, counts, inTransaction }) =>
        `| ${name.replace(/\\/g, '')} | ${effect} | ${counts.map((count, i) => cell(count, inTransaction[i] ?? false)).join(' | ')} |`,
    );
    const head = ['operation', '', ...Object.keys(SETTINGS)];
    const table = [`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...lines].join('\n');
    await expect(`${ABOUT}\n\n${table}\n`).toMatchFileSnapshot('../docs/statements.md');
  });

  it('are one, and more only with a reason', () => {
    const more = rowsOf(columns).filter(({ counts: [count] }) => count != null && count > 1);
    const [found, allowed] = [
      more.map(({ name, counts: [count] }) => [name, count]),
      Object.entries(MORE).map(([name, [count]]) => [name, count]),
    ];
    expect(found.sort()).toEqual(allowed.sort());
  });

  it('tell who moved an alias, with login on', () => {
    expect(withoutMover).toBe(0);
  });
});
