import type { IncomingMessage, ServerResponse } from 'node:http';
import net from 'node:net';
import type { Logger } from 'pino';

/** Who may ask, by the names of the stock server's settings. Empty lists mean its defaults. */
export type SecuritySettings = {
  /** MLFLOW_SERVER_ALLOWED_HOSTS: Host headers, `*` as a wildcard. */
  allowedHosts: string[];
  /** MLFLOW_SERVER_CORS_ALLOWED_ORIGINS: origins of pages that may write, `*` as a wildcard. */
  allowedOrigins: string[];
  /** MLFLOW_SERVER_X_FRAME_OPTIONS: DENY, SAMEORIGIN or NONE. */
  frameOptions: string;
  /** Of the pages of this machine only the server's own may write: with login on a page of another port is another's. */
  ownPagesOnly?: boolean;
  /** MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE. */
  disabled: boolean;
};

/** What every answer has: a reply of the API is nothing to show, run or embed, and nobody is told which page led somewhere. */
export const SECURITY_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; base-uri 'none'; form-action 'none'",
  'Referrer-Policy': 'no-referrer',
};
// What X-Frame-Options says, for browsers that go by the policy.
const FRAME_ANCESTORS: Record<string, string> = { DENY: "; frame-ancestors 'none'", SAMEORIGIN: "; frame-ancestors 'self'" };

const INVALID_HOST = 'Invalid Host header - possible DNS rebinding attack detected';
const BLOCKED_ORIGIN = 'Cross-origin request blocked';
const ALLOWED_METHODS = 'GET, POST, PUT, DELETE, OPTIONS, PATCH';
const PREFLIGHT_MAX_AGE_S = '600';

/**
 * Makes the guard that every request passes first, as mlflow/server/fastapi_security.py: a Host header that is no local or private address is refused
 * (DNS rebinding), a page of a foreign origin may not write, preflights are answered. Hosts are parsed before they are compared, so that
 * `10.evil.com` is not taken for a private address (docs/differences.md). True when the guard has answered the request itself.
 */
export function securityGuard(
  settings: SecuritySettings,
  log: Logger,
): (req: IncomingMessage, res: ServerResponse, path: string) => boolean {
  const hosts = settings.allowedHosts.map(toPattern);
  const origins = settings.allowedOrigins.map(toPattern);
  const anyOrigin = settings.allowedOrigins.includes('*');
  const frames = settings.disabled ? 'NONE' : settings.frameOptions.toUpperCase();
  const headers = Object.entries({
    ...SECURITY_HEADERS,
    'Content-Security-Policy': SECURITY_HEADERS['Content-Security-Policy'] + (FRAME_ANCESTORS[frames] ?? ''),
    ...(frames !== '' && frames !== 'NONE' && { 'X-Frame-Options': frames }),
  });
  const mayAsk = (host: string) => (hosts.length > 0 ? hosts.some((pattern) => pattern.test(host)) : isLocalHost(host));
  const isOwn = (origin: string, host: string | undefined) => URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
  const mayWrite = (origin: string, host: string | undefined) =>
    anyOrigin || (settings.ownPagesOnly ? isOwn(origin, host) : isLocalOrigin(origin)) || origins.some((pattern) => pattern.test(origin));
  const mayRead = (origin: string) => anyOrigin || PLAIN_LOCAL_ORIGIN.test(origin) || settings.allowedOrigins.includes(origin);

  return (req, res, path) => {
    for (const [name, value] of headers) res.setHeader(name, value);
    if (settings.disabled) return false;
    if (path !== '/health' && path !== '/version' && !mayAsk(req.headers.host ?? '')) {
      log.warn({ host: req.headers.host }, 'refused a Host header; name it in MLFLOW_SERVER_ALLOWED_HOSTS if it is yours');
      return refuse(res, 403, INVALID_HOST);
    }
    if (!anyOrigin) res.setHeader('Vary', 'Origin');
    const { origin } = req.headers;
    if (origin !== undefined) {
      if (!anyOrigin) res.setHeader('Access-Control-Allow-Credentials', 'true');
      if (mayRead(origin)) res.setHeader('Access-Control-Allow-Origin', anyOrigin ? '*' : origin);
      if (req.method === 'OPTIONS' && req.headers['access-control-request-method']) return answerPreflight(req, res, mayRead(origin));
      res.setHeader('Access-Control-Expose-Headers', '*');
      if (/^\/(ajax-)?api\//.test(path) && /^(POST|PUT|DELETE|PATCH)$/.test(req.method ?? '') && !mayWrite(origin, req.headers.host)) {
        log.warn({ origin }, 'refused a page of another origin; name it in MLFLOW_SERVER_CORS_ALLOWED_ORIGINS if it is yours');
        return refuse(res, 403, BLOCKED_ORIGIN);
      }
    }
    if (req.method === 'OPTIONS' && /^\/(ajax-)?api\//.test(path)) {
      res.writeHead(204).end();
      return true;
    }
    return false;
  };
}

/** What a page may send is told to a foreign one too, as by the stock server: it is the refusal that browsers heed. */
function answerPreflight(req: IncomingMessage, res: ServerResponse, allowed: boolean): boolean {
  res.setHeader('Access-Control-Allow-Methods', ALLOWED_METHODS);
  res.setHeader('Access-Control-Max-Age', PREFLIGHT_MAX_AGE_S);
  const asked = req.headers['access-control-request-headers'];
  if (asked) res.setHeader('Access-Control-Allow-Headers', asked);
  return allowed ? refuse(res, 200, 'OK') : refuse(res, 400, 'Disallowed CORS origin');
}

function refuse(res: ServerResponse, status: number, text: string): true {
  res.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': text.length });
  res.end(text);
  return true;
}

/** A pattern of a setting: `*` stands for anything, all else for itself (Python's fnmatch, without its other wildcards). */
const toPattern = (pattern: string) =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
    'i',
  );

const PLAIN_LOCAL_ORIGIN = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

function isLocalOrigin(origin: string): boolean {
  return URL.canParse(origin) && ['localhost', '127.0.0.1', '[::1]'].includes(new URL(origin).hostname);
}

const PRIVATE = new net.BlockList();
for (const [address, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  PRIVATE.addSubnet(address, bits, 'ipv4');
PRIVATE.addSubnet('fc00::', 7, 'ipv6');

/** True for `localhost`, 127.0.0.1, ::1, 0.0.0.0 and addresses of private networks, with or without a port. */
function isLocalHost(host: string): boolean {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(host);
  const name = (match?.[1] ?? match?.[2] ?? '').toLowerCase();
  if (['localhost', '127.0.0.1', '::1', '0.0.0.0'].includes(name)) return true;
  const family = net.isIP(name);
  return family !== 0 && PRIVATE.check(name, family === 6 ? 'ipv6' : 'ipv4');
}
