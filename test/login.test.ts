import { describe, expect, it } from 'vitest';
import { ADMIN, startServerWithLogin } from './helpers/login.ts';

const server = await startServerWithLogin();
const { admin } = server;
await admin.post('/api/3.0/mlflow/workspaces', { name: 'dev' }).expect(201);
await admin.post('/api/3.0/mlflow/workspaces', { name: 'prod' }).expect(201);
await admin.post('/api/1.0/registries', { name: 'shared', visibility: 'PRIVATE' }).expect(201);

const basic = (username: string, password: string) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

describe('who calls', () => {
  it.each([
    ['nobody', null],
    ['a wrong password', basic(ADMIN.username, 'wrong horse battery')],
    ['an unknown user', basic('nobody', ADMIN.password)],
    ['a malformed header', 'Basic ****'],
    ['a header without a scheme', 'x'],
    ['Digest', 'Digest username="admin"'],
    ['an unknown token', 'Bearer mct_unknown'],
    ['SQL', basic("admin' or 1=1 --", 'x')],
    ['NUL in the name', basic('ad\0min', ADMIN.password)],
    ['5000 characters', basic('a'.repeat(5000), 'x')],
  ])('refuses %s with 401 in the shape of MLflow', async (_, header) => {
    for (const target of ['registered-models/search', '/api/2.0/nothing/here', '/ajax-api/2.0/mlflow/runs/get?run_id=x']) {
      const reply = await server.withHeader(header).get(target);
      expect(reply.status).toBe(401);
      expect(reply.body.error_code).toBe('UNAUTHENTICATED');
    }
  });

  it('answers health, version and server-info to anybody', async () => {
    for (const target of ['/health', '/version', '/api/3.0/mlflow/server-info'])
      expect((await server.withHeader(null).get(target)).status).toBe(200);
  });

  it('takes the password as Basic, a token as Bearer, and a token as the password of any name', async () => {
    const token = await server.tokenOf(ADMIN.username);
    for (const header of [basic(ADMIN.username, ADMIN.password), `Bearer ${token}`, basic('anything', token)])
      expect((await server.withHeader(header).get('registered-models/search')).status).toBe(200);
  });

  it('forgets a withdrawn token within a second', async () => {
    const caller = await server.as('leaver');
    expect((await caller.get('registered-models/search')).status).toBe(200);
    await server.db.query("delete from users where username = 'leaver'");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await caller.get('registered-models/search')).status).toBe(401);
  });

  it('limits a token to its scopes and its permission', async () => {
    await server.db.query("insert into users (username) values ('limited')");
    await server.grant('limited', { scope: 'dev', type: 'workspace', permission: 'MANAGE' });
    await server.grant('limited', { scope: 'prod', type: 'workspace', permission: 'MANAGE' });
    const reader = server.withHeader(`Bearer ${await server.tokenOf('limited', { scopes: ['dev'], permission: 'READ' })}`);
    expect((await reader.get('registered-models/search', {}, 'dev')).status).toBe(200);
    expect((await reader.post('registered-models/create', { name: 'm' }, 'dev')).status).toBe(403);
    expect((await reader.get('registered-models/search', {}, 'prod')).status).toBe(404);
  });
});

it('lets pages of this server write, and those of another port of the machine only while login is off (F6)', async () => {
  const from = (origin: string) => admin.post('registered-models/create', { name: `page-${origin.length}` }).set('Origin', origin);
  expect((await from(server.url)).status).toBe(200);
  expect((await from('http://localhost:1')).status).toBe(403);
  expect((await from('http://127.0.0.1:65000')).status).toBe(403);
});

describe('what a caller may do', () => {
  it('may do nothing without a grant, and is not told what there is', async () => {
    const stranger = await server.as('stranger');
    await admin.post('registered-models/create', { name: 'secret' }).expect(200);
    const [hidden, absent] = [
      await stranger.get('registered-models/get', { name: 'secret' }),
      await stranger.get('registered-models/get', { name: 'absent' }),
    ];
    expect(hidden.status).toBe(404);
    expect(hidden.text.replace('secret', 'absent')).toBe(absent.text);
    expect((await stranger.get('registered-models/search')).body).toEqual({});
    expect((await stranger.post('registered-models/create', { name: 'mine' })).status).toBe(403);
    expect((await stranger.get('registered-models/search', {}, 'dev')).body.message).toBe("Workspace 'dev' not found");
    expect((await stranger.get('/api/3.0/mlflow/workspaces')).body).toEqual({ workspaces: [] });
    expect((await stranger.get('/api/1.0/registries')).body).toEqual({ registries: [] });
    expect((await stranger.get('/api/1.0/registries/shared')).status).toBe(404);
  });

  it('makes whoever creates a model or experiment its manager, and nobody else', async () => {
    const [ann, ben] = [
      await server.as('ann', { scope: 'dev', type: 'workspace', permission: 'USE' }),
      await server.as('ben', { scope: 'dev', type: 'workspace', permission: 'USE' }),
    ];
    await ann.post('registered-models/create', { name: 'anns' }, 'dev').expect(200);
    const { experiment_id } = (await ann.post('experiments/create', { name: 'anns' }, 'dev').expect(200)).body;
    await ann.patch('registered-models/update', { name: 'anns', description: 'd' }, 'dev').expect(200);
    const run = (await ann.post('runs/create', { experiment_id }, 'dev').expect(200)).body.run;
    expect((await ben.get('registered-models/get', { name: 'anns' }, 'dev')).status).toBe(404);
    expect((await ben.get('registered-models/search', {}, 'dev')).body).toEqual({});
    expect((await ben.get('runs/get', { run_id: run.info.run_id }, 'dev')).status).toBe(404);
    expect((await ben.post('runs/search', { experiment_ids: [experiment_id] }, 'dev')).body).toEqual({});
  });

  it('tells who may read, but no more, what is needed (trap T2: existence first)', async () => {
    await admin.post('registered-models/create', { name: 'shared.fraud' }).expect(200);
    const publisher = await server.as('publisher', { scope: 'shared', type: 'registered_model', pattern: 'fraud', permission: 'READ' });
    expect((await publisher.post('registered-models/create', { name: 'shared.fraud' })).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    const refused = await publisher.patch('registered-models/update', { name: 'shared.fraud', description: 'x' });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toBe(
      "Permission denied: EDIT is needed on registered model 'fraud' in 'shared', and this token of 'publisher' has READ there. Ask somebody who manages it to grant it.",
    );
    expect((await publisher.post('registered-models/create', { name: 'shared.other' })).status).toBe(403);
  });

  it('lets DENY win over what the workspace gives, also in searches', async () => {
    await admin.post('registered-models/create', { name: 'open' }, 'prod').expect(200);
    await admin.post('registered-models/create', { name: 'closed-1' }, 'prod').expect(200);
    const caller = await server.as(
      'restricted',
      { scope: 'prod', type: 'workspace', permission: 'MANAGE' },
      { scope: 'prod', type: 'registered_model', pattern: 'closed-*', permission: 'DENY' },
    );
    const found = (await caller.get('registered-models/search', {}, 'prod')).body.registered_models;
    expect(found.map(({ name }: { name: string }) => name)).toEqual(['open']);
    expect((await caller.get('registered-models/get', { name: 'closed-1' }, 'prod')).status).toBe(404);
  });
});

it('names who promoted a version and who moved an alias', async () => {
  await admin.post('/api/1.0/registries', { name: 'named', visibility: 'PRIVATE' }).expect(201);
  const [ann] = [
    await server.as(
      'ann-promotes',
      { scope: 'dev', type: 'workspace', permission: 'MANAGE' },
      { scope: 'named', type: 'registry', permission: 'EDIT' },
    ),
  ];
  const { experiment_id } = (await ann.post('experiments/create', { name: 'e' }, 'dev')).body;
  const { run_id } = (await ann.post('runs/create', { experiment_id }, 'dev')).body.run.info;
  const files = `/api/2.0/mlflow-artifacts/artifacts/workspaces/dev/${experiment_id}/${run_id}/artifacts/model/MLmodel`;
  await ann.put(files, 'flavors: {}', 'dev').expect(200);
  await ann.post('registered-models/create', { name: 'm' }, 'dev').expect(200);
  await ann.post('model-versions/create', { name: 'm', source: `runs:/${run_id}/model`, run_id }, 'dev').expect(200);
  const asked = { source: { workspace: 'dev', name: 'm', version: '1' }, target: { registry: 'named' }, set_aliases: ['champion'] };
  expect((await ann.post('/api/1.0/promotions', { ...asked, dry_run: true })).status).toBe(201);
  expect((await admin.get('registered-models/get', { name: 'named.m' })).status).toBe(404);
  expect((await ann.post('/api/1.0/promotions', asked)).body).toMatchObject({ requested_by: 'ann-promotes' });
  const { body } = await ann.get('/api/1.0/registries/named/models/m/versions/1/provenance');
  expect(body.snapshot.promotion.promoted_by).toBe('ann-promotes');
  const { moves } = (await ann.get('/api/1.0/registries/named/models/m/aliases/champion/history')).body;
  expect(moves.map(({ moved_by }: { moved_by: string }) => moved_by)).toEqual(['ann-promotes']);
});
