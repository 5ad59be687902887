import request from 'supertest';
import { newToken } from '../../src/access/new-token.ts';
import type { AuthSettings } from '../../src/access/open.ts';
import { readConfig } from '../../src/config.ts';
import { startTestServer } from './server.ts';

export const ADMIN = { username: 'admin', password: 'correct horse battery' };

type Body = Record<string, unknown> | unknown[] | string;
type GrantTo = { scope: string; type: string; pattern?: string; permission: string };

/** A test server with login on. `as` makes a user with these grants, and what sends its requests, by a token of its own. */
export async function startServerWithLogin(
  settings: Partial<AuthSettings> = {},
  audited?: boolean,
  observed?: Parameters<typeof startTestServer>[7],
) {
  const auth = { ...readConfig([], { AUTH: 'on', ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password }).auth, ...settings };
  const server = await startTestServer(undefined, { timeoutSeconds: 1 }, undefined, undefined, undefined, auth, audited, observed);

  async function tokenOf(username: string, limits: { scopes?: string[]; permission?: string } = {}): Promise<string> {
    const { token, sha256 } = newToken();
    await server.db.query(
      `insert into access_tokens (user_id, kind, sha256, scopes, permission) select id, 'PERSONAL', $2, $3, $4 from users where username = $1`,
      [username, sha256, limits.scopes ?? null, limits.permission ?? null],
    );
    return token;
  }

  async function grant(username: string, { scope, type, pattern = '*', permission }: GrantTo): Promise<void> {
    await server.db.query(
      `with r as (
         insert into roles (scope_id, name, user_id)
         select s.id, '__user_' || u.id || '__', u.id from users u, scopes s where u.username = $1 and s.name = $2
         on conflict (scope_id, name) do update set name = excluded.name returning id)
       insert into role_permissions (role_id, resource_type, resource_pattern, permission) select id, $3, $4, $5 from r
       on conflict (role_id, resource_type, resource_pattern) do update set permission = excluded.permission`,
      [username, scope, type, pattern, permission],
    );
  }

  const withHeader = (authorization: string | null) => {
    const at = (target: string) => (target.startsWith('/') ? target : `/api/2.0/mlflow/${target}`);
    const prepared = (test: request.Test) => (authorization === null ? test : test.set('Authorization', authorization));
    const send =
      (method: 'post' | 'put' | 'patch' | 'delete') =>
      (target: string, body: Body = {}, workspace?: string): request.Test => {
        const test = prepared(request(server.url)[method](at(target))).set('Content-Type', 'application/json');
        if (workspace) test.set('X-MLFLOW-WORKSPACE', workspace);
        return test.send(typeof body === 'string' ? body : JSON.stringify(body));
      };
    return {
      get: (target: string, query: Record<string, string | number | boolean | string[]> = {}, workspace?: string) => {
        const test = prepared(request(server.url).get(at(target))).query(query);
        return workspace ? test.set('X-MLFLOW-WORKSPACE', workspace) : test;
      },
      post: send('post'),
      put: send('put'),
      patch: send('patch'),
      delete: send('delete'),
    };
  };

  return {
    ...server,
    tokenOf,
    grant,
    withHeader,
    admin: withHeader(`Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`),
    async as(username: string, ...grants: GrantTo[]) {
      await server.db.query('insert into users (username) values ($1) on conflict do nothing', [username]);
      for (const each of grants) await grant(username, each);
      return withHeader(`Bearer ${await tokenOf(username)}`);
    },
  };
}
