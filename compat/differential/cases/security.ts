import { each, type Group, type Step } from '../case.ts';

const PARSED = 'hosts are matched as text on the stock server';
const SEEN = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'access-control-max-age',
  'access-control-expose-headers',
];
const SEARCH = '/api/2.0/mlflow/registered-models/search';
const CREATE = '/api/2.0/mlflow/registered-models/create';

const ask = (headers: Record<string, string>, path = SEARCH): Step => ({
  method: 'GET',
  path,
  query: { filter: "name = 'nobody'" },
  headers,
  compareHeaders: SEEN,
});
const write = (headers: Record<string, string>, path = CREATE): Step => ({
  method: 'POST',
  path,
  body: { name: '' },
  headers,
  compareHeaders: SEEN,
});
const preflight = (origin: string, asked: Record<string, string> = {}): Step => ({
  method: 'OPTIONS',
  path: CREATE,
  headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', ...asked },
  compareHeaders: SEEN,
});

const HOSTS = [
  'localhost',
  'localhost:5000',
  '127.0.0.1',
  '127.0.0.1:80',
  '[::1]',
  '[::1]:5000',
  '0.0.0.0',
  '0.0.0.0:5000',
  '10.1.2.3',
  '10.1.2.3:5000',
  '192.168.0.1',
  '172.16.0.1',
  '172.31.255.255:80',
  'evil.com',
  'localhost.evil.com',
  '127.0.0.1.evil.com',
  '172.32.0.1',
  '8.8.8.8',
  'example.com:5000',
  '127.0.0.2',
  '169.254.169.254',
];
const ORIGINS = [
  'http://localhost',
  'http://localhost:3000',
  'http://127.0.0.1:8080',
  'http://[::1]:3000',
  'https://localhost',
  'https://127.0.0.1:1',
  'http://evil.com',
  'null',
  'http://localhost.evil.com',
  'http://10.0.0.1',
  'ftp://localhost',
  'http://localhost:3000/path',
];

export const security: Group = {
  group: 'security',
  cases: [
    ...each('security headers', [{ ...ask({}), compareHeaders: ['x-frame-options', 'x-content-type-options'] }]),
    ...each(
      'host',
      HOSTS.map((Host) => ask({ Host })),
    ),
    ...each(
      'host that is parsed',
      ['10.evil.com', '192.168.evil.com', '172.16.evil.com', 'localhost:evil.com'].map((Host) => ({
        ...ask({ Host }),
        differs: PARSED,
        ours: { status: 403, body: 'Invalid Host header - possible DNS rebinding attack detected' },
      })),
    ),
    ...each('host in capitals', [{ ...ask({ Host: 'LOCALHOST:5000' }), differs: PARSED, ours: { status: 200, body: {} } }]),
    ...each(
      'host of health',
      ['/health', '/version'].map((path) => ask({ Host: 'evil.com' }, path)),
    ),
    ...each(
      'origin reads',
      ORIGINS.map((Origin) => ask({ Origin })),
    ),
    ...each(
      'origin writes',
      ORIGINS.map((Origin) => write({ Origin })),
    ),
    ...each(
      'origin deletes',
      ['http://evil.com', 'http://localhost'].map((Origin) => ({
        ...write({ Origin }, '/api/2.0/mlflow/registered-models/delete'),
        method: 'DELETE' as const,
      })),
    ),
    ...each(
      'origin asks first',
      ORIGINS.map((origin) => preflight(origin)),
    ),
    ...each(
      'origin asks first for headers',
      ['http://localhost', 'http://evil.com'].map((origin) =>
        preflight(origin, { 'Access-Control-Request-Headers': 'content-type, x-mlflow-workspace' }),
      ),
    ),
    ...each('options', [
      { method: 'OPTIONS', path: CREATE, compareHeaders: SEEN },
      { method: 'OPTIONS', path: '/ajax-api/2.0/mlflow/registered-models/create', compareHeaders: SEEN },
    ]),
  ],
};
