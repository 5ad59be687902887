import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Db, run, statement } from '../platform/db/database.ts';
import { type Authentication, openAuthentication } from './authenticate.ts';
import { sha256Of } from './new-token.ts';
import { type Oidc, type OidcSettings, openOidc } from './oidc/open.ts';
import { hashPassword } from './passwords.ts';
import { openRateLimit } from './rate-limit.ts';
import { insertSetupToken } from './sessions/store.ts';

export type AuthSettings = {
  on: boolean;
  adminUsername: string;
  /** Undefined: it is to be chosen in a browser. */
  adminPassword: string | undefined;
  oidc: OidcSettings;
  /** How many requests of one caller in a minute are answered, by all servers together; 0 for any number. */
  requestsPerMinute: number;
  /** What a scraper of metrics sends as its bearer token; undefined: only administrators read them. */
  metricsToken: string | undefined;
};

/** What there is while login is on. */
export type Access = {
  authentication: Authentication;
  oidc: Oidc | null;
  /** The token of the page on which the first administrator chooses a password; null when there is one who can sign in. */
  setupToken: string | null;
  /** True when a request has the token of METRICS_TOKEN. It needs no database, which metrics may have to tell of. */
  isScraper(req: IncomingMessage): boolean;
  stop(): void;
};

/** What to tell who starts the server. */
export type Login = { state: 'off' | 'on' | 'setup'; setupToken: string };

export function loginOf(access: Access | null): Login {
  if (access === null) return { state: 'off', setupToken: '' };
  return access.setupToken === null ? { state: 'on', setupToken: '' } : { state: 'setup', setupToken: access.setupToken };
}

const HAS_ADMIN = statement(
  'has_admin',
  'select from users where is_admin and (password_hash is not null or oidc_subject is not null) limit 1',
);
const MAKE_ADMIN = statement(
  'make_admin',
  `insert into users (username, password_hash, is_admin) values (:username, :hash, true)
   on conflict (username) do update set is_admin = true, password_hash = coalesce(users.password_hash, excluded.password_hash)
   returning id`,
);

async function ensureAdmin(db: Db, { adminUsername: username, adminPassword: password }: AuthSettings): Promise<string | null> {
  if ((await run(db, HAS_ADMIN)).length > 0) return null;
  const hash = password === undefined ? null : await hashPassword(password);
  const [admin] = await run<{ id: number }>(db, MAKE_ADMIN, { username, hash });
  return admin && hash === null ? insertSetupToken(db, admin.id) : null;
}

const SECRET = statement('secret_for_sign_in', 'select secret from signing_key');

/** Recognises callers when login is on, and makes the first administrator; null when everybody may do everything. */
export async function openAccess(db: Db, settings: AuthSettings): Promise<Access | null> {
  if (!settings.on) return null;
  const setupToken = await ensureAdmin(db, settings);
  const [shared] = await run<{ secret: Buffer }>(db, SECRET);
  if (!shared) throw new Error('the database has no signing key');
  const oidc = openOidc(db, settings.oidc, createHmac('sha256', shared.secret).update('oidc').digest());
  const rateLimit = settings.requestsPerMinute > 0 ? openRateLimit(db, settings.requestsPerMinute) : null;
  const authentication = openAuthentication(db, oidc, rateLimit);
  return { authentication, oidc, setupToken, isScraper: scraperOf(settings.metricsToken), stop: () => rateLimit?.stop() };
}

function scraperOf(token: string | undefined): Access['isScraper'] {
  if (token === undefined) return () => false;
  const expected = sha256Of(`Bearer ${token}`);
  return ({ headers }) => timingSafeEqual(sha256Of(headers.authorization ?? ''), expected);
}
