import { picker } from '../../compat/differential/random-numbers.ts';
import type { Draft } from './request.ts';
import { HOSTILE_TEXTS, HOSTILE_VALUES, type Memory } from './values.ts';

type Tools = { random: () => number; memory: Memory };
type Mutation = (draft: Draft, tools: Tools) => Draft;

const PREFIXES = [
  '/api/2.0',
  '/ajax-api/2.0',
  '/api/2.0/preview',
  '/ajax-api/2.0/preview',
  '/api/1.0',
  '/api/3.0',
  '/ajax-api/3.0',
  '/api/9.9',
  '',
];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY'];
const CONTENT_TYPES = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=utf-16',
  'APPLICATION/JSON',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/octet-stream',
  ';',
  '',
];
const WORKSPACES = ['default', 'nowhere', '../x', 'UPPER', 'api', 'x'.repeat(5000), '', ' default ', '__proto__', 'é'];
const HEADERS: [string, readonly string[]][] = [
  ['Content-Type', CONTENT_TYPES],
  ['X-MLFLOW-WORKSPACE', WORKSPACES],
  ['Host', ['localhost', 'evil.com', '', '10.evil.com', 'localhost:evil', '[::1', '127.0.0.1:99999']],
  ['Origin', ['http://evil.com', 'null', 'http://localhost:3000', 'file://', '']],
  ['Range', ['bytes=0-0', 'bytes=5-2', 'bytes=-', 'bytes=99999999999999999999-', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=-0']],
  ['If-None-Match', ['*', '"x"', 'W/"x"', ',']],
  ['If-Range', ['"x"', 'Wed, 21 Oct 2015 07:28:00 GMT']],
  ['Content-Encoding', ['gzip', 'identity', 'x']],
  ['Transfer-Encoding', ['chunked']],
  ['Accept', ['text/html', 'application/json', '*/*;q=x']],
  ['Accept-Encoding', ['gzip', 'br, *;q=0']],
  ['Expect', ['100-continue', '200-ok']],
  ['Connection', ['close', 'keep-alive', 'Upgrade']],
  ['Upgrade', ['websocket', 'h2c']],
  ['X-Forwarded-Host', ['evil.com', 'a, b', '\\', '[::1', 'x/y']],
  ['X-Forwarded-Proto', ['https', 'javascript', 'x y']],
  ['X-HTTP-Method-Override', ['DELETE']],
  ['Cookie', ['a=b', '__proto__=x', ';;;=']],
  ['Access-Control-Request-Method', ['POST', 'x']],
];

const editPath = (draft: Draft, edit: (parts: string[], tools: Tools) => void, tools: Tools): Draft => {
  const parts = draft.path.split('/');
  edit(parts, tools);
  return { ...draft, path: parts.join('/') };
};
const somewhere = (parts: readonly unknown[], random: () => number) => 1 + Math.floor(random() * Math.max(parts.length - 1, 1));

const PATH: readonly Mutation[] = [
  (draft, { random }) => ({ ...draft, path: draft.path.replace(/^\/(?:ajax-)?api\/\d\.\d(?:\/preview)?/, picker(random)(PREFIXES)) }),
  (draft, { random }) => ({
    ...draft,
    path: `${picker(random)(['/registries/x', '/workspaces/default', '/registries/default', '/workspaces/..', '/registries/%2f', '//', '/graphql'])}${draft.path}`,
  }),
  (draft, tools) =>
    editPath(
      draft,
      (parts, { random }) => parts.splice(somewhere(parts, random), 0, picker(random)(['', '.', '..', '%2e%2e', '%00', ';x', '__proto__'])),
      tools,
    ),
  (draft, tools) => editPath(draft, (parts, { random }) => parts.splice(somewhere(parts, random), 1, picker(random)(HOSTILE_TEXTS)), tools),
  (draft, tools) => editPath(draft, (parts, { random }) => parts.splice(somewhere(parts, random), 1), tools),
  (draft, { random }) => ({
    ...draft,
    path: draft.path + picker(random)(['/', '//', '/.', '/..', ';x', '%20', '%', '%zz', '%ff', '.json', '\u00e9', '\\']),
  }),
  (draft, { random }) => {
    const at = Math.floor(random() * draft.path.length);
    const code = draft.path.charCodeAt(at) || 47;
    const spelling = picker(random)([
      `%${code.toString(16).padStart(2, '0')}`,
      `%25${code.toString(16)}`,
      draft.path.charAt(at).toUpperCase(),
      '',
    ]);
    return { ...draft, path: draft.path.slice(0, at) + spelling + draft.path.slice(at + 1) };
  },
];

const QUERY: readonly Mutation[] = [
  (draft, { random }) => ({
    ...draft,
    query: [
      ...draft.query,
      [
        picker(random)(['name', 'filter', 'max_results', 'page_token', 'order_by', 'path', '__proto__', 'x']),
        picker(random)(HOSTILE_TEXTS),
      ],
    ],
  }),
  (draft, { random }) => {
    const at = Math.floor(random() * draft.query.length);
    return { ...draft, query: draft.query.map(([name, value], i) => [name, i === at ? picker(random)(HOSTILE_TEXTS) : value]) };
  },
  (draft, { random }) => ({ ...draft, query: draft.query.flatMap((one) => (random() < 0.5 ? [one, one] : [one])) }),
  (draft, { random }) => ({ ...draft, query: draft.query.filter(() => random() < 0.6) }),
  (draft, { random }) => ({ ...draft, query: draft.query.map(([name, value]) => [random() < 0.3 ? camel(name) : name, value]) }),
];

const METHOD_AND_HEADERS: readonly Mutation[] = [
  (draft, { random }) => ({ ...draft, method: picker(random)(METHODS) }),
  ...Array.from(
    { length: 3 },
    (): Mutation =>
      (draft, { random, memory }) => {
        const [name, values] = picker(random)(HEADERS);
        const known = name === 'X-MLFLOW-WORKSPACE' ? memory.of('workspace') : [];
        return { ...draft, headers: { ...draft.headers, [name]: picker(random)([...values, ...known]) } };
      },
  ),
  ({ headers, ...draft }, { random }) => ({ ...draft, headers: Object.fromEntries(Object.entries(headers).filter(() => random() < 0.5)) }),
];

const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The value with one node of it changed. */
function changeSomewhere(value: unknown, random: () => number, change: (node: unknown) => unknown): unknown {
  if (typeof value !== 'object' || value === null || random() < 0.25) return change(value);
  const keys = Object.keys(value);
  const key = picker(random)(keys);
  if (key === undefined) return change(value);
  const changed = changeSomewhere((value as Record<string, unknown>)[key], random, change);
  if (Array.isArray(value)) return value.map((item, i) => (String(i) === key ? changed : item));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, name === key ? changed : item]));
}

const onBody =
  (change: (node: unknown, tools: Tools) => unknown): Mutation =>
  (draft, tools) =>
    draft.body === undefined ? draft : { ...draft, body: changeSomewhere(draft.body, tools.random, (node) => change(node, tools)) };

const onFields = (change: (fields: [string, unknown][], tools: Tools) => [string, unknown][]): Mutation =>
  onBody((node, tools) =>
    typeof node === 'object' && node !== null && !Array.isArray(node) ? Object.fromEntries(change(Object.entries(node), tools)) : [node],
  );

const onText =
  (change: (json: string, tools: Tools) => string | Buffer): Mutation =>
  ({ body, ...draft }, tools) =>
    body === undefined ? draft : { ...draft, raw: Buffer.from(change(JSON.stringify(body), tools)) };

const BODY: readonly Mutation[] = [
  ...Array.from({ length: 4 }, () => onBody((_, { random }) => picker(random)(HOSTILE_TEXTS))),
  ...Array.from({ length: 3 }, () => onBody((_, { random }) => picker(random)(HOSTILE_VALUES))),
  onBody((node, { random }) => (typeof node === 'string' ? node + picker(random)(HOSTILE_TEXTS) : JSON.stringify(node))),
  onBody((node, { random }) => (typeof node === 'number' ? node * picker(random)([-1, 1e10, 1e300, 0.5]) : [node, node])),
  onFields((fields, { random }) => fields.filter(() => random() < 0.6)),
  onFields((fields, { random }) => fields.map(([name, value]) => [random() < 0.4 ? camel(name) : name, value])),
  onFields((fields) => [...fields, ...fields.map(([name, value]): [string, unknown] => [camel(name), value])]),
  onFields((fields, { random }) => [
    ...fields,
    [picker(random)(['constructor', 'toString', 'x', '', 'tags', 'name', 'filter', 'order_by']), picker(random)(HOSTILE_VALUES)],
  ]),
];

const TEXT: readonly Mutation[] = [
  onText((json, { random }) => json.slice(0, Math.floor(random() * json.length))),
  onText((json, { random }) => {
    const bytes = Buffer.from(json);
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    return bytes;
  }),
  onText((json) => `\ufeff${json}`),
  onText((json) => Buffer.from(`\ufeff${json}`, 'utf16le')),
  onText((json) => JSON.stringify(json)),
  onText((json) => json.replace(/\}$/, ',"__proto__":{"polluted":1}}')),
  onText((json) => json.replace(/^\{/, `{"x":${'['.repeat(5000)}${']'.repeat(5000)},`)),
  onText((json) => json.replace(/^\{/, `{"x":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)},`)),
  onText((json) => json.replace(/:"[^"]*"/, ':1e999')),
  onText((json) => json.replace(/:"[^"]*"/, `:${'9'.repeat(5000)}`)),
  onText((json) => json.replace(/:"[^"]*"/, ':NaN')),
  onText((json) => json.replace(/^\{/, '{"name":"first","name":"second",')),
  (draft) => ({ ...draft, raw: Buffer.from('1f8b0800000000000003ab5600004347b4e802000000', 'hex') }),
  (draft) => ({ ...draft, raw: Buffer.alloc(1_200_000, '[') }),
  (draft) => ({ ...draft, raw: Buffer.alloc(0) }),
];

// Bodies of a whole page change nothing but themselves, and are slow.
const WEIGHTED: readonly (readonly Mutation[])[] = [PATH, QUERY, METHOD_AND_HEADERS, METHOD_AND_HEADERS, BODY, BODY, BODY, BODY, TEXT];

/** The draft changed in one place. */
export const mutate: Mutation = (draft, tools) => {
  const pick = picker(tools.random);
  return pick(pick(WEIGHTED))(draft, tools);
};

const NOWHERE = 'https://127.0.0.1:1111/x';
const LOOPBACK = /^https?:\/\/(127\.0\.0\.1|localhost|\[::1\])[:/]/;

/** The draft with the addresses of webhooks on this machine, at a port where nobody listens: nothing is to be sent to anybody. */
export function calm(draft: Draft): Draft {
  if (!/webhooks/i.test(decoded(draft.path))) return draft;
  const { body, raw, ...rest } = draft;
  return {
    ...rest,
    ...(body !== undefined && {
      body: JSON.parse(JSON.stringify(body), (name, value: unknown) => (name === 'url' ? calmUrl(value) : value)),
    }),
    ...(raw && { raw: Buffer.from(raw.toString('latin1').replaceAll(/https?:[^"]*/g, NOWHERE), 'latin1') }),
  };
}

const calmUrl = (url: unknown) =>
  typeof url === 'string' && URL.canParse(url) && /^https?:/i.test(url) && !LOOPBACK.test(url) ? NOWHERE : url;

const decoded = (path: string) => path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
