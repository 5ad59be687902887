import { describe, expect, it } from 'vitest';
import { startServerWithLogin } from '../helpers/login.ts';

const server = await startServerWithLogin();
const { admin } = server;
await admin.post('/api/3.0/mlflow/workspaces', { name: 'dev' }).expect(201);
await admin.post('/api/3.0/mlflow/workspaces', { name: 'prod' }).expect(201);
await admin.post('/api/1.0/registries', { name: 'shared', visibility: 'PRIVATE' }).expect(201);

const at = (path: string) => `/api/3.0/mlflow/${path}`;
const lead = await server.as('lead', { scope: 'dev', type: 'workspace', permission: 'MANAGE' });
const member = await server.as('member', { scope: 'dev', type: 'workspace', permission: 'USE' });
const stranger = await server.as('stranger');

async function makeRole(workspace: string, name: string): Promise<number> {
  return (await admin.post(at('roles/create'), { workspace, name }).expect(200)).body.role.id;
}
const allow = (role_id: number, resource_type: string, resource_pattern: string, permission: string) =>
  admin.post(at('roles/permissions/add'), { role_id, resource_type, resource_pattern, permission });

describe('roles', () => {
  it('give what they hold to whom they are assigned, within a second at most, and at once to who was refused', async () => {
    const role = await makeRole('dev', 'fraud-team');
    await allow(role, 'registered_model', 'fraud-*', 'EDIT').expect(200);
    await admin.post('registered-models/create', { name: 'fraud-1' }, 'dev').expect(200);
    const caller = await server.as('ann');
    expect((await caller.get('registered-models/get', { name: 'fraud-1' }, 'dev')).status).toBe(404);
    await admin.post(at('roles/assign'), { username: 'ann', role_id: role }).expect(200);
    await caller.patch('registered-models/update', { name: 'fraud-1', description: 'd' }, 'dev').expect(200);
    await admin.delete(at('roles/unassign'), { username: 'ann', role_id: role }).expect(200);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await caller.get('registered-models/get', { name: 'fraud-1' }, 'dev')).status).toBe(404);
  });

  it('can be of a registry, and give it as a whole', async () => {
    const role = await makeRole('shared', 'readers');
    await allow(role, 'registry', '*', 'READ').expect(200);
    await admin.post('registered-models/create', { name: 'shared.fraud' }).expect(200);
    const caller = await server.as('ben');
    await admin.post(at('roles/assign'), { username: 'ben', role_id: role }).expect(200);
    expect((await caller.get('registered-models/get', { name: 'shared.fraud' })).status).toBe(200);
    expect((await caller.patch('registered-models/update', { name: 'shared.fraud', description: 'd' })).status).toBe(403);
  });

  it.each([
    ['a kind of thing there is not', 'scorer', '*', 'READ'],
    ['a level there is not', 'experiment', '*', 'SEE'],
    ['NO_PERMISSIONS', 'experiment', '*', 'NO_PERMISSIONS'],
    ['one run', 'run', 'abc', 'READ'],
    ['one workspace', 'workspace', 'dev', 'READ'],
    ['an experiment by its name', 'experiment', 'my experiment', 'READ'],
    ['an over-long pattern', 'registered_model', 'x'.repeat(501), 'READ'],
  ])('refuse %s', async (_, type, pattern, permission) => {
    const reply = await allow(await makeRole('dev', `refusing ${Math.random()}`), type, pattern, permission);
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
  });

  it('are managed by who manages their workspace, and nobody else', async () => {
    const { role } = (await lead.post(at('roles/create'), { workspace: 'dev', name: 'of-lead' }).expect(200)).body;
    await lead
      .post(at('roles/permissions/add'), { role_id: role.id, resource_type: 'experiment', resource_pattern: '*', permission: 'READ' })
      .expect(200);
    expect((await lead.get(at('roles/list'), { workspace: 'dev' })).status).toBe(200);
    expect((await lead.get(at('roles/list'))).status).toBe(403);
    expect((await lead.post(at('roles/create'), { workspace: 'prod', name: 'x' })).status).toBe(404);
    for (const path of ['roles/get', 'roles/permissions/list', 'roles/users/list'])
      expect((await member.get(at(path), { role_id: role.id })).status, path).toBe(403);
    const writes = [
      await member.patch(at('roles/update'), { role_id: role.id, name: 'mine' }),
      await member.post(at('roles/assign'), { username: 'member', role_id: role.id }),
      await member.delete(at('roles/delete'), { role_id: role.id }),
    ];
    for (const reply of writes) expect(reply.status).toBe(403);
  });

  it('are renamed and described, but not by a taken name', async () => {
    const role_id = await makeRole('dev', 'before');
    const { role } = (await admin.patch(at('roles/update'), { role_id, name: 'after', description: 'd' }).expect(200)).body;
    expect(role).toMatchObject({ id: role_id, name: 'after', description: 'd', workspace: 'dev' });
    const other = await makeRole('dev', 'other');
    const taken = await admin.patch(at('roles/update'), { role_id: other, name: 'after' });
    expect(taken.body.message).toBe('Role with name=after already exists in workspace=dev');
    expect((await admin.post(at('roles/create'), { workspace: 'dev', name: 'after' })).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    expect((await admin.patch(at('roles/update'), { role_id: other })).status).toBe(400);
    await admin.delete(at('roles/delete'), { role_id: other }).expect(200);
    expect((await admin.get(at('roles/get'), { role_id: other })).status).toBe(404);
  });

  it('are to a stranger as if they were not there', async () => {
    const role = await makeRole('prod', 'hidden');
    const [hidden, absent] = [
      await stranger.get(at('roles/get'), { role_id: role }),
      await stranger.get(at('roles/get'), { role_id: 999 }),
    ];
    expect(hidden.status).toBe(404);
    expect(hidden.text.replace(String(role), '999')).toBe(absent.text);
  });

  it('of one user alone are not renamed, removed or given to others', async () => {
    const { roles } = (await admin.get(at('users/roles/list'), { username: 'member' }).expect(200)).body;
    expect(roles).toMatchObject([{ name: expect.stringMatching(/^__user_\d+__$/), workspace: 'dev' }]);
    const role_id = roles[0].id;
    for (const reply of [
      await admin.patch(at('roles/update'), { role_id, name: 'mine' }),
      await admin.delete(at('roles/delete'), { role_id }),
      await admin.post(at('roles/assign'), { username: 'stranger', role_id }),
    ])
      expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect((await admin.post(at('roles/create'), { workspace: 'dev', name: '__user_1__' })).status).toBe(400);
    expect((await admin.get(at('roles/users/list'), { role_id })).body).toEqual({
      assignments: [{ id: 0, user_id: expect.any(Number), role_id }],
      groups: [],
    });
  });

  it('of a user are shown to others only where they manage', async () => {
    const [inDev, inProd] = [await makeRole('dev', 'in-dev'), await makeRole('prod', 'in-prod')];
    await server.as('cas');
    for (const role_id of [inDev, inProd]) await admin.post(at('roles/assign'), { username: 'cas', role_id }).expect(200);
    const namesFor = async (caller: typeof admin) =>
      (await caller.get(at('users/roles/list'), { username: 'cas' })).body.roles.map(({ name }: { name: string }) => name);
    expect(await namesFor(admin)).toEqual(['in-dev', 'in-prod']);
    expect(await namesFor(lead)).toEqual(['in-dev']);
    expect((await member.get(at('users/roles/list'), { username: 'cas' })).status).toBe(403);
    const seen = (await lead.get('users/list').expect(200)).body.users.find(({ username }: { username: string }) => username === 'cas');
    expect(seen.roles.map(({ name }: { name: string }) => name)).toEqual(['in-dev']);
  });

  it.each(['abc', '1e0', '', '9'.repeat(30)])('cannot be named by the id %j', async (role_id) => {
    const reply = await admin.get(at('roles/get'), { role_id });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
  });
});

describe('groups', () => {
  it('pass on their roles and their own grants to their members', async () => {
    const role = await makeRole('prod', 'for-groups');
    await allow(role, 'registered_model', 'a', 'READ').expect(200);
    for (const name of ['a', 'b']) await admin.post('registered-models/create', { name }, 'prod').expect(200);
    await admin.post('/api/1.0/groups', { name: 'data team' }).expect(201);
    expect((await admin.post('/api/1.0/groups', { name: 'data team' })).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    await admin.put(`/api/1.0/groups/data%20team/roles/${role}`).expect(200);
    await admin.put('/api/1.0/workspaces/prod/models/b/grants/group:data%20team', { permission: 'EDIT' }).expect(200);
    const dan = await server.as('dan');
    expect((await dan.get('registered-models/search', {}, 'prod')).status).toBe(404);
    const group = (await admin.put('/api/1.0/groups/data%20team/members/dan').expect(200)).body;
    expect(group).toMatchObject({ name: 'data team', members: ['dan'] });
    expect(group.roles.map(({ name }: { name: string }) => name)).toEqual(['for-groups', expect.stringMatching(/^__group_\d+__$/)]);
    const found = (await dan.get('registered-models/search', {}, 'prod')).body.registered_models;
    expect(found.map(({ name }: { name: string }) => name)).toEqual(['a', 'b']);
    await dan.patch('registered-models/update', { name: 'b', description: 'd' }, 'prod').expect(200);

    const { permissions } = (await dan.get(at('users/current/permissions')).expect(200)).body;
    expect(permissions).toMatchObject([
      { resource_pattern: 'a', permission: 'READ', group: 'data team' },
      { resource_pattern: 'b', permission: 'EDIT', group: 'data team' },
    ]);
    expect((await admin.get(at('roles/users/list'), { role_id: role })).body).toEqual({ assignments: [], groups: ['data team'] });

    await admin.post('/api/1.0/groups', { name: 'taken' }).expect(201);
    expect((await admin.patch('/api/1.0/groups/data%20team', { name: 'taken' })).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    expect((await admin.patch('/api/1.0/groups/data%20team', { name: 'data' }).expect(200)).body.members).toEqual(['dan']);
    await admin.delete('/api/1.0/groups/taken').expect(200);
    await admin.delete('/api/1.0/groups/data/members/dan').expect(200);
    await admin.delete(`/api/1.0/groups/data/roles/${role}`).expect(200);
    await admin.delete('/api/1.0/groups/data').expect(200);
    expect((await admin.get('/api/1.0/groups/data')).status).toBe(404);
  });

  it('are made by administrators, and seen by their members and by who manages something', async () => {
    await admin.post('/api/1.0/groups', { name: 'ops' }).expect(201);
    expect((await lead.post('/api/1.0/groups', { name: 'mine' })).status).toBe(403);
    expect((await lead.put('/api/1.0/groups/ops/members/lead')).status).toBe(403);
    expect((await lead.get('/api/1.0/groups')).body.groups.map(({ name }: { name: string }) => name)).toEqual(['ops']);
    expect((await member.get('/api/1.0/groups')).body).toEqual({ groups: [] });
    expect((await member.get('/api/1.0/groups/ops')).status).toBe(404);
    expect((await admin.post('/api/1.0/groups', { name: ' ops' })).status).toBe(400);
  });
});
