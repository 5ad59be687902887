import type { IncomingMessage } from 'node:http';
import type { Db } from '../platform/db/database.ts';
import { LEVELS, type Level } from '../platform/permission.ts';
import type { Caller } from './caller.ts';
import { type CallerRow, findCaller, findCallerById, findCallerOfToken, recordTokenUse, type TokenRow, toGrants } from './callers-store.ts';
import { permissionDenied } from './can.ts';
import { recordFailedLogin, refuseGuessing } from './failed-logins.ts';
import { compileGrants, type Grant } from './grants.ts';
import { sha256Of, TOKEN_PREFIX } from './new-token.ts';
import type { Oidc } from './oidc/open.ts';
import { verifyPassword } from './passwords.ts';
import type { RateLimit } from './rate-limit.ts';
import { isCsrfToken, sessionOf } from './sessions/cookies.ts';
import { unauthenticated } from './unauthenticated.ts';

/** For so long a change of rights, a new password or a withdrawn token may go unnoticed by a server that did not make it. */
const KNOWN_FOR_MS = 1000;
const MOST_KNOWN = 10_000;
const MAX_CREDENTIALS = 16_384;

const NOBODY =
  'You are not authenticated. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to an account of this server.';
// One sentence for all, so that it does not tell which users there are.
const WRONG = 'The user name, password or token is not right, or has expired.';

type Known = { caller: Caller; until: number; passwordHash: string | null };

export type Authentication = {
  /** The caller of a request, with rights that may be a second old unless `fresh`. Rejects with UNAUTHENTICATED. */
  authenticate(req: IncomingMessage, fresh?: 'fresh'): Promise<Caller>;
  /** The id of the user whose password it is. Rejects with UNAUTHENTICATED, or REQUEST_LIMIT_EXCEEDED after too many wrong ones. */
  verify(username: string, password: string, req: IncomingMessage): Promise<{ id: number }>;
};

/**
 * Recognises callers by the Authorization header (a password or a token as Basic, a token or a JWT as Bearer) or by the cookie of a browser session. What
 * was found is good for a second; a password is hashed only when it was not the one of the second before, so that scripts which send it with every request
 * cost no more than a token does.
 */
export function openAuthentication(db: Db, oidc: Oidc | null, rateLimit: RateLimit | null): Authentication {
  const known = new Map<string, Known>();

  async function verified(username: string, password: string, req: IncomingMessage, before?: Known): Promise<CallerRow> {
    const row = await findCaller(db, username);
    if (before && row !== null && row.password_hash !== null && row.password_hash === before.passwordHash) return row;
    const address = req.socket.remoteAddress ?? '';
    await refuseGuessing(db, username, address);
    if (!(await verifyPassword(password, row?.password_hash ?? null)) || row === null) {
      await recordFailedLogin(db, username, address);
      throw unauthenticated(WRONG);
    }
    return row;
  }

  async function ofToken(token: string, kind: 'PERSONAL' | 'SESSION'): Promise<Caller> {
    const row = await findCallerOfToken(db, sha256Of(token), [kind]);
    if (!row) throw unauthenticated(WRONG);
    if (kind === 'SESSION') return callerOf(row, 'session');
    void recordTokenUse(db, row.token_id).catch(() => {});
    return callerOfToken(row);
  }

  async function look(req: IncomingMessage, before: Known | undefined): Promise<Omit<Known, 'until'>> {
    const { authorization } = req.headers;
    const session = sessionOf(req);
    if (authorization === undefined) {
      if (session === null) throw unauthenticated(NOBODY);
      return { caller: await ofToken(session, 'SESSION'), passwordHash: null };
    }
    const credentials = readCredentials(authorization);
    if (credentials.token === undefined) {
      const row = await verified(credentials.username, credentials.password, req, before);
      return { caller: callerOf(row, 'password'), passwordHash: row.password_hash };
    }
    if (credentials.token.startsWith(TOKEN_PREFIX) || oidc === null)
      return { caller: await ofToken(credentials.token, 'PERSONAL'), passwordHash: null };
    const row = await findCallerById(db, await oidc.verifyToken(credentials.token));
    if (!row) throw unauthenticated(WRONG);
    return { caller: callerOf(row, 'oidc'), passwordHash: null };
  }

  return {
    async authenticate(req, fresh) {
      const credentials = req.headers.authorization ?? `session ${sessionOf(req) ?? ''}`;
      if (credentials.length > MAX_CREDENTIALS) throw unauthenticated(WRONG);
      const before = known.get(credentials);
      let caller = before?.caller;
      if (!before || fresh || performance.now() >= before.until) {
        const found = await look(req, before).catch((error: unknown) => {
          known.delete(credentials);
          throw error;
        });
        if (known.size >= MOST_KNOWN) known.clear();
        known.set(credentials, { ...found, until: performance.now() + KNOWN_FOR_MS });
        caller = found.caller;
      }
      if (!caller) throw unauthenticated(NOBODY);
      if (caller.via === 'session') refuseForgedWrite(req);
      if (!fresh) rateLimit?.count(caller);
      return caller;
    },
    verify: (username, password, req) => verified(username, password, req),
  };
}

/** Browsers send the cookie of a session with whatever a page makes them send: only our own pages know the token that belongs to it. */
function refuseForgedWrite(req: IncomingMessage): void {
  if (req.method === 'GET' || req.method === 'HEAD' || isCsrfToken(sessionOf(req) ?? '', req.headers['x-csrf-token'])) return;
  throw permissionDenied('A write of a browser session needs the header X-CSRF-Token, with csrf_token of GET /api/1.0/session.');
}

type Credentials = { token: string; username?: undefined } | { token?: undefined; username: string; password: string };

/** Throws UNAUTHENTICATED for a header that cannot be read. */
function readCredentials(header: string): Credentials {
  const [, scheme = '', rest = ''] = /^([a-z]+) +(\S+) *$/i.exec(header) ?? [];
  if (scheme.toLowerCase() === 'bearer') return { token: rest };
  if (scheme.toLowerCase() !== 'basic' || !/^[\w+/-]*=*$/.test(rest)) throw unauthenticated(WRONG);
  const text = Buffer.from(rest, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon < 0 || text.includes('\0')) throw unauthenticated(WRONG);
  const password = text.slice(colon + 1);
  // A token serves as the password of any user name: netrc files and older clients have no other place for it.
  return password.startsWith(TOKEN_PREFIX) ? { token: password } : { username: text.slice(0, colon), password };
}

/** The caller that a user is, without the limits of a token. */
export function callerOf(row: CallerRow, via: Caller['via']): Caller {
  const { id, username, is_admin: isAdmin, is_service_account: isServiceAccount } = row;
  const rights = { grants: compileGrants(toGrants(row.grants)), everywhere: isAdmin ? ('MANAGE' as const) : null, only: null };
  return { id, username, isAdmin, isServiceAccount, via, ...rights };
}

/** A token allows what its user may do, within its own limits; one that has limits administers nothing. */
function callerOfToken(row: TokenRow): Caller {
  const caller = { ...callerOf(row, 'token'), tokenId: row.token_id };
  const { scope_ids: scopes, permission } = row;
  if (scopes === null && permission === null) return caller;
  return {
    ...caller,
    isAdmin: false,
    limited: true,
    only: scopes && new Set(scopes),
    ...(permission && {
      everywhere: row.is_admin ? permission : null,
      grants: compileGrants(toGrants(row.grants).map((grant) => capped(grant, permission))),
    }),
  };
}

function capped(grant: Grant, most: Level): Grant {
  const isLevel = (LEVELS as readonly string[]).includes(grant.permission);
  return isLevel && LEVELS.indexOf(grant.permission as Level) > LEVELS.indexOf(most) ? { ...grant, permission: most } : grant;
}
