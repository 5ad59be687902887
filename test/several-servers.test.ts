import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { balanced, basic, type Send, succeeding } from './helpers/balanced.ts';
import { startReceiver } from './helpers/receiver.ts';
import { freshName } from './helpers/seed.ts';
import { makeSite } from './helpers/site.ts';

// What docs/several-servers.md promises.
const STALE_MS = 1000;
// A busy machine answers late.
const SLACK_MS = 500;
const ASK_EVERY_MS = 20;
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const WORKSPACES = '/api/3.0/mlflow/workspaces';
const REGISTRIES = '/api/1.0/registries';
const PASSWORD = 'correct horse battery';
const env = {
  AUTH: 'on',
  ADMIN_USERNAME: 'admin',
  ADMIN_PASSWORD: PASSWORD,
  MLFLOW_WEBHOOK_ALLOWED_SCHEMES: 'http,https',
  MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: 'true',
};

const { start } = await makeSite(env, afterAll);
const servers = await Promise.all([start(), start(), start()]);
const authorization = await adminToken(servers);
const send = balanced(servers, { authorization });
const ask = succeeding(send);
const [one, ...others] = servers.map((server) => balanced([server], { authorization })) as [Send, Send, Send];
const everyServer = [one, ...others];
const askOne = succeeding(one);

const everywhere = async (...request: Parameters<Send>) => Promise.all(everyServer.map((server) => server(...request)));
const statusesOf = async (...request: Parameters<Send>) => (await everywhere(...request)).map(({ status }) => status);
const query = (path: string, values: Record<string, string>) => `${path}?${new URLSearchParams(values)}`;

/** A token costs less to check than a password. */
async function adminToken(of: { url: string }[]): Promise<string> {
  const made = succeeding(balanced(of, { authorization: basic('admin', PASSWORD) }));
  return `Bearer ${(await made<{ token: string }>('POST', '/api/1.0/tokens', { name: 'tests' })).token}`;
}

async function makePerson(): Promise<string> {
  const username = freshName('user');
  await ask('POST', 'users/create', { username, password: PASSWORD });
  return username;
}

async function makeToken(username: string) {
  const { token, token_id } = await ask<{ token: string; token_id: string }>('POST', '/api/1.0/tokens', { name: 'ci', username });
  return { token_id, bearer: `Bearer ${token}` };
}

async function makeServiceAccount() {
  const username = freshName('service');
  await ask('POST', '/api/1.0/service-accounts', { username });
  return { username, ...(await makeToken(username)) };
}

async function makeWorkspace(): Promise<string> {
  const name = freshName('team');
  await ask('POST', WORKSPACES, { name });
  return name;
}

/** A registry with these models, which have their names as descriptions. */
async function makeRegistry(...models: string[]): Promise<string> {
  const name = freshName('reg');
  await ask('POST', REGISTRIES, { name });
  for (const model of models) await ask('POST', 'registered-models/create', { name: `${name}.${model}`, description: model });
  return name;
}

describe('what one server wrote, every other one sees at once', () => {
  it('models, versions, aliases, tags, renames and deletions', async () => {
    const [name, renamed] = [freshName('m'), freshName('m')];
    await ask('POST', 'registered-models/create', { name });
    expect(await statusesOf('GET', query('registered-models/get', { name }))).toEqual([200, 200, 200]);
    const versions = await Promise.all(
      Array.from({ length: 12 }, () =>
        ask<{ model_version: { version: string } }>('POST', 'model-versions/create', { name, source: 's3://b/m' }),
      ),
    );
    expect(new Set(versions.map(({ model_version: { version } }) => version)).size).toBe(12);
    for (let version = 1; version <= 12; version++) {
      await ask('POST', 'registered-models/alias', { name, alias: 'champion', version: String(version) });
      const found = await everywhere('GET', query('registered-models/alias', { name, alias: 'champion' }));
      expect(found.map(({ body }) => (body as { model_version: { version: string } }).model_version.version)).toEqual(
        Array(3).fill(String(version)),
      );
    }
    await ask('POST', 'model-versions/set-tag', { name, version: '1', key: 'k', value: 'v' });
    const filter = `name = '${name}' and tag.k = 'v'`;
    for (const { body } of await everywhere('GET', query('model-versions/search', { filter })))
      expect(body).toMatchObject({ model_versions: [{ version: '1' }] });
    await ask('POST', 'registered-models/rename', { name, new_name: renamed });
    expect(await statusesOf('GET', query('registered-models/get', { name }))).toEqual([404, 404, 404]);
    expect(await statusesOf('GET', query('registered-models/get', { name: renamed }))).toEqual([200, 200, 200]);
    await ask('DELETE', 'registered-models/delete', { name: renamed });
    expect(await statusesOf('GET', query('registered-models/get', { name: renamed }))).toEqual([404, 404, 404]);
  });

  it('files, also when one is replaced', async () => {
    const path = `${ARTIFACTS}/${freshName('folder')}/model.bin`;
    for (let i = 0; i < 3; i++) {
      const text = randomBytes(3000).toString('hex');
      await ask('PUT', path, Buffer.from(text));
      expect((await everywhere('GET', path)).map((reply) => reply.text)).toEqual([text, text, text]);
    }
    await ask('DELETE', path);
    expect(await statusesOf('GET', path)).toEqual([404, 404, 404]);
  });

  it('workspaces, registries, promotions into them, and new mounts', async () => {
    const [workspace, registry] = [freshName('team'), freshName('reg')];
    // They are asked for before they are there: what is not there may be remembered.
    expect(await statusesOf('GET', 'registered-models/search', undefined, { workspace })).toEqual([404, 404, 404]);
    await ask('POST', WORKSPACES, { name: workspace });
    expect(await statusesOf('GET', 'registered-models/search', undefined, { workspace })).toEqual([200, 200, 200]);
    await ask('POST', REGISTRIES, { name: registry });
    expect(await statusesOf('GET', `${REGISTRIES}/${registry}`)).toEqual([200, 200, 200]);
    const { experiment_id } = await ask<{ experiment_id: string }>('POST', 'experiments/create', { name: 'e' }, { workspace });
    type Run = { run: { info: { run_id: string; artifact_uri: string } } };
    const { run_id, artifact_uri } = (await ask<Run>('POST', 'runs/create', { experiment_id }, { workspace })).run.info;
    const folder = artifact_uri.replace('mlflow-artifacts:/', '');
    await ask('PUT', `${ARTIFACTS}/${folder}/model/MLmodel`, Buffer.from('flavors: {}\n'), { workspace });
    await ask('POST', 'registered-models/create', { name: 'm' }, { workspace });
    await ask('POST', 'model-versions/create', { name: 'm', source: `runs:/${run_id}/model`, run_id }, { workspace });
    await ask('POST', '/api/1.0/promotions', { source: { workspace, name: 'm', version: '1' }, target: { registry, name: 'shared' } });
    expect(await statusesOf('GET', `${REGISTRIES}/${registry}/models/shared/versions/1`)).toEqual([200, 200, 200]);
    await ask('PUT', `/api/1.0/workspaces/${workspace}/mounts/shared`, { registry, name: 'shared' });
    expect(await statusesOf('GET', `/api/1.0/workspaces/${workspace}/mounts/shared`)).toEqual([200, 200, 200]);
    expect(await statusesOf('GET', query('registered-models/get', { name: 'shared' }), undefined, { workspace })).toEqual([200, 200, 200]);
  });

  it('users, tokens, sessions, and rights that were given', async () => {
    const workspace = await makeWorkspace();
    const username = await makePerson();
    const { bearer } = await makeToken(username);
    expect(await statusesOf('GET', 'users/current', undefined, { authorization: bearer })).toEqual([200, 200, 200]);
    const asUser = { workspace, authorization: bearer };
    expect(await statusesOf('GET', 'registered-models/search', undefined, asUser)).toEqual([404, 404, 404]);
    await ask('PUT', `/api/1.0/workspaces/${workspace}/grants/user:${username}`, { permission: 'EDIT' });
    expect(await statusesOf('GET', 'registered-models/search', undefined, asUser)).toEqual([200, 200, 200]);
    const session = { authorization: null, headers: { Cookie: await signIn(username) } };
    expect(await statusesOf('GET', '/api/1.0/session', undefined, session)).toEqual([200, 200, 200]);
  });

  it('wrong passwords: ten on all servers together, and every one refuses the next', { timeout: 60_000 }, async () => {
    const wrong = { authorization: basic(freshName('nobody'), 'wrong password') };
    for (let i = 0; i < 10; i++) expect((await send('GET', 'users/current', undefined, wrong)).status).toBe(401);
    expect(await statusesOf('GET', 'users/current', undefined, wrong)).toEqual([429, 429, 429]);
  });
});

async function signIn(username: string): Promise<string> {
  const reply = await fetch(`${servers[0]?.url}/login`, {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ username, password: PASSWORD }),
  });
  return (reply.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
}

/**
 * Asks the other servers, which answer as `before`; changes something on the first one; and asks on until each answers as `after`. Gives how long after the
 * answer to the change (ms) the last request was sent that one of them answered as before; 0 when there was none.
 */
async function staleFor(
  look: (server: Send) => Promise<unknown>,
  { before, after }: { before: unknown; after: unknown },
  change: () => Promise<unknown>,
): Promise<number> {
  const lastUnlike = async (server: Send, wanted: unknown) => {
    let last = 0;
    for (const deadline = Date.now() + 10_000; ; await sleep(ASK_EVERY_MS)) {
      const sent = performance.now();
      const found = await look(server);
      if (found === wanted) return last;
      if (Date.now() > deadline) throw new Error(`It answers ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}.`);
      last = sent;
    }
  };
  await Promise.all(others.map((server) => lastUnlike(server, before)));
  await change();
  const changed = performance.now();
  const last = await Promise.all(others.map((server) => lastUnlike(server, after)));
  return Math.max(0, ...last.map((at) => at - changed));
}

const statusOf =
  (...request: Parameters<Send>) =>
  async (server: Send) =>
    (await server(...request)).status;

describe('what other servers remember is a second old at most', { timeout: 30_000 }, () => {
  type Case = () => Promise<[Parameters<typeof staleFor>[0], { before: unknown; after: unknown }, () => Promise<unknown>]>;
  const cases: Record<string, Case> = {
    'a token that was withdrawn': async () => {
      const { bearer, token_id } = await makeServiceAccount();
      const look = statusOf('GET', 'users/current', undefined, { authorization: bearer });
      return [look, { before: 200, after: 401 }, () => askOne('DELETE', `/api/1.0/tokens/${token_id}`)];
    },
    'a password that was changed': async () => {
      const username = await makePerson();
      const look = statusOf('GET', 'users/current', undefined, { authorization: basic(username, PASSWORD) });
      // Each look with the old password is a wrong one: the tenth is refused for another reason.
      const failed = async (server: Send) => (await look(server)) !== 200;
      return [
        failed,
        { before: false, after: true },
        () => askOne('PATCH', 'users/update-password', { username, password: `${PASSWORD}, changed` }),
      ];
    },
    'a session that was ended': async () => {
      const username = await makePerson();
      const session = { authorization: null, headers: { Cookie: await signIn(username) } };
      return [
        statusOf('GET', '/api/1.0/session', undefined, session),
        { before: 200, after: 401 },
        () => one('POST', '/logout', undefined, session),
      ];
    },
    'a user that was removed': async () => {
      const username = await makePerson();
      const { bearer } = await makeToken(username);
      const look = statusOf('GET', 'users/current', undefined, { authorization: bearer });
      return [look, { before: 200, after: 401 }, () => askOne('DELETE', 'users/delete', { username })];
    },
    'an administrator that is no longer one': async () => {
      const username = await makePerson();
      const { bearer } = await makeToken(username);
      await ask('PATCH', 'users/update-admin', { username, is_admin: true });
      const look = statusOf('GET', '/api/1.0/service-accounts', undefined, { authorization: bearer });
      return [look, { before: 200, after: 403 }, () => askOne('PATCH', 'users/update-admin', { username, is_admin: false })];
    },
    'a right that was taken back': async () => {
      const workspace = await makeWorkspace();
      const { username, bearer } = await makeServiceAccount();
      const grant = `/api/1.0/workspaces/${workspace}/grants/user:${username}`;
      await ask('PUT', grant, { permission: 'READ' });
      const look = statusOf('GET', 'registered-models/search', undefined, { workspace, authorization: bearer });
      return [look, { before: 200, after: 404 }, () => askOne('DELETE', grant)];
    },
    'a registry that was closed to those without rights': async () => {
      const registry = await makeRegistry('m');
      const { bearer } = await makeServiceAccount();
      const look = statusOf('GET', query('registered-models/get', { name: `${registry}.m` }), undefined, { authorization: bearer });
      return [look, { before: 200, after: 404 }, () => askOne('PATCH', `${REGISTRIES}/${registry}`, { visibility: 'PRIVATE' })];
    },
    'a workspace that was removed': async () => {
      const workspace = await makeWorkspace();
      const look = statusOf('GET', 'registered-models/search', undefined, { workspace });
      return [look, { before: 200, after: 404 }, () => askOne('DELETE', `${WORKSPACES}/${workspace}`)];
    },
    'a registry that there was not, by the name of a model in it': async () => {
      const registry = freshName('reg');
      const look = statusOf('GET', query('registered-models/get', { name: `${registry}.m` }));
      const make = async () => {
        await askOne('POST', REGISTRIES, { name: registry });
        await askOne('POST', 'registered-models/create', { name: `${registry}.m` });
      };
      return [look, { before: 404, after: 200 }, make];
    },
    'a mount that means another model': async () => {
      const [workspace, registry] = [await makeWorkspace(), await makeRegistry('first', 'second')];
      const mount = `/api/1.0/workspaces/${workspace}/mounts/local`;
      await ask('PUT', mount, { registry, name: 'first' });
      const look = async (server: Send) => {
        const { body } = await server('GET', query('registered-models/get', { name: 'local' }), undefined, { workspace });
        return (body as { registered_model?: { description: string } }).registered_model?.description ?? null;
      };
      return [look, { before: 'first', after: 'second' }, () => askOne('PUT', mount, { registry, name: 'second' })];
    },
    'a mount that was removed': async () => {
      const [workspace, registry] = [await makeWorkspace(), await makeRegistry('first')];
      const mount = `/api/1.0/workspaces/${workspace}/mounts/local`;
      await ask('PUT', mount, { registry, name: 'first' });
      const look = statusOf('GET', query('registered-models/get', { name: 'local' }), undefined, { workspace });
      // Until all mounts were read again it is not among those that are remembered.
      await sleep(STALE_MS);
      return [look, { before: 200, after: 404 }, () => askOne('DELETE', mount)];
    },
  };

  it.each(Object.entries(cases))('%s', async (_, prepare) => {
    const took = await staleFor(...(await prepare()));
    expect(took).toBeLessThan(STALE_MS + SLACK_MS);
  });

  it('a mounted model that was renamed: its mount means it again', async () => {
    const [workspace, registry] = [await makeWorkspace(), await makeRegistry('first')];
    await ask('PUT', `/api/1.0/workspaces/${workspace}/mounts/local`, { registry, name: 'first' });
    const look = statusOf('GET', query('registered-models/get', { name: 'local' }), undefined, { workspace });
    await expect.poll(() => Promise.all(others.map(look)), { timeout: 5000 }).toEqual([200, 200]);
    await askOne('POST', 'registered-models/rename', { name: `${registry}.first`, new_name: `${registry}.renamed` });
    const renamed = performance.now();
    let lastMissing = 0;
    while (performance.now() - renamed < 3 * STALE_MS) {
      const sent = performance.now();
      if (!(await Promise.all(others.map(look))).every((status) => status === 200)) lastMissing = sent - renamed;
    }
    expect(lastMissing).toBeLessThan(STALE_MS + SLACK_MS);
  });

  it('a webhook that is new: what happens on another server a second later is sent, once', async () => {
    const workspace = await makeWorkspace();
    const receiver = await startReceiver();
    const events = [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }];
    await askOne('POST', 'webhooks', { name: 'hook', url: receiver.url, events }, { workspace });
    const registered = performance.now();
    const made: { name: string; after: number }[] = [];
    while (performance.now() - registered < 2 * STALE_MS) {
      for (const server of others) {
        const name = freshName('m');
        made.push({ name, after: performance.now() - registered });
        await succeeding(server)('POST', 'registered-models/create', { name }, { workspace });
      }
    }
    const awaited = made.filter(({ after }) => after > STALE_MS + SLACK_MS / 2);
    const told = () => receiver.received.map(({ body }) => (body.data as { name: string }).name);
    await expect.poll(told, { timeout: 15_000 }).toEqual(expect.arrayContaining(awaited.map(({ name }) => name)));
    expect(awaited.length).toBeGreaterThan(0);
    expect(new Set(told()).size).toBe(told().length);
  });
});

describe('requests of a caller in a minute', () => {
  it('are counted over all servers: one that has seen none of them refuses within a second', { timeout: 90_000 }, async () => {
    const most = 30;
    const site = await makeSite({ ...env, REQUESTS_PER_MINUTE: String(most) });
    const both = await Promise.all([site.start(), site.start()]);
    const admin = succeeding(balanced(both, { authorization: await adminToken(both) }));
    await admin('POST', '/api/1.0/service-accounts', { username: 'busy' });
    const { token } = await admin<{ token: string }>('POST', '/api/1.0/tokens', { name: 'ci', username: 'busy' });
    const [here, there] = both.map((server) => balanced([server], { authorization: `Bearer ${token}` })) as [Send, Send];
    // Counts begin anew with a minute of the clock.
    const left = 60_000 - (Date.now() % 60_000);
    if (left < 15_000) await sleep(left + 200);
    const statuses = await Promise.all(Array.from({ length: most }, async () => (await here('GET', 'users/current')).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
    // By its next share this one has told the others, who ask when they have something to tell themselves.
    await sleep(STALE_MS + SLACK_MS);
    expect((await there('GET', 'users/current')).status).toBe(200);
    await sleep(STALE_MS + SLACK_MS);
    expect((await there('GET', 'users/current')).status).toBe(429);
    expect((await here('GET', 'users/current')).status).toBe(429);
  });
});
