import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Db } from '../platform/db/database.ts';
import { MlflowError } from '../platform/errors.ts';
import { LEVELS, type Level } from '../platform/permission.ts';
import type { Caller } from './caller.ts';
import { type CallerRow, findCaller, findCallerOfToken, recordTokenUse, type TokenRow, toGrants } from './callers-store.ts';
import { compileGrants, type Grant } from './grants.ts';
import { verifyPassword } from './passwords.ts';

/** For so long a change of rights, a new password or a withdrawn token may go unnoticed by a server that did not make it. */
const KNOWN_FOR_MS = 1000;
const MOST_KNOWN = 10_000;
const MAX_HEADER = 8192;

const TOKEN_PREFIX = 'mct_';

/** A new token, to be shown once, and what is kept of it. */
export function newToken(): { token: string; sha256: Buffer } {
  const token = TOKEN_PREFIX + randomBytes(32).toString('base64url');
  return { token, sha256: sha256(token) };
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

export const unauthenticated = (message: string) => new MlflowError('UNAUTHENTICATED', message);

const NOBODY =
  'You are not authenticated. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to an account of this server.';
// One sentence for all, so that it does not tell which users there are.
const WRONG = 'The user name, password or token is not right, or has expired.';

type Known = { caller: Caller; until: number; passwordHash: string | null };

export type Authentication = {
  /** The caller of a request, with rights that may be a second old unless `fresh`. Rejects with UNAUTHENTICATED. */
  authenticate(req: IncomingMessage, fresh?: 'fresh'): Promise<Caller>;
};

/**
 * Recognises callers by the Authorization header: a password or a token as Basic, a token as Bearer. What was found is good for a second; a password is
 * hashed only when it was not the one of the second before, so that scripts which send it with every request cost no more than a token does.
 */
export function openAuthentication(db: Db): Authentication {
  const known = new Map<string, Known>();

  async function look(header: string, before: Known | undefined): Promise<Known> {
    const credentials = readCredentials(header);
    if (credentials.token !== undefined) {
      const row = await findCallerOfToken(db, sha256(credentials.token), ['PERSONAL']);
      if (!row) throw unauthenticated(WRONG);
      void recordTokenUse(db, row.token_id).catch(() => {});
      return { caller: callerOfToken(row), until: performance.now() + KNOWN_FOR_MS, passwordHash: null };
    }
    const row = await findCaller(db, credentials.username);
    const isVerified = before !== undefined && row !== null && row.password_hash !== null && row.password_hash === before.passwordHash;
    if (!isVerified && !(await verifyPassword(credentials.password, row?.password_hash ?? null))) throw unauthenticated(WRONG);
    if (!row) throw unauthenticated(WRONG);
    return { caller: callerOf(row, 'password'), until: performance.now() + KNOWN_FOR_MS, passwordHash: row.password_hash };
  }

  return {
    async authenticate(req, fresh) {
      const header = req.headers.authorization;
      if (header === undefined) throw unauthenticated(NOBODY);
      if (header.length > MAX_HEADER) throw unauthenticated(WRONG);
      const before = known.get(header);
      if (before && !fresh && performance.now() < before.until) return before.caller;
      const found = await look(header, before).catch((error: unknown) => {
        known.delete(header);
        throw error;
      });
      if (known.size >= MOST_KNOWN) known.clear();
      known.set(header, found);
      return found.caller;
    },
  };
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
export function callerOf({ id, username, is_admin: isAdmin, grants }: CallerRow, via: Caller['via']): Caller {
  return { id, username, isAdmin, via, grants: compileGrants(toGrants(grants)), everywhere: isAdmin ? 'MANAGE' : null, only: null };
}

/** A token allows what its user may do, within its own limits; one that has limits administers nothing. */
function callerOfToken(row: TokenRow): Caller {
  const caller = { ...callerOf(row, 'token'), tokenId: row.token_id };
  const { scope_ids: scopes, permission } = row;
  if (scopes === null && permission === null) return caller;
  return {
    ...caller,
    isAdmin: false,
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
