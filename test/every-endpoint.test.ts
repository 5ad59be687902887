import { beforeAll, describe, expect, it } from 'vitest';
import type { Services } from '../src/endpoint.ts';
import { endpoints } from '../src/endpoints.ts';
import type { AnyEndpoint } from '../src/platform/http/mount.ts';
import { LEVELS, type Level } from '../src/platform/permission.ts';
import { type Call, callOf, isDestructive, sendCall } from './helpers/endpoint-calls.ts';
import { contentsOf, makeWorld, type World } from './helpers/endpoint-world.ts';
import { startServerWithLogin } from './helpers/login.ts';

/**
 * Each endpoint x each kind of caller answers as its declaration says. The endpoints are those of src/endpoints.ts: a new one needs a sample of its input in
 * test/helpers/endpoint-samples.ts, and nothing else here.
 */
const server = await startServerWithLogin();
const KINDS = ['nobody', 'stranger', 'elsewhere', 'denied', ...LEVELS, 'admin'] as const;
type Kind = (typeof KINDS)[number];

const tokens = new Map<string, string | null>();

/** The Authorization header of a kind of caller, with its rights on a world. */
async function authorizationOf(kind: Kind, world: World): Promise<string | null> {
  if (kind === 'nobody') return null;
  const username = kind === 'admin' ? 'admin' : `${kind}-${world.workspace}`;
  const known = tokens.get(username);
  if (known) return known;
  const grants: Parameters<typeof server.grant>[1][] = [];
  const all = ['experiment', 'registered_model', 'prompt'];
  if (kind === 'elsewhere') grants.push({ scope: 'elsewhere', type: 'workspace', permission: 'MANAGE' });
  if (kind === 'denied') {
    grants.push({ scope: world.workspace, type: 'workspace', permission: 'USE' });
    for (const scope of [world.workspace, world.registry]) for (const type of all) grants.push({ scope, type, permission: 'DENY' });
  }
  if ((LEVELS as readonly string[]).includes(kind)) {
    grants.push({ scope: world.workspace, type: 'workspace', permission: kind === 'MANAGE' ? 'MANAGE' : 'USE' });
    grants.push({ scope: world.registry, type: 'registry', permission: kind });
    for (const type of all) grants.push({ scope: world.workspace, type, permission: kind });
  }
  if (kind !== 'admin') await server.as(username, ...grants);
  const header = `Bearer ${await server.tokenOf(username)}`;
  tokens.set(username, header);
  return header;
}

async function call(
  endpoint: AnyEndpoint<Services>,
  kind: Kind,
  world: World,
  change: (call: Call) => Call = (same) => same,
): ReturnType<typeof sendCall> {
  const plain = change(callOf(endpoint, world));
  const authorization = await authorizationOf(kind, world);
  return sendCall(server.url, authorization === null ? plain : { ...plain, headers: { ...plain.headers, Authorization: authorization } });
}

// Rights that are not a level on one thing: of who manages any workspace or registry, and of an account on itself.
const OF_MANAGERS = ['group.get', 'role.list_of_user', 'grant.list'];
const OF_THE_ACCOUNT = ['user.get', 'user.update_password', 'workspace_permission.list_of_user'];

/** Whether the declaration lets a kind of caller through. Only what is for a whole workspace tells its members from those who may do more. */
function isAllowed({ op, permission }: AnyEndpoint<Services>, kind: Kind): boolean {
  if (permission === 'public' || kind === 'admin') return true;
  if (OF_THE_ACCOUNT.includes(op)) return false;
  if (OF_MANAGERS.includes(op)) return kind === 'MANAGE' || kind === 'elsewhere';
  if (kind === 'nobody' || permission === 'admin') return false;
  if (permission === 'authenticated') return true;
  if (!(LEVELS as readonly string[]).includes(kind))
    return kind === 'denied' && permission.level === 'USE' && permission.on.startsWith('workspace');
  const held = permission.on.startsWith('workspace') && kind !== 'MANAGE' ? 'USE' : (kind as Level);
  return LEVELS.indexOf(held) >= LEVELS.indexOf(permission.level);
}

const titleOf = ({ op, method, path }: AnyEndpoint<Services>): string => `${op} (${method} ${path})`;

describe('who is not let through', async () => {
  const world = await makeWorld(server, 'refused');
  await server.admin.post('/api/3.0/mlflow/workspaces', { name: 'elsewhere' });
  let before: Record<string, string>;
  beforeAll(async () => {
    before = await contentsOf(server);
  });

  it.each(endpoints.map((endpoint) => [titleOf(endpoint), endpoint] as const))('%s', async (_, endpoint) => {
    for (const kind of KINDS.filter((kind) => !isAllowed(endpoint, kind))) {
      const { status, body } = await call(endpoint, kind, world);
      // What is asked for many things at once is answered with those that there are, for this caller none.
      if (kind !== 'nobody' && status === 200 && ['{}', '{"metrics":[]}'].includes(body)) continue;
      const statuses = kind === 'nobody' ? [401] : [400, 403, 404, 405];
      expect(statuses, `${kind}: ${status} ${body}`).toContain(status);
      expect(JSON.parse(body), kind).toMatchObject({ error_code: expect.any(String), message: expect.any(String) });
      if (kind === 'elsewhere' || kind === 'stranger') expect(body, kind).not.toMatch(/has (READ|USE|EDIT|MANAGE) there/);
    }
  });

  const SPELLINGS: Record<string, (path: string) => string> = {
    'two slashes': (path) => `/${path}`,
    'a dot segment': (path) => `/.${path}`,
    'an encoded dot segment': (path) => `/%2e${path}`,
    'an empty segment': (path) => path.replace('/mlflow', '//mlflow'),
    'an encoded letter': (path) => path.replace('/mlflow', '/%6dlflow'),
    'capital letters': (path) => path.replace('/mlflow', '/MLflow'),
    'a slash at the end': (path) => path.replace(/(\?|$)/, '/$1'),
    'the pages’ prefix': (path) => path.replace(/^\/api/, '/ajax-api'),
    'the preview’s prefix': (path) => path.replace('/api/2.0', '/api/2.0/preview'),
    'the base path of the workspace': (path) => `/workspaces/${world.workspace}${path}`,
    'the base path of the registry': (path) => `/registries/${world.registry}${path}`,
  };

  it.each(Object.entries(SPELLINGS))('by %s in the path either', async (_, spell) => {
    for (const endpoint of endpoints) {
      for (const kind of ['nobody', 'stranger'] as const) {
        if (isAllowed(endpoint, kind)) continue;
        const { status, body } = await call(endpoint, kind, world, (plain) => ({ ...plain, path: spell(plain.path) }));
        expect([400, 401, 403, 404, 405], `${kind} ${endpoint.op}: ${status} ${body}`).toContain(status);
      }
    }
  });

  it('changes nothing', async () => {
    expect(await contentsOf(server)).toEqual(before);
  });
});

// Who is let through gets what an administrator gets: not the answer for something that is not there.
const statusOfAdmin = new Map<string, number>();

describe.each(['admin', 'MANAGE', 'EDIT', 'USE', 'READ'] as const)('who has %s', async (kind) => {
  const world = await makeWorld(server, `for-${kind.toLowerCase()}`);
  const ordered = [...endpoints.filter((endpoint) => !isDestructive(endpoint)), ...endpoints.filter(isDestructive).reverse()];

  it.each(ordered.filter((endpoint) => isAllowed(endpoint, kind)).map((endpoint) => [titleOf(endpoint), endpoint] as const))(
    'is let through to %s',
    async (title, endpoint) => {
      const { status, body } = await call(endpoint, kind, world);
      if (kind === 'admin') statusOfAdmin.set(title, status);
      expect([401, 403, 500], `${status} ${body}`).not.toContain(status);
      expect(status, body).toBe(statusOfAdmin.get(title));
    },
  );
});
