import { describe, expect, it } from 'vitest';
import { startServerWithLogin } from '../helpers/login.ts';

const server = await startServerWithLogin();
const { admin } = server;
await admin.post('/api/3.0/mlflow/workspaces', { name: 'dev' }).expect(201);
await admin.post('/api/3.0/mlflow/workspaces', { name: 'prod' }).expect(201);

const TOKENS = '/api/1.0/tokens';
const ann = await server.as('ann', { scope: 'dev', type: 'workspace', permission: 'MANAGE' });
const bearer = (token: string) => server.withHeader(`Bearer ${token}`);

describe('tokens', () => {
  it('are shown once, sign in as their user, and tell when they were last used', async () => {
    const made = (await ann.post(TOKENS, { name: 'laptop' }).expect(201)).body;
    expect(made).toEqual({
      token_id: expect.any(String),
      username: 'ann',
      name: 'laptop',
      creation_timestamp: expect.any(Number),
      token: expect.stringMatching(/^mct_[\w-]{43}$/),
    });
    expect((await bearer(made.token).get('users/current').expect(200)).body.user.username).toBe('ann');
    await expect
      .poll(async () => (await ann.get(TOKENS)).body.tokens.find(({ token_id }: { token_id: string }) => token_id === made.token_id))
      .toMatchObject({ name: 'laptop', last_used_timestamp: expect.any(Number) });
    expect((await ann.get(TOKENS)).text).not.toContain(made.token);
    const { rows } = await server.db.query('select from access_tokens where encode(sha256, $1) = $2', ['escape', made.token]);
    expect(rows).toEqual([]);
  });

  it('are good for no more than a second when withdrawn, and not after they expire', async () => {
    const { token, token_id } = (await ann.post(TOKENS, { name: 'lost' }).expect(201)).body;
    await bearer(token).get('users/current').expect(200);
    await ann.delete(`${TOKENS}/${token_id}`).expect(200);
    expect((await ann.delete(`${TOKENS}/${token_id}`)).status).toBe(404);
    const short = (await ann.post(TOKENS, { name: 'short', expiration_timestamp: Date.now() + 500 }).expect(201)).body;
    await new Promise((resolve) => setTimeout(resolve, 1600));
    expect((await bearer(token).get('users/current')).status).toBe(401);
    expect((await bearer(short.token).get('users/current')).status).toBe(401);
  });

  it('allow what they are limited to, and make no others', async () => {
    const limits = { scopes: ['dev'], permission: 'READ' };
    const { token, token_id } = (await ann.post(TOKENS, { name: 'ci', ...limits }).expect(201)).body;
    const limited = bearer(token);
    expect((await limited.get('registered-models/search', {}, 'dev')).status).toBe(200);
    expect((await limited.post('registered-models/create', { name: 'm' }, 'dev')).status).toBe(403);
    expect((await limited.post(TOKENS, { name: 'more' })).status).toBe(403);
    const [other] = (await ann.get(TOKENS)).body.tokens;
    expect(other.token_id).toBe(token_id);
    const another = (await ann.post(TOKENS, { name: 'another' }).expect(201)).body;
    expect((await limited.delete(`${TOKENS}/${another.token_id}`)).status).toBe(403);
    await limited.delete(`${TOKENS}/${token_id}`).expect(200);
  });

  it('for one workspace tell nothing of the others, not even what is granted to their user there', async () => {
    await server.grant('ann', { scope: 'default', type: 'registered_model', pattern: 'secret', permission: 'READ' });
    const { token } = (await ann.post(TOKENS, { name: 'dev', scopes: ['dev'] }).expect(201)).body;
    const replies = [
      await bearer(token).get('users/get', { username: 'ann' }),
      await bearer(token).get('users/list'),
      await bearer(token).get('/api/3.0/mlflow/users/roles/list', { username: 'ann' }),
      await bearer(token).get('/api/3.0/mlflow/users/permissions/list', { username: 'ann' }),
      await bearer(token).get('/api/3.0/mlflow/users/current/permissions'),
    ];
    for (const reply of replies) {
      expect(reply.status).toBe(200);
      expect(reply.text).not.toContain('secret');
    }
    expect((await ann.get('/api/3.0/mlflow/users/current/permissions')).text).toContain('secret');
  });

  it('of an administrator with limits administer nothing', async () => {
    const { token } = (await admin.post(TOKENS, { name: 'limited', permission: 'MANAGE' }).expect(201)).body;
    expect((await bearer(token).post('users/create', { username: 'x', password: 'a long enough password' })).status).toBe(403);
    expect((await bearer(token).get(TOKENS, { username: 'ann' })).status).toBe(403);
  });

  it('of others and of service accounts are for administrators', async () => {
    await admin.post('/api/1.0/service-accounts', { username: 'bot' }).expect(201);
    const { token, token_id } = (await admin.post(TOKENS, { name: 'deploy', username: 'bot' }).expect(201)).body;
    expect((await bearer(token).get('users/current').expect(200)).body.user.username).toBe('bot');
    expect((await ann.post(TOKENS, { name: 'mine', username: 'bot' })).status).toBe(403);
    expect((await ann.get(TOKENS, { username: 'bot' })).status).toBe(403);
    expect((await ann.delete(`${TOKENS}/${token_id}`)).status).toBe(404);
    expect((await admin.get(TOKENS, { username: 'bot' })).body.tokens).toMatchObject([{ name: 'deploy', username: 'bot' }]);
    expect((await admin.get(TOKENS, { username: 'nobody' })).status).toBe(404);
    await admin.delete(`${TOKENS}/${token_id}`).expect(200);
  });

  it.each([
    ['no name', {}],
    ['an over-long name', { name: 'x'.repeat(256) }],
    ['a scope there is not', { name: 'x', scopes: ['nowhere'] }],
    ['a scope the caller may not know of', { name: 'x', scopes: ['prod'] }],
    ['a level there is not', { name: 'x', permission: 'DENY' }],
    ['an expiration in the past', { name: 'x', expiration_timestamp: 1 }],
    ['an expiration that is no number', { name: 'x', expiration_timestamp: 'soon' }],
  ])('refuse %s', async (_, body) => {
    const reply = await ann.post(TOKENS, body);
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
  });
});
