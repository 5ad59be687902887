import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { endpoint, type Services, streamEndpoint } from '../../endpoint.ts';
import { MlflowError } from '../../platform/errors.ts';
import { readForm } from '../../platform/http/form.ts';
import { countFailedLogin, recordSignIn } from '../audit/sign-in.ts';
import { sha256Of } from '../new-token.ts';
import { checkNewPassword, hashPassword } from '../passwords.ts';
import { cookieOf, csrfTokenOf, sessionOf, setCookie, setSession } from './cookies.ts';
import { sendLoginPage, sendSetupPage } from './pages.ts';
import { deleteSession, insertSession, SESSION_SECONDS, setFirstPassword } from './store.ts';

const OIDC_STATE = 'model_commons_oidc';
const OIDC_STATE_SECONDS = 600;

const page = { apiVersion: 'none', scoped: false, permission: 'public', onPrimary: true } as const;

/** Where to go after signing in: a path of this server, and no other address that looks like one. */
const localPath = (next: string): string => (/^\/(?![/\\])[^\\\0-\x20]*$/.test(next) ? next : '/');

const isSecure = ({ links }: Services): boolean => links.base.startsWith('https:');

function goTo(res: ServerResponse, location: string, cookies: string[] = []): void {
  res.writeHead(303, { Location: location, 'Cache-Control': 'no-store', ...(cookies.length > 0 && { 'Set-Cookie': cookies }) }).end();
}

/** A form that another site sent: browsers tell where it came from. */
function refuseForeignForm(req: IncomingMessage): void {
  const { origin, host } = req.headers;
  const site = req.headers['sec-fetch-site'];
  if (
    (origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host)) ||
    (typeof site === 'string' && !['same-origin', 'none'].includes(site))
  )
    throw new MlflowError('PERMISSION_DENIED', 'This form was sent by a page of another site. Sign in on the page of this server.');
}

async function beginSession(services: Services, req: IncomingMessage, res: ServerResponse, user: number, next: string): Promise<void> {
  const token = await insertSession(services.db, user);
  await recordSignIn(services, req, user);
  const secure = isSecure(services);
  goTo(res, localPath(next), [setSession(token, SESSION_SECONDS, secure), setCookie(OIDC_STATE, '', 0, secure)]);
}

const loginPage = streamEndpoint({
  ...page,
  op: 'session.login_page',
  summary: 'The page to sign in on',
  method: 'GET',
  path: '/login',
  effect: 'read',
  input: z.object({ next: z.string().default('/') }),
  async handler({ access, input, res }) {
    if (access === null) return goTo(res, '/');
    sendLoginPage(res, 200, { next: localPath(input.next), message: '', elsewhere: access.oidc !== null });
  },
});

const login = streamEndpoint({
  ...page,
  op: 'session.login',
  summary: 'Sign in with a password, from the page',
  method: 'POST',
  path: '/login',
  effect: 'read',
  input: z.object({}),
  async handler({ req, res, input: _, log: __, ...services }) {
    const { access } = services;
    if (access === null) return goTo(res, '/');
    refuseForeignForm(req);
    const form = await readForm(req);
    const next = localPath(form.get('next') ?? '');
    try {
      const { id } = await access.authentication.verify(form.get('username') ?? '', form.get('password') ?? '', req);
      await beginSession(services, req, res, id, next);
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      if (error.code === 'UNAUTHENTICATED') countFailedLogin(services.audit, req, 'session.login', form.get('username') ?? '');
      sendLoginPage(res, error.status, { next, message: error.message, elsewhere: access.oidc !== null });
    }
  },
});

const logout = streamEndpoint({
  ...page,
  op: 'session.logout',
  summary: 'Sign out of the browser session',
  method: 'POST',
  path: '/logout',
  effect: 'read',
  input: z.object({}),
  async handler({ req, res, input: _, log: __, ...services }) {
    refuseForeignForm(req);
    const session = sessionOf(req);
    if (session) await deleteSession(services.db, sha256Of(session));
    goTo(res, '/login', [setSession('', 0, isSecure(services))]);
  },
});

const setupPage = streamEndpoint({
  ...page,
  op: 'session.setup_page',
  summary: 'The page on which the first administrator chooses a password',
  method: 'GET',
  path: '/setup',
  effect: 'read',
  input: z.object({ token: z.string().default('') }),
  async handler({ input, res }) {
    sendSetupPage(res, 200, { token: input.token, message: '' });
  },
});

const setup = streamEndpoint({
  ...page,
  op: 'session.setup',
  summary: 'Choose the password of the first administrator',
  method: 'POST',
  path: '/setup',
  effect: 'read',
  input: z.object({}),
  async handler({ req, res, input: _, log: __, ...services }) {
    refuseForeignForm(req);
    const form = await readForm(req);
    const token = form.get('token') ?? '';
    const password = form.get('password') ?? '';
    try {
      checkNewPassword(password);
      const user = await setFirstPassword(services.db, sha256Of(token), await hashPassword(password));
      if (user === null)
        throw new MlflowError('PERMISSION_DENIED', 'This link has been used or has expired. Start the server again to get a new one.');
      await beginSession(services, req, res, user, '/');
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      sendSetupPage(res, error.status, { token, message: error.message });
    }
  },
});

const oidcLogin = streamEndpoint({
  ...page,
  op: 'session.oidc_login',
  summary: 'Sign in at the identity provider',
  method: 'GET',
  path: '/login/oidc',
  effect: 'read',
  input: z.object({ next: z.string().default('/') }),
  async handler({ input, res, req: _, log: __, ...services }) {
    const { access, links } = services;
    if (!access?.oidc) return goTo(res, '/login');
    const { url, state } = await access.oidc.begin(`${links.base}/login/oidc/callback`, localPath(input.next));
    goTo(res, url, [setCookie(OIDC_STATE, state, OIDC_STATE_SECONDS, isSecure(services))]);
  },
});

const oidcCallback = streamEndpoint({
  ...page,
  op: 'session.oidc_callback',
  summary: 'Where the identity provider sends the browser back to',
  method: 'GET',
  path: '/login/oidc/callback',
  effect: 'read',
  input: z.object({}),
  async handler({ req, res, input: _, log: __, ...services }) {
    const { access, links } = services;
    if (!access?.oidc) return goTo(res, '/login');
    try {
      const { user, next } = await access.oidc.finish(new URL(req.url ?? '/', links.base), cookieOf(req, OIDC_STATE) ?? '');
      await beginSession(services, req, res, user, next);
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      sendLoginPage(res, error.status, { next: '/', message: error.message, elsewhere: true });
    }
  },
});

const current = endpoint({
  op: 'session.get',
  summary: 'Who is signed in, and the token that writes of a browser session must carry as X-CSRF-Token',
  method: 'GET',
  apiVersion: '1.0',
  path: '/session',
  effect: 'read',
  scoped: false,
  permission: 'authenticated',
  input: z.object({}),
  output: z.object({ username: z.string(), is_admin: z.boolean(), login: z.boolean(), csrf_token: z.string().optional() }),
  async handler({ access, caller, session }) {
    return {
      username: caller.username,
      is_admin: caller.isAdmin,
      login: access !== null,
      ...(session !== undefined && { csrf_token: csrfTokenOf(session) }),
    };
  },
});

export const sessionEndpoints = [loginPage, login, logout, setupPage, setup, oidcLogin, oidcCallback, current];
