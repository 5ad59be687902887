import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endpoints } from '../src/endpoints.ts';
import { expectRefusal, rowCounts } from './helpers/refusal.ts';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const name = await seedModel(server, 1);

type Method = 'get' | 'post' | 'patch' | 'delete';
type Body = Record<string, unknown>;

/** Sends a body, or bytes, as it is. */
const send = (method: Method, target: string, body: unknown) =>
  request(server.url)
    [method](target.startsWith('/') ? target : `/api/2.0/mlflow/${target}`)
    .set('Content-Type', 'application/json')
    .serialize((bytes: unknown) => bytes as string)
    .send((Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body)) as string);

const version = { name, version: '1' };
const tags = [{ key: 'k', value: 'v' }];

/** Requests that work, and the fields each cannot do without. */
const WORKING: [Method, string, Body, string[]][] = [
  ['post', 'registered-models/create', { name: 'new', description: 'd', tags }, ['name']],
  ['patch', 'registered-models/update', { name, description: 'd' }, ['name']],
  ['post', 'registered-models/rename', { name, new_name: 'renamed' }, ['name', 'new_name']],
  ['delete', 'registered-models/delete', { name }, ['name']],
  ['post', 'registered-models/search', { filter: "name = 'x'", max_results: 1, order_by: ['name'], page_token: '' }, []],
  ['post', 'registered-models/get-latest-versions', { name, stages: ['None'] }, ['name']],
  ['post', 'registered-models/set-tag', { name, key: 'k', value: 'v' }, ['name', 'key']],
  ['delete', 'registered-models/delete-tag', { name, key: 'k' }, ['name', 'key']],
  ['post', 'registered-models/alias', { ...version, alias: 'a' }, ['name', 'alias', 'version']],
  ['delete', 'registered-models/alias', { name, alias: 'a' }, ['name', 'alias']],
  [
    'post',
    'model-versions/create',
    { name, source: 's3://b/m', run_id: 'r', run_link: 'l', description: 'd', tags, model_id: '' },
    ['name', 'source'],
  ],
  ['patch', 'model-versions/update', { ...version, description: 'd' }, ['name', 'version']],
  [
    'post',
    'model-versions/transition-stage',
    { ...version, stage: 'Staging', archive_existing_versions: false },
    ['name', 'version', 'stage'],
  ],
  ['delete', 'model-versions/delete', version, ['name', 'version']],
  ['post', 'model-versions/search', { filter: "name = 'x'", max_results: 1, order_by: ['name'], page_token: '' }, []],
  ['post', 'model-versions/set-tag', { ...version, key: 'k', value: 'v' }, ['name', 'version', 'key']],
  ['delete', 'model-versions/delete-tag', { ...version, key: 'k' }, ['name', 'version', 'key']],
];

const WRONG_TYPES: Record<string, unknown[]> = {
  string: [5, 1.5, true, {}, [], ['x'], { constructor: 1 }],
  number: ['abc', '', 1.5, true, [], {}, 1e30, -1, 0, '9'.repeat(400)],
  boolean: ['yes', 1, [], {}],
  object: ['x', 5, true, {}, [5], ['x', 5], [[]], [{ key: 5, value: 'v' }]],
};
const LIMITS: Record<string, number> = {
  name: 256,
  new_name: 256,
  key: 250,
  alias: 255,
  source: 500,
  run_link: 500,
  run_id: 32,
  description: 5000,
};

describe.each(WORKING)('%s %s', (method, target, body, required) => {
  const refuses = async (what: string, changed: unknown) => expectRefusal(await send(method, target, changed), what);
  let before: Record<string, number>;
  beforeAll(async () => {
    before = await rowCounts(server);
  });
  afterAll(async () => expect(await rowCounts(server)).toEqual(before));

  it('refuses every field of a wrong type', async () => {
    for (const [field, value] of Object.entries(body)) {
      for (const wrong of WRONG_TYPES[typeof value] ?? []) {
        await refuses(`${field} = ${JSON.stringify(wrong)}`, { ...body, [field]: wrong });
      }
    }
  });

  it('refuses a missing, null or empty field that it needs, and one that only a prototype has', async () => {
    for (const field of required) {
      const { [field]: value, ...rest } = body;
      for (const missing of [rest, { ...rest, [field]: null }, { ...rest, [field]: '' }]) await refuses(field, missing);
      await refuses(field, JSON.stringify({ ...rest, proto: { [field]: value } }).replace('"proto"', '"__proto__"'));
    }
  });

  it('refuses fields that are too long', async () => {
    for (const [field, limit] of Object.entries(LIMITS)) {
      const long = field === 'source' ? `s3://b/${'x'.repeat(limit)}` : 'x'.repeat(limit + 1);
      // Deleting what cannot be there is no error, for the stock server neither.
      if (field in body && !(method === 'delete' && field === 'key')) await refuses(`long ${field}`, { ...body, [field]: long });
    }
  });

  it('refuses NUL, lone surrogates and deep nesting in any field', async () => {
    for (const field of Object.keys(body)) {
      for (const text of ['"\\u0000"', '"a\\ud800"', `${'['.repeat(100_000)}${']'.repeat(100_000)}`]) {
        await refuses(`${field} = ${text.slice(0, 20)}`, JSON.stringify({ ...body, [field]: '?' }).replace('"?"', text));
      }
    }
  });

  it('refuses camelCase and snake_case of one field together', async () => {
    for (const field of Object.keys(body)) {
      const camel = field.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
      if (camel !== field) await refuses(camel, { ...body, [camel]: body[field] });
    }
  });
});

const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
const NOT_AN_OBJECT: [string, string | Buffer][] = [
  ['an empty list', '[]'],
  ['a list', '[{"name": "x"}]'],
  ['a number', '1'],
  ['a boolean', 'true'],
  ['a string', '"name"'],
  ['half an object', '{"name": "x"'],
  ['single quotes', "{'name': 'x'}"],
  ['two objects', '{"name": "x"}{"name": "y"}'],
  ['100 000 nested lists', nested('[', ']', 100_000)],
  ['100 000 unclosed lists', '['.repeat(100_000)],
  ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xc0, 0xae, 0x22, 0x3a, 0x31, 0x7d])],
  ['gzip', Buffer.from('1f8b0800000000000003ab5600004347b4e802000000', 'hex')],
];

const writes = endpoints.filter(({ kind, method, path }) => kind === 'json' && method !== 'GET' && !path.includes('*'));

describe('a body that is not one JSON object', () => {
  it.each(NOT_AN_OBJECT)('C1, C2, C3: is refused by every endpoint: %s', async (_, bytes) => {
    const before = await rowCounts(server);
    for (const { method, path, apiVersion = '2.0' } of writes) {
      const target = `/api/${apiVersion}${path.replaceAll(/:\w+/g, 'x')}`;
      expectRefusal(await send(method.toLowerCase() as Method, target, bytes), `${method} ${target}`);
    }
    expect(await rowCounts(server)).toEqual(before);
  });

  it('C10: is refused when it is declared as something else, or as nothing', async () => {
    for (const { path, apiVersion = '2.0' } of writes.filter(({ method }) => method === 'POST')) {
      const url = `${server.url}/api/${apiVersion}${path}`;
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '']) {
        const reply = await fetch(url, { method: 'POST', headers: { 'Content-Type': type }, body: Buffer.from('{"name":"x"}') });
        expectRefusal({ status: reply.status, body: (await reply.json()) as Body }, `${path} as '${type}'`);
      }
    }
  });
});

describe('a body of 100 MB', () => {
  it('C7, T14: is a 413 that the client gets to read, soon and without holding it in memory', async () => {
    const before = process.memoryUsage().rss;
    const began = Date.now();
    const reply = await upload100MB('/api/2.0/mlflow/registered-models/create');
    expectRefusal(reply);
    expect([reply.status, Date.now() - began < 5000]).toEqual([413, true]);
    expect(process.memoryUsage().rss - before).toBeLessThan(60 * 2 ** 20);
    expect((await server.get('registered-models/get', { name })).status).toBe(200);
  });
});

/** Sends 100 MB of JSON as a client does that writes it all before it reads. */
async function upload100MB(path: string): Promise<{ status: number; body: Body }> {
  const chunk = Buffer.alloc(2 ** 20, 'x');
  const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.pause();
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${100 * chunk.length}\r\n\r\n`,
  );
  for (let i = 0; i < 100; i++) if (!socket.write(chunk)) await once(socket, 'drain');
  socket.resume();
  const [reply] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  const [head = '', body = ''] = reply.toString().split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), body: JSON.parse(body) as Body };
}

describe('a connection that breaks off', () => {
  it('in the middle of a body writes nothing', async () => {
    const before = await rowCounts(server);
    const body = JSON.stringify({ name: 'half' });
    const head = `POST /api/2.0/mlflow/registered-models/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
    for (const framing of [`Content-Length: ${body.length + 10}\r\n\r\n${body}`, `Transfer-Encoding: chunked\r\n\r\nf\r\n${body}\r\n`]) {
      const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
      socket.write(head + framing);
      await sleep(100);
      socket.destroy();
    }
    await sleep(100);
    expect(await rowCounts(server)).toEqual(before);
    expect((await server.get('registered-models/get', { name: 'half' })).status).toBe(404);
  });
});

const statusCounts = (replies: { status: number }[]) => {
  const counts: Record<number, number> = {};
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

describe('races', () => {
  it('16 creators of one name: one is first, the others are told so', async () => {
    const racers = Array.from({ length: 16 }, () => send('post', 'registered-models/create', { name: 'contested' }));
    const replies = await Promise.all(racers);
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(replies.filter(({ body }) => body.error_code === 'RESOURCE_ALREADY_EXISTS')).toHaveLength(15);
  });

  it('16 writers of 10 versions each number them 1 to 160', async () => {
    const model = await seedModel(server);
    const numbers: number[] = [];
    const writer = async () => {
      for (let i = 0; i < 10; i++) {
        const { body } = await send('post', 'model-versions/create', { name: model, source: 's3://b/m' }).expect(200);
        numbers.push(Number(body.model_version.version));
      }
    };
    await Promise.all(Array.from({ length: 16 }, writer));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 160 }, (_, i) => i + 1));
  });

  it('32 that move one alias, 32 that set one tag and 32 that delete it all succeed', async () => {
    const model = await seedModel(server, 2);
    const many = (one: (i: number) => Promise<{ status: number }>) => Promise.all(Array.from({ length: 32 }, (_, i) => one(i)));
    const versionOf = (i: number) => String((i % 2) + 1);
    const replies = await Promise.all([
      many((i) => send('post', 'registered-models/alias', { name: model, alias: 'live', version: versionOf(i) })),
      many((i) => send('post', 'registered-models/set-tag', { name: model, key: 'k', value: `${i}` })),
      many((i) => send('post', 'model-versions/set-tag', { name: model, version: '1', key: 'k', value: `${i}` })),
      many(() => send('delete', 'model-versions/delete-tag', { name: model, version: '1', key: 'k' })),
    ]);
    expect(statusCounts(replies.flat())).toEqual({ 200: 128 });
  });

  it('version creation, renaming and deletion of one model end in 200 or 404, never in a version without a model', async () => {
    const model = await seedModel(server);
    const replies = await Promise.all([
      ...Array.from({ length: 12 }, () => send('post', 'model-versions/create', { name: model, source: 's3://b/m' })),
      send('post', 'registered-models/rename', { name: model, new_name: freshName() }),
      send('delete', 'registered-models/delete', { name: model }),
      ...Array.from({ length: 12 }, () => send('post', 'model-versions/create', { name: model, source: 's3://b/m' })),
    ]);
    expect(Object.keys(statusCounts(replies)).filter((status) => status !== '200' && status !== '404')).toEqual([]);
    const { rows } = await server.db.query('select 1 from model_versions where model_id not in (select id from registered_models)');
    expect(rows).toEqual([]);
  });
});
