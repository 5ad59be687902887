import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { openAccess } from '../src/access/open.ts';
import { readConfig } from '../src/config.ts';
import { startIdentityProvider } from './helpers/identity-provider.ts';
import { ADMIN, startServerWithLogin } from './helpers/login.ts';
import { startTestServer } from './helpers/server.ts';

const CLIENT = 'model-commons';
const provider = await startIdentityProvider(CLIENT);
const settings = readConfig([], { AUTH: 'on', OIDC_ISSUERS: provider.url }).auth;
const server = await startServerWithLogin({ oidc: settings.oidc });

const cookieFrom = (reply: request.Response): string => (reply.headers['set-cookie'] as unknown as string[])[0]?.split(';')[0] ?? '';
const signIn = (form: Record<string, string>) => request(server.url).post('/login').type('form').send(form);

describe('the browser session', () => {
  it('begins with a password, is kept in a cookie that pages cannot read, and goes on to a path of this server only', async () => {
    const page = await request(server.url).get('/login').query({ next: '/#/models' });
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'/);
    expect(page.text).toContain('value="/#/models"');
    const reply = await signIn({ ...ADMIN, next: '/x' });
    expect([reply.status, reply.headers.location]).toEqual([303, '/x']);
    expect((reply.headers['set-cookie'] as unknown as string[])[0]).toMatch(
      /^model_commons_session=mct_[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=43200$/,
    );
    for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example'])
      expect((await signIn({ ...ADMIN, next })).headers.location).toBe('/');
  });

  it('reads with the cookie alone, and writes only with the token that pages of another site do not have', async () => {
    const cookie = cookieFrom(await signIn(ADMIN));
    const { csrf_token, ...who } = (await request(server.url).get('/api/1.0/session').set('Cookie', cookie)).body;
    expect(who).toEqual({ username: 'admin', is_admin: true, login: true });
    const create = (name: string) =>
      request(server.url).post('/ajax-api/2.0/mlflow/registered-models/create').set('Cookie', cookie).send({ name });
    expect((await create('forged')).status).toBe(403);
    expect((await create('forged').set('X-CSRF-Token', 'x')).status).toBe(403);
    expect((await create('wanted').set('X-CSRF-Token', csrf_token)).status).toBe(200);
  });

  it('ends when its user signs out', async () => {
    const cookie = cookieFrom(await signIn(ADMIN));
    expect((await request(server.url).post('/logout').set('Cookie', cookie)).status).toBe(303);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await request(server.url).get('/api/1.0/session').set('Cookie', cookie)).status).toBe(401);
  });

  it('refuses a form that a page of another site sent, and says what went wrong on the page', async () => {
    expect((await signIn(ADMIN).set('Origin', 'https://evil.example')).status).toBe(403);
    expect((await signIn(ADMIN).set('Sec-Fetch-Site', 'cross-site')).status).toBe(403);
    const wrong = await signIn({ username: 'admin', password: '<script>' });
    expect(wrong.status).toBe(401);
    expect(wrong.text).toContain('role="alert"');
    expect(wrong.text).not.toContain('<script>');
  });
});

describe('guessing (G5)', () => {
  const guess = (username: string) =>
    server.withHeader(`Basic ${Buffer.from(`${username}:wrong password`).toString('base64')}`).get('registered-models/search');

  it('is refused after ten wrong passwords, whether there is such a user or not, and tells when to come back', {
    timeout: 60_000,
  }, async () => {
    await server.db.query("insert into users (username) values ('victim')");
    for (const username of ['victim', 'no-such-user']) {
      await guess(username);
      await server.db.query('update failed_logins set failures = failures + 7 where attempt like $1', [`% ${username}`]);
      const statuses = [];
      for (let i = 0; i < 3; i++) statuses.push((await guess(username)).status);
      expect(statuses).toEqual([401, 401, 429]);
      expect(Number((await guess(username)).headers['retry-after'])).toBeGreaterThan(0);
    }
  });
});

describe('OpenID Connect', () => {
  it('takes tokens of a configured issuer, and knows their user by the subject', async () => {
    const token = await provider.sign({ sub: 'subject-9', email: 'bob@example.com' });
    const caller = server.withHeader(`Bearer ${token}`);
    expect((await caller.get('/api/1.0/session')).body).toMatchObject({ username: 'bob@example.com', is_admin: false });
    const renamed = server.withHeader(`Bearer ${await provider.sign({ sub: 'subject-9', email: 'robert@example.com' })}`);
    expect((await renamed.get('/api/1.0/session')).body.username).toBe('bob@example.com');
  });

  it.each([
    ['of another audience', () => provider.sign(provider.person, { audience: 'other' })],
    ['that has expired', () => provider.sign(provider.person, { expires: '-5m' })],
    ['signed by another key', () => provider.sign(provider.person, { key: provider.otherKey })],
    ['of an unknown issuer', () => provider.sign(provider.person, { issuer: 'https://evil.example' })],
    ['without the claim for the name', () => provider.sign({ sub: 'x' })],
    ['that is none', async () => 'a.b.c'],
    [
      'without a signature',
      async () =>
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ iss: provider.url, sub: 'x', aud: CLIENT, email: 'x', exp: 9e9 })).toString('base64url')}.`,
    ],
  ])('refuses a token %s', async (_, token) => {
    const reply = await server.withHeader(`Bearer ${await token()}`).get('registered-models/search');
    expect([reply.status, reply.body.error_code]).toEqual([401, 'UNAUTHENTICATED']);
  });

  it('does not give the name of a user here to somebody of the provider', async () => {
    const reply = await server
      .withHeader(`Bearer ${await provider.sign({ sub: 'thief', email: ADMIN.username })}`)
      .get('registered-models/search');
    expect(reply.status).toBe(401);
    expect(reply.body.message).toContain("The name 'admin' belongs to another user");
  });

  it('makes its user a member of the groups that the token names', async () => {
    await server.db.query("insert into groups (name) values ('data-science'), ('left')");
    await server.withHeader(`Bearer ${await provider.sign({ sub: 'g', email: 'g@x', groups: ['left'] })}`).get('/api/1.0/session');
    await server
      .withHeader(`Bearer ${await provider.sign({ sub: 'g', email: 'g@x', groups: ['data-science', 'unknown'] })}`)
      .get('/api/1.0/session');
    const { rows } = await server.db.query(
      "select g.name from group_members m join groups g on g.id = m.group_id join users u on u.id = m.user_id where u.username = 'g@x'",
    );
    expect(rows).toEqual([{ name: 'data-science' }]);
  });

  it('signs a browser in by the authorization code flow with PKCE', async () => {
    const begun = await request(server.url).get('/login/oidc').query({ next: '/wanted' });
    const asked = new URL(begun.headers.location ?? '');
    expect(asked.searchParams.get('code_challenge_method')).toBe('S256');
    const back = new URL((await fetch(asked, { redirect: 'manual' })).headers.get('location') ?? '');
    const path = back.pathname + back.search;
    expect((await request(server.url).get(path)).status).toBe(401);
    const done = await request(server.url).get(path).set('Cookie', cookieFrom(begun));
    expect([done.status, done.headers.location]).toEqual([303, '/wanted']);
    const session = await request(server.url).get('/api/1.0/session').set('Cookie', cookieFrom(done));
    expect(session.body.username).toBe('ann@example.com');
    // The code was good for once.
    expect((await request(server.url).get(path).set('Cookie', cookieFrom(begun))).status).toBe(401);
  });
});

it('lets the first administrator choose a password by a link that works once', async () => {
  const fresh = await startTestServer();
  const access = await openAccess(fresh.db, { ...settings, adminPassword: undefined });
  const token = access?.setupToken ?? '';
  access?.stop();
  const choose = (password: string) => request(fresh.url).post('/setup').type('form').send({ token, password });
  expect((await choose('too short')).text).toContain('at least 12 characters');
  expect((await choose('long enough, this')).status).toBe(303);
  expect((await choose('long enough, that')).status).toBe(403);
  expect((await openAccess(fresh.db, { ...settings, adminPassword: undefined }))?.setupToken).toBeNull();
});

it('answers so many requests of a caller in a minute on all servers together, and then 429', async () => {
  const limited = await startServerWithLogin({ requestsPerMinute: 20 });
  const caller = await limited.as('busy');
  const replies = await Promise.all(Array.from({ length: 30 }, () => caller.get('registered-models/search')));
  const refused = replies.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThanOrEqual(10);
  expect(Number(refused[0]?.headers['retry-after'])).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const { rows } = await limited.db.query("select sum(total)::integer as total from request_counts where caller = 'busy'");
  expect(rows).toEqual([{ total: 30 }]);
});
