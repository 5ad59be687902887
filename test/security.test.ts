import http from 'node:http';
import { describe, expect, it } from 'vitest';
import { BASES } from './hardening/attack.ts';
import { expectSecurityHeaders } from './hardening/security-headers.ts';
import { startTestServer } from './helpers/server.ts';

const open = { allowedHosts: [], allowedOrigins: [], frameOptions: 'SAMEORIGIN', disabled: false };
const server = await startTestServer();
const named = await startTestServer({ ...open, allowedHosts: ['models.example.com', '*.corp:*'], allowedOrigins: ['https://*.corp'] });

type Sent = Record<string, string>;

/** fetch and supertest set Host themselves. */
function ask(
  url: string,
  path: string,
  headers: Sent,
  method = 'GET',
): Promise<{ status: number; text: string; headers: http.IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const request = http.request({ hostname, port, path, method, headers }, (reply) => {
      let text = '';
      reply.on('data', (chunk) => {
        text += chunk;
      });
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text, headers: reply.headers }));
    });
    request.once('error', reject).end(method === 'POST' ? '{}' : undefined);
  });
}

const SEARCH = '/api/2.0/mlflow/registered-models/search';
const CREATE = '/api/2.0/mlflow/registered-models/create';

describe('the Host header', () => {
  it.each(['localhost', 'LOCALHOST:5000', '127.0.0.1:1', '[::1]:5000', '0.0.0.0', '10.1.2.3', '192.168.0.9:80', '172.31.0.1', '[fd00::1]'])(
    'F3: %s is answered',
    async (host) => {
      for (const base of BASES) expect((await ask(server.url, `${base}/registered-models/search`, { Host: host })).status).toBe(200);
    },
  );

  it.each([
    'evil.com',
    'localhost.evil.com',
    '127.0.0.1.evil.com',
    '10.evil.com',
    '192.168.evil.com',
    '172.16.evil.com',
    '172.32.0.1',
    'localhost:evil.com',
    'fd00:evil',
    '8.8.8.8',
    '[::1',
    'localhost:99999999',
  ])('F1, F2: %j is refused, as it may be a page that rebinds its name', async (host) => {
    for (const base of BASES) {
      const reply = await ask(server.url, `${base}/registered-models/search`, { Host: host });
      expect([reply.status, reply.text]).toEqual([403, 'Invalid Host header - possible DNS rebinding attack detected']);
    }
  });

  it('does not matter to /health and /version', async () => {
    for (const path of ['/health', '/version']) expect((await ask(server.url, path, { Host: 'evil.com' })).status).toBe(200);
  });

  it('may be named in the settings, and then only those are answered', async () => {
    for (const host of ['models.example.com', 'a.corp:5000']) expect((await ask(named.url, SEARCH, { Host: host })).status).toBe(200);
    for (const host of ['localhost', 'xmodels.example.com', 'corp:5000'])
      expect((await ask(named.url, SEARCH, { Host: host })).status).toBe(403);
  });
});

describe('a page of another origin', () => {
  it.each(['http://evil.com', 'null', 'http://localhost.evil.com', 'https://10.0.0.1'])('F4: %s may not write', async (origin) => {
    for (const base of BASES) {
      const headers = { Origin: origin, 'Content-Type': 'application/json' };
      const reply = await ask(server.url, `${base}/registered-models/create`, headers, 'POST');
      expect([reply.status, reply.text]).toEqual([403, 'Cross-origin request blocked']);
    }
  });

  it('F5: finds no GraphQL to write by', async () => {
    const reply = await ask(server.url, '/graphql', { Origin: 'http://evil.com', 'Content-Type': 'application/json' }, 'POST');
    expect([reply.status, JSON.parse(reply.text).error_code]).toEqual([404, 'ENDPOINT_NOT_FOUND']);
  });

  it('may send reads, but gets no leave to see the answer', async () => {
    const reply = await ask(server.url, SEARCH, { Origin: 'http://evil.com' });
    expect([reply.status, reply.headers['access-control-allow-origin'], reply.headers.vary]).toEqual([200, undefined, 'Origin']);
  });

  it.each(['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:8080'])('that is %s may do both', async (origin) => {
    const reply = await ask(server.url, CREATE, { Origin: origin, 'Content-Type': 'application/json' }, 'POST');
    expect([reply.status, reply.headers['access-control-allow-origin'], reply.headers['access-control-allow-credentials']]).toEqual([
      400,
      origin,
      'true',
    ]);
  });

  it('may write when the settings name it', async () => {
    const headers = { Host: 'models.example.com', Origin: 'https://ui.corp', 'Content-Type': 'application/json' };
    expect((await ask(named.url, CREATE, headers, 'POST')).status).toBe(400);
  });

  it('asks first, and is told', async () => {
    const preflight = { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' };
    const refused = await ask(server.url, CREATE, { ...preflight, Origin: 'http://evil.com' }, 'OPTIONS');
    expect([refused.status, refused.text]).toEqual([400, 'Disallowed CORS origin']);
    const allowed = await ask(server.url, CREATE, { ...preflight, Origin: 'http://localhost:3000' }, 'OPTIONS');
    expect([allowed.status, allowed.headers['access-control-allow-headers']]).toEqual([200, 'content-type']);
    const asked = await ask(server.url, CREATE, {}, 'OPTIONS');
    expect([asked.status, asked.headers.allow]).toEqual([204, 'POST, OPTIONS']);
  });
});

describe('F7: the headers against what pages may do', () => {
  const refusals: [string, string, Sent, string?][] = [
    ['a page', '/', {}],
    ['an answer', SEARCH, {}],
    ['liveness', '/health', {}],
    ['an unknown path', '/nope', {}],
    ['a path that cannot be decoded', '/%zz', {}],
    ['a wrong method', CREATE, {}],
    ['bad input', `${SEARCH}?max_results=x`, {}],
    ['an unknown workspace', SEARCH, { 'X-MLFLOW-WORKSPACE': 'nowhere' }],
    ['a refused host', SEARCH, { Host: 'evil.com' }],
    ['a refused origin', CREATE, { Origin: 'http://evil.com' }, 'POST'],
    ['a preflight', CREATE, { Origin: 'http://evil.com', 'Access-Control-Request-Method': 'POST' }, 'OPTIONS'],
    ['a missing file', '/api/2.0/mlflow-artifacts/artifacts/nope', {}],
  ];

  it.each(refusals)('are on %s', async (_, path, headers, method) => {
    const reply = await ask(server.url, path, headers, method);
    expectSecurityHeaders(new Headers(reply.headers as Record<string, string>));
    expect(reply.headers['content-security-policy']).toContain("frame-ancestors 'self'");
    expect(reply.headers['x-frame-options']).toBe('SAMEORIGIN');
  });

  it('forbid or allow frames as the setting says', async () => {
    for (const [frameOptions, header, ancestors] of [
      ['deny', 'DENY', "frame-ancestors 'none'"],
      ['NONE', undefined, undefined],
    ] as const) {
      const other = await startTestServer({ ...open, frameOptions });
      const { headers } = await ask(other.url, SEARCH, {});
      expect([headers['x-frame-options'], /frame-ancestors.*/.exec(String(headers['content-security-policy']))?.[0]]).toEqual([
        header,
        ancestors,
      ]);
    }
  });
});
