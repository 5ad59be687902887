import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const NAME = 'model_commons_session';

/** The session token of a browser, or null. */
export function sessionOf(req: IncomingMessage): string | null {
  return cookieOf(req, NAME);
}

/** The value of a cookie, or null. */
export function cookieOf(req: IncomingMessage, name: string): string | null {
  const pair = (req.headers.cookie ?? '').split(/; */).find((part) => part.startsWith(`${name}=`));
  return pair?.slice(name.length + 1) || null;
}

/** A Set-Cookie header that pages cannot read and other sites cannot have sent with a write. `seconds` 0 removes the cookie. */
export const setCookie = (name: string, value: string, seconds: number, secure: boolean): string =>
  `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${seconds}${secure ? '; Secure' : ''}`;

export const setSession = (token: string, seconds: number, secure: boolean): string => setCookie(NAME, token, seconds, secure);

/** What a page must send as X-CSRF-Token with every write of its session. */
export const csrfTokenOf = (session: string): string => createHmac('sha256', session).update('csrf').digest('base64url');

export function isCsrfToken(session: string, given: unknown): boolean {
  const expected = Buffer.from(csrfTokenOf(session));
  const actual = Buffer.from(typeof given === 'string' ? given : '');
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
