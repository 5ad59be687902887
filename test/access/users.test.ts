import { describe, expect, it } from 'vitest';
import { ADMIN, startServerWithLogin } from '../helpers/login.ts';
import { startTestServer } from '../helpers/server.ts';

const server = await startServerWithLogin();
const { admin } = server;
const PASSWORD = 'a long enough password';

const signedIn = (username: string, password: string) =>
  server.withHeader(`Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`);

async function makeUser(username: string) {
  await admin.post('users/create', { username, password: PASSWORD }).expect(200);
  return signedIn(username, PASSWORD);
}

describe('users/create', () => {
  it('makes a user whom all generations of clients can read, and who can sign in', async () => {
    const { user } = (await admin.post('users/create', { username: 'first', password: PASSWORD }).expect(200)).body;
    expect(user).toEqual({
      id: expect.any(Number),
      username: 'first',
      is_admin: false,
      kind: 'USER',
      experiment_permissions: [],
      registered_model_permissions: [],
      scorer_permissions: [],
    });
    const current = await signedIn('first', PASSWORD).get('users/current').expect(200);
    expect(current.body).toEqual({ user: { id: user.id, username: 'first', is_admin: false }, is_basic_auth: true });
  });

  it('tells of a taken name without SQL or hashes (G6)', async () => {
    const reply = await admin.post('users/create', { username: ADMIN.username, password: PASSWORD });
    expect(reply.status).toBe(400);
    expect(reply.body).toMatchObject({ error_code: 'RESOURCE_ALREADY_EXISTS', message: 'User (username=admin) already exists.' });
  });

  it.each([
    ['no name', { password: PASSWORD }],
    ['an empty name', { username: '', password: PASSWORD }],
    ['a name with a blank', { username: 'a b', password: PASSWORD }],
    ['a name with a colon', { username: 'a:b', password: PASSWORD }],
    ['a name nobody can see', { username: 'a\u200bb', password: PASSWORD }],
    ['an over-long name', { username: 'a'.repeat(256), password: PASSWORD }],
    ['no password', { username: 'x' }],
    ['a short password', { username: 'x', password: '12345678901' }],
    ['a password of 1 MB', { username: 'x', password: 'x'.repeat(1_000_000) }],
    ['a password that is no text', { username: 'x', password: 123456789012 }],
  ])('refuses %s', async (_, body) => {
    const reply = await admin.post('users/create', body);
    expect(reply.status).toBe(400);
    expect(reply.body.error_code).toBe('INVALID_PARAMETER_VALUE');
  });
});

describe('who is no administrator', () => {
  it('reads itself alone, and cannot tell who else there is (G7, G8)', async () => {
    const ann = await server.as('ann');
    expect((await ann.get('users/get', { username: 'ann' })).body.user.username).toBe('ann');
    const [there, absent] = [await ann.get('users/get', { username: 'admin' }), await ann.get('users/get', { username: 'nobody' })];
    expect(there.status).toBe(403);
    expect(there.text).toBe(absent.text);
    expect((await ann.get('users/list')).body.users.map(({ username }: { username: string }) => username)).toEqual(['ann']);
  });

  it('makes, promotes, re-passwords and removes nobody', async () => {
    const ben = await server.as('ben');
    for (const reply of [
      await ben.post('users/create', { username: 'more', password: PASSWORD }),
      await ben.patch('users/update-admin', { username: 'ben', is_admin: true }),
      await ben.patch('users/update-password', { username: 'admin', password: PASSWORD }),
      await ben.delete('users/delete', { username: 'admin' }),
      await ben.post('/api/1.0/service-accounts', { username: 'bot' }),
      await ben.get('/api/1.0/service-accounts'),
    ])
      expect([reply.status, reply.body.error_code]).toEqual([403, 'PERMISSION_DENIED']);
  });
});

describe('users/update-password', () => {
  it('needs the current one from oneself, and ends the browser sessions', async () => {
    const cas = await makeUser('cas');
    const next = `${PASSWORD}!`;
    const change = (body: object) => cas.patch('users/update-password', { username: 'cas', password: next, ...body });
    expect((await change({})).body.message).toBe('Current password is required when changing your own password.');
    expect((await change({ current_password: 'wrong' })).body.message).toBe('Current password does not match.');
    expect((await change({ password: PASSWORD, current_password: PASSWORD })).body.message).toBe(
      'New password must differ from the current password.',
    );
    await server.db.query(
      `insert into access_tokens (user_id, kind, sha256) select id, 'SESSION', sha256('x') from users where username = 'cas'`,
    );
    await change({ current_password: PASSWORD }).expect(200);
    expect((await signedIn('cas', next).get('users/current')).status).toBe(200);
    const { rows } = await server.db.query(`select from access_tokens where sha256 = sha256('x')`);
    expect(rows).toEqual([]);
  });

  it('makes guessing the current one slow', async () => {
    const dan = await makeUser('dan');
    const guess = () => dan.patch('users/update-password', { username: 'dan', password: `${PASSWORD}!`, current_password: 'guess' });
    expect((await guess()).status).toBe(400);
    await server.db.query('update failed_logins set failures = failures + 9');
    expect((await guess()).status).toBe(429);
  });

  it('is for no service account', async () => {
    await admin.post('/api/1.0/service-accounts', { username: 'bot-1' }).expect(201);
    const reply = await admin.patch('users/update-password', { username: 'bot-1', password: PASSWORD });
    expect(reply.body.error_code).toBe('INVALID_PARAMETER_VALUE');
  });
});

describe('administrators', () => {
  it('are never none', async () => {
    const demote = await admin.patch('users/update-admin', { username: 'admin', is_admin: false });
    expect([demote.status, demote.body.error_code]).toEqual([409, 'INVALID_STATE']);
    expect((await admin.delete('users/delete', { username: 'admin' })).body.error_code).toBe('BAD_REQUEST');
  });

  it('cannot remove each other at the same time', async () => {
    const eve = await server.as('eve');
    await admin.patch('users/update-admin', { username: 'eve', is_admin: true }).expect(200);
    const replies = await Promise.all([
      admin.patch('users/update-admin', { username: 'eve', is_admin: false }),
      eve.patch('users/update-admin', { username: 'admin', is_admin: false }),
    ]);
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    await server.db.query("update users set is_admin = username = 'admin'");
  });

  it('remove a user with all that was granted to it', async () => {
    const fay = await server.as('fay');
    await server.grant('fay', { scope: 'default', type: 'workspace', permission: 'READ' });
    await fay.get('registered-models/search').expect(200);
    await admin.delete('users/delete', { username: 'fay' }).expect(200);
    expect((await admin.get('users/get', { username: 'fay' })).body.message).toBe('User with username=fay not found');
    const { rows } = await server.db.query("select name from roles where name like '\\_\\_user%' and user_id is null");
    expect(rows).toEqual([]);
  });
});

describe('service accounts', () => {
  it('are made, listed and removed, apart from people', async () => {
    await admin.post('/api/1.0/service-accounts', { username: 'ci' }).expect(201);
    expect((await admin.post('/api/1.0/service-accounts', { username: 'ci' })).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    const { service_accounts: listed } = (await admin.get('/api/1.0/service-accounts').expect(200)).body;
    expect(listed.map(({ username }: { username: string }) => username)).toEqual(['bot-1', 'ci']);
    expect((await admin.delete('/api/1.0/service-accounts/admin')).status).toBe(404);
    await admin.delete('/api/1.0/service-accounts/ci').expect(200);
    expect((await admin.get('users/get', { username: 'ci' })).status).toBe(404);
  });
});

describe('MLflow 1.x', () => {
  it('is told a code that it has: it cannot read UNAUTHENTICATED, and would hide the sentence', async () => {
    const refused = (agent: string) => server.withHeader(null).get('users/current').set('User-Agent', agent);
    expect((await refused('mlflow-python-client/1.30.1')).body.error_code).toBe('CUSTOMER_UNAUTHORIZED');
    expect((await refused('mlflow-python-client/2.22.5')).body.error_code).toBe('UNAUTHENTICATED');
  });
});

describe('without login', () => {
  it('there are no users to make: who made one then would have it later', async () => {
    const open = await startTestServer();
    const reply = await open.post('users/create', { username: 'early', password: PASSWORD });
    expect([reply.status, reply.body.error_code]).toEqual([404, 'ENDPOINT_NOT_FOUND']);
    expect((await open.db.query('select from users')).rows).toEqual([]);
  });
});
