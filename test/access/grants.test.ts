import { describe, expect, it } from 'vitest';
import { startServerWithLogin } from '../helpers/login.ts';

const server = await startServerWithLogin();
const { admin } = server;
await admin.post('/api/3.0/mlflow/workspaces', { name: 'dev' }).expect(201);
await admin.post('/api/1.0/registries', { name: 'shared', visibility: 'PRIVATE' }).expect(201);
await admin.post('registered-models/create', { name: 'fraud' }, 'dev').expect(200);
await admin.post('registered-models/create', { name: 'churn' }, 'dev').expect(200);
await admin.post('registered-models/create', { name: 'shared.fraud' }).expect(200);
const { experiment_id } = (await admin.post('experiments/create', { name: 'e' }, 'dev').expect(200)).body;

const at = (path: string) => `/api/3.0/mlflow/users/permissions/${path}`;
const owner = await server.as('owner', { scope: 'dev', type: 'registered_model', pattern: 'fraud', permission: 'MANAGE' });
const lead = await server.as('lead', { scope: 'dev', type: 'workspace', permission: 'MANAGE' });
const reader = await server.as('reader', { scope: 'dev', type: 'registered_model', pattern: 'fraud', permission: 'READ' });
const stranger = await server.as('stranger');

let made = 0;
async function freshUser() {
  const username = `user-${++made}`;
  return { username, caller: await server.as(username) };
}

describe('users/permissions (3.17)', () => {
  it('grants on what the caller manages: the thing, or all of its workspace', async () => {
    const { username, caller } = await freshUser();
    const grant = (resource_type: string, resource_id: string, permission = 'EDIT') => ({
      username,
      resource_type,
      resource_id,
      permission,
    });
    await owner.post(at('grant'), grant('registered_model', 'fraud'), 'dev').expect(200);
    await caller.patch('registered-models/update', { name: 'fraud', description: 'd' }, 'dev').expect(200);
    for (const refused of [
      grant('registered_model', 'churn'),
      grant('registered_model', 'f*'),
      grant('run', '*'),
      grant('experiment', experiment_id),
    ])
      expect((await owner.post(at('grant'), refused, 'dev')).status).toBe(403);
    await lead.post(at('grant'), grant('registered_model', 'c*'), 'dev').expect(200);
    await lead.post(at('grant'), grant('run', '*', 'DENY'), 'dev').expect(200);
    expect((await reader.post(at('grant'), grant('registered_model', 'fraud'), 'dev')).status).toBe(403);
    expect((await lead.post(at('grant'), grant('registered_model', 'fraud'))).status).toBe(403);
  });

  it('tells a stranger nothing of what there is', async () => {
    const grant = (resource_id: string) => ({ username: 'stranger', resource_type: 'registered_model', resource_id, permission: 'READ' });
    const somebody = await server.as('somebody', { scope: 'dev', type: 'registered_model', pattern: 'own', permission: 'READ' });
    const [there, absent] = [
      await somebody.post(at('grant'), grant('churn'), 'dev'),
      await somebody.post(at('grant'), grant('nonesuch'), 'dev'),
    ];
    expect(there.status).toBe(403);
    expect(there.text.replace('churn', 'nonesuch')).toBe(absent.text);
  });

  it('tells what a user may do by all that was granted, and what of it is granted already or not at all', async () => {
    const { username } = await freshUser();
    const on = { username, resource_type: 'registered_model', resource_id: 'fraud' };
    const ask = async (caller = admin) => (await caller.get(at('get'), on, 'dev')).body;
    expect(await ask()).toEqual({ allowed: false, permission: 'NO_PERMISSIONS' });
    await admin.post(at('grant'), { ...on, permission: 'READ' }, 'dev').expect(200);
    expect(await ask()).toEqual({ allowed: false, permission: 'READ' });
    const again = await admin.post(at('grant'), { ...on, permission: 'EDIT' }, 'dev');
    expect([again.status, again.body.error_code]).toEqual([400, 'RESOURCE_ALREADY_EXISTS']);
    await server.grant(username, { scope: 'dev', type: 'workspace', permission: 'EDIT' });
    expect(await ask(lead)).toEqual({ allowed: true, permission: 'EDIT' });
    await admin.post(at('revoke'), on, 'dev').expect(200);
    expect((await admin.post(at('revoke'), on, 'dev')).body.error_code).toBe('RESOURCE_DOES_NOT_EXIST');
    await admin.post(at('grant'), { ...on, permission: 'DENY' }, 'dev').expect(200);
    expect(await ask()).toEqual({ allowed: false, permission: 'DENY' });
    expect((await reader.get(at('get'), on, 'dev')).status).toBe(403);
  });

  it('takes the dotted name of a shared model', async () => {
    const { username, caller } = await freshUser();
    const on = { username, resource_type: 'registered_model', resource_id: 'shared.fraud' };
    await admin.post(at('grant'), { ...on, permission: 'READ' }).expect(200);
    expect((await caller.get('registered-models/get', { name: 'shared.fraud' })).status).toBe(200);
    expect((await caller.get(at('list'), { username })).body).toEqual({
      is_admin: false,
      permissions: [
        {
          role_id: expect.any(Number),
          role_name: expect.stringMatching(/^__user_/),
          workspace: 'shared',
          resource_type: 'registered_model',
          resource_pattern: 'fraud',
          permission: 'READ',
        },
      ],
    });
  });
});

describe('registered-models/permissions and experiments/permissions (2.5 to 3.10)', () => {
  it('shows what was granted by name in the user', async () => {
    const { username } = await freshUser();
    await lead.post('experiments/permissions/create', { experiment_id, username, permission: 'EDIT' }, 'dev').expect(200);
    await owner.post('registered-models/permissions/create', { name: 'fraud', username, permission: 'USE' }, 'dev').expect(200);
    const { user } = (await admin.get('users/get', { username }).expect(200)).body;
    expect(user.experiment_permissions).toEqual([{ experiment_id, user_id: user.id, permission: 'EDIT' }]);
    expect(user.registered_model_permissions).toEqual([{ workspace: 'dev', name: 'fraud', user_id: user.id, permission: 'USE' }]);
  });

  it('hides by NO_PERMISSIONS what the workspace would show, as it did there', async () => {
    const { username, caller } = await freshUser();
    await admin.post('/api/3.0/mlflow/workspaces/dev/permissions', { username, permission: 'READ' }).expect(200);
    expect((await caller.get('registered-models/get', { name: 'fraud' }, 'dev')).status).toBe(200);
    const none = { name: 'fraud', username, permission: 'NO_PERMISSIONS' };
    await admin.post('registered-models/permissions/create', none, 'dev').expect(200);
    const told = await admin.get('registered-models/permissions/get', { name: 'fraud', username }, 'dev');
    expect(told.body.registered_model_permission.permission).toBe('NO_PERMISSIONS');
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await caller.get('registered-models/get', { name: 'fraud' }, 'dev')).status).toBe(404);
  });

  it('reaches a prompt as the model that it is to older clients', async () => {
    const { username, caller } = await freshUser();
    const tags = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }];
    await admin.post('registered-models/create', { name: 'greeting', tags }, 'dev').expect(200);
    await admin.post('registered-models/permissions/create', { name: 'greeting', username, permission: 'READ' }, 'dev').expect(200);
    expect((await caller.get('registered-models/get', { name: 'greeting' }, 'dev')).status).toBe(200);
    await admin.patch('registered-models/permissions/update', { name: 'greeting', username, permission: 'EDIT' }, 'dev').expect(200);
    await admin.delete('registered-models/permissions/delete', { name: 'greeting', username }, 'dev').expect(200);
  });

  it('answers with the dotted name it was asked with', async () => {
    const { username } = await freshUser();
    const reply = await admin.post('registered-models/permissions/create', { name: 'shared.fraud', username, permission: 'READ' });
    expect(reply.body.registered_model_permission).toMatchObject({ workspace: 'shared', name: 'shared.fraud', permission: 'READ' });
  });

  it('goes with the model, and does not fall to a later one of its name', async () => {
    const { username } = await freshUser();
    await admin.post('registered-models/create', { name: 'old' }, 'dev').expect(200);
    await admin.post('registered-models/permissions/create', { name: 'old', username, permission: 'READ' }, 'dev').expect(200);
    await admin.post('registered-models/rename', { name: 'old', new_name: 'new' }, 'dev').expect(200);
    expect((await admin.get('registered-models/permissions/get', { name: 'new', username }, 'dev')).status).toBe(200);
    await admin.delete('registered-models/delete', { name: 'new' }, 'dev').expect(200);
    expect((await admin.get('registered-models/permissions/get', { name: 'new', username }, 'dev')).status).toBe(404);
  });

  it('is for who manages the thing', async () => {
    const on = { name: 'fraud', username: 'stranger' };
    for (const caller of [reader, stranger]) {
      const workspace = caller === reader ? 'dev' : undefined;
      expect((await caller.get('registered-models/permissions/get', on, workspace)).status).toBe(403);
      expect((await caller.post('registered-models/permissions/create', { ...on, permission: 'READ' }, workspace)).status).toBe(403);
      expect((await caller.delete('experiments/permissions/delete', { experiment_id, username: 'x' }, workspace)).status).toBe(403);
    }
  });
});

describe('workspaces/<name>/permissions (3.10)', () => {
  it('sets, lists and takes back levels on a workspace as a whole, legacy ones too, and on a registry', async () => {
    const { username, caller } = await freshUser();
    for (const workspace of ['dev', 'shared']) {
      const path = `/api/3.0/mlflow/workspaces/${workspace}/permissions`;
      const { permission } = (await admin.post(path, { username, permission: 'EDIT' }).expect(200)).body;
      expect(permission).toEqual({ workspace, user_id: expect.any(Number), permission: 'EDIT', can_use: true });
      expect((await admin.get(path)).body.permissions).toContainEqual(permission);
    }
    await caller.patch('registered-models/update', { name: 'shared.fraud', description: 'd' }).expect(200);
    const listed = (await caller.get('/api/3.0/mlflow/workspace-permissions', { username }).expect(200)).body.permissions;
    expect(listed.map(({ workspace }: { workspace: string }) => workspace)).toEqual(['dev', 'shared']);
    const removed = await admin.delete(`/api/3.0/mlflow/workspaces/dev/permissions?username=${username}`);
    expect([removed.status, removed.text]).toEqual([204, '']);
    expect((await admin.delete(`/api/3.0/mlflow/workspaces/dev/permissions?username=${username}`)).status).toBe(404);
  });

  it('is for who manages the workspace; to others without a place in it there is none', async () => {
    expect((await lead.get('/api/3.0/mlflow/workspaces/dev/permissions')).status).toBe(200);
    expect((await reader.get('/api/3.0/mlflow/workspaces/dev/permissions')).status).toBe(403);
    expect((await stranger.get('/api/3.0/mlflow/workspaces/dev/permissions')).status).toBe(404);
    expect((await stranger.get('/api/3.0/mlflow/workspace-permissions', { username: 'lead' })).status).toBe(403);
  });
});

describe('grants to principals', () => {
  it('are set, read, listed and taken back on a registry, a workspace, and a model of either', async () => {
    const { username } = await freshUser();
    await admin.post('/api/1.0/groups', { name: `team-${username}` }).expect(201);
    await admin.post('/api/3.0/mlflow/roles/create', { workspace: 'dev', name: `role-${username}` }).expect(200);
    await admin.post('/api/3.0/mlflow/roles/create', { workspace: 'shared', name: `role-${username}` }).expect(200);
    for (const place of ['registries/shared', 'registries/shared/models/fraud', 'workspaces/dev', 'workspaces/dev/models/fraud']) {
      for (const principal of [`user:${username}`, `group:team-${username}`, `role:role-${username}`]) {
        const path = `/api/1.0/${place}/grants/${encodeURIComponent(principal)}`;
        expect((await admin.get(path)).status).toBe(404);
        await admin.put(path, { permission: 'READ' }).expect(200);
        await admin.put(path, { permission: 'EDIT' }).expect(200);
        expect((await admin.get(path).expect(200)).body).toEqual({ principal, permission: 'EDIT' });
        const listed = (await admin.get(`/api/1.0/${place}/grants`).expect(200)).body.grants;
        expect(listed).toContainEqual(expect.objectContaining({ principal, permission: 'EDIT' }));
        await admin.delete(path).expect(200);
        expect((await admin.delete(path)).status).toBe(404);
      }
    }
  });

  it('let a group read a registry', async () => {
    const { username, caller } = await freshUser();
    await admin.post('/api/1.0/groups', { name: 'readers' }).expect(201);
    await admin.put(`/api/1.0/groups/readers/members/${username}`).expect(200);
    expect((await caller.get('/api/1.0/registries/shared')).status).toBe(404);
    await admin.put('/api/1.0/registries/shared/grants/group:readers', { permission: 'READ' }).expect(200);
    await expect.poll(async () => (await caller.get('/api/1.0/registries/shared')).status, { timeout: 2000 }).toBe(200);
    expect((await caller.get('registered-models/get', { name: 'shared.fraud' })).status).toBe(200);
  });

  it('are managed where the caller manages', async () => {
    expect((await owner.put('/api/1.0/workspaces/dev/models/fraud/grants/user:reader', { permission: 'EDIT' })).status).toBe(200);
    expect((await owner.put('/api/1.0/workspaces/dev/grants/user:owner', { permission: 'MANAGE' })).status).toBe(403);
    expect((await reader.get('/api/1.0/workspaces/dev/models/fraud/grants')).status).toBe(403);
    expect((await stranger.get('/api/1.0/registries/shared/grants')).status).toBe(404);
    expect((await lead.get('/api/1.0/registries/dev/grants')).status).toBe(404);
  });

  it.each([
    ['no kind', 'ann', { permission: 'READ' }, 400],
    ['another kind', 'team:ann', { permission: 'READ' }, 400],
    ['nobody', 'user:nobody', { permission: 'READ' }, 404],
    ['no group', 'group:nobody', { permission: 'READ' }, 404],
    ['no role', 'role:nobody', { permission: 'READ' }, 404],
    ['no level', 'user:lead', {}, 400],
    ['another level', 'user:lead', { permission: 'OWN' }, 400],
  ])('refuse %s', async (_, principal, body, status) => {
    expect((await admin.put(`/api/1.0/workspaces/dev/grants/${principal}`, body)).status).toBe(status);
  });
});
