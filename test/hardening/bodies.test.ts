import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { endpoints } from '../../src/endpoints.ts';
import { expectRefusal, rowCounts } from '../helpers/refusal.ts';
import { freshName, seedModel } from '../helpers/seed.ts';
import { startTestServer } from '../helpers/server.ts';
import { attack, BASES, refused } from './attack.ts';

// The rows of "Bodies, JSON, names", C1 to C16, and the sizes of T14. More of C1, C2, C3, C9 and C10, at every endpoint, is in test/bad-input.test.ts.

const server = await startTestServer();
const model = await seedModel(server, 1);
const post = (base: string, path: string, body: unknown, headers = {}) => ({ method: 'POST', path: `${base}/${path}`, body, headers });
const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);

describe('a body', () => {
  it.each([
    ['C1: a list', '[]'],
    ['C1: a text', '"x"'],
    ['C1: a number', '1'],
    ['C3: 100 000 nested lists', nested('[', ']', 100_000)],
    ['C3: 100 000 nested lists in a field nobody reads', `{"name": "deep", "x": ${nested('[', ']', 100_000)}}`],
    ['C3: 5 000 nested objects', `{"name": "deep", "x": ${'{"a":'.repeat(5000)}1${'}'.repeat(5001)}`],
    ['C3: lists nested once too often', `{"name": "deep", "x": ${nested('[', ']', 64)}}`],
  ])('%s is a 400 MALFORMED_REQUEST', async (_, body) => {
    for (const base of BASES) await refused(server, post(base, 'registered-models/create', body), 400);
    const { text } = await attack(server, post(BASES[0] ?? '', 'registered-models/create', body));
    expect(JSON.parse(text).error_code).toBe('MALFORMED_REQUEST');
  });

  it('C3: nested as deeply as it may be is read', async () => {
    const body = `{"name": "${freshName()}", "x": ${nested('[', ']', 63)}}`;
    expect((await attack(server, post(BASES[0] ?? '', 'registered-models/create', body))).status).toBe(200);
  });

  it.each([
    ['half an object', '{'],
    ['no UTF-8', Buffer.from([0x7b, 0x22, 0xc0, 0xae, 0x22, 0x3a, 0x31, 0x7d])],
    ['gzip', Buffer.from('1f8b0800000000000003ab5600004347b4e802000000', 'hex')],
  ])('C2: of %s is a 400 that says it is no JSON', async (_, body) => {
    for (const base of BASES)
      expect(await refused(server, post(base, 'registered-models/create', body), 400)).toMatch(/not valid (JSON|UTF-8)/);
  });

  it('C8: the last of equal keys counts, a BOM and UTF-16 are read, unknown fields are not', async () => {
    for (const base of BASES) {
      const [one, two] = [freshName(), freshName()];
      for (const body of [
        `{"name": "${one}", "name": "${two}"}`,
        `\ufeff{"name": "${two}-bom"}`,
        Buffer.from(`\ufeff{"name": "${two}-utf16"}`, 'utf16le'),
        `{"name": "${two}-unknown", "unknown": {"name": 5}}`,
      ])
        expect((await attack(server, post(base, 'registered-models/create', body))).status).toBe(200);
      expect((await server.get('registered-models/get', { name: one })).status).toBe(404);
      for (const end of ['', '-bom', '-utf16', '-unknown'])
        expect((await server.get('registered-models/get', { name: two + end })).status).toBe(200);
    }
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])(
    'C10: declared as "%s" is a 400',
    async (type) => {
      for (const base of BASES)
        await refused(server, post(base, 'registered-models/create', '{"name": "x"}', { 'Content-Type': type }), 400);
    },
  );
});

describe('T14: a body that is too large', () => {
  const writes = endpoints.filter(({ kind, method }) => kind === 'json' && method !== 'GET');

  it('is a 413 at every endpoint that reads one, before any of it was sent (C7)', async () => {
    const before = await rowCounts(server);
    for (const { method, path, apiVersion = '2.0' } of writes) {
      const target = `/api/${apiVersion}${path.replaceAll(/(?<!\\)[:*]\w+/g, 'x').replaceAll('\\', '')}`;
      const began = performance.now();
      const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
      socket.write(
        `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${100 * 2 ** 20}\r\n\r\n`,
      );
      const [reply] = await once(socket, 'data');
      socket.destroy();
      const [head = '', body = ''] = String(reply).split('\r\n\r\n');
      const status = Number(/\d{3}/.exec(head)?.[0]);
      // An endpoint without arguments in its body does not read one.
      expect([413, 200, 204, 404], `${target} ${head}`).toContain(status);
      if (status !== 200 && status !== 204) expectRefusal({ status, body: JSON.parse(body) }, target);
      expect(performance.now() - began, target).toBeLessThan(3000);
    }
    expect(await rowCounts(server)).toEqual(before);
  });

  it('of 20 MB in chunks is a 413 soon, and others are answered meanwhile', async () => {
    const began = performance.now();
    const chunks = async function* () {
      for (let i = 0; i < 20; i++) yield new Uint8Array(2 ** 20).fill(0x5b);
    };
    const url = `${server.url}${BASES[0]}/registered-models/create`;
    const init = { method: 'POST', body: chunks(), duplex: 'half', headers: { 'Content-Type': 'application/json' } };
    const [reply, other] = await Promise.all([
      fetch(url, init as unknown as RequestInit),
      server.get('registered-models/get', { name: model }),
    ]);
    expect([reply.status, other.status]).toEqual([413, 200]);
    expectRefusal({ status: reply.status, body: (await reply.json()) as Record<string, unknown> });
    expect(performance.now() - began).toBeLessThan(5000);
  });
});

describe('a text', () => {
  it('C4: with a NUL is a 400 as a name', async () => {
    for (const base of BASES) {
      await refused(server, post(base, 'registered-models/create', { name: 'a\0b' }), 400);
      await refused(server, { method: 'GET', path: `${base}/registered-models/get?name=a%00b` }, 400);
    }
  });

  it('C5: with a NUL is a 400 in a filter', async () => {
    for (const base of BASES) {
      await refused(server, { method: 'GET', path: `${base}/registered-models/search?filter=${encodeURIComponent("name = '\0'")}` }, 400);
      await refused(server, post(base, 'runs/search', { experiment_ids: ['0'], filter: "tags.a = '\0'" }), 400);
    }
  });

  it.each([
    ['a name of 300 characters', 'registered-models/create', { name: 'x'.repeat(300) }, '256'],
    ['a name of 100 000 characters', 'registered-models/create', { name: 'x'.repeat(100_000) }, '256'],
    ['a description of 900 kB', 'registered-models/create', { name: 'x', description: 'x'.repeat(900_000) }, '5000'],
    ['a tag of 5001 characters', 'registered-models/set-tag', { name: model, key: 'k', value: 'x'.repeat(5001) }, '5000'],
  ])('C6: %s is a 400 that names the limit', async (_, path, body, limit) => {
    for (const base of BASES) expect(await refused(server, post(base, path, body), 400)).toContain(limit);
  });

  it('C6: a description of 10 MB is a 413', async () => {
    for (const base of BASES) {
      await refused(server, post(base, 'registered-models/create', { name: 'x', description: 'x'.repeat(10_000_000) }), 413);
    }
  });

  it.each(['__proto__', 'constructor', 'prototype', 'toString'])(
    'C9: %s is plain data as a name, tag, alias and JSON key',
    async (word) => {
      for (const [i, base] of BASES.entries()) {
        const name = `${word}-${i}`;
        const json = `{"${word}": {"polluted": 1}, "name": "${name}", "tags": [{"key": "${word}", "value": "v", "${word}": {"polluted": 1}}]}`;
        expect((await attack(server, post(base, 'registered-models/create', json))).status).toBe(200);
        const version = { name, source: 's3://b/m', tags: [{ key: word, value: 'v' }] };
        expect((await attack(server, post(base, 'model-versions/create', version))).status).toBe(200);
        expect((await attack(server, post(base, 'registered-models/alias', { name, alias: word, version: '1' }))).status).toBe(200);
        const { registered_model: got } = (await server.get('registered-models/get', { name })).body;
        expect(got).toMatchObject({ name, tags: [{ key: word, value: 'v' }], aliases: [{ alias: word, version: '1' }] });
        const found = await server.get('registered-models/search', { filter: `name = '${name}' AND tags.\`${word}\` = 'v'` });
        expect(found.body.registered_models).toHaveLength(1);
      }
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    },
  );
});

describe('a name', () => {
  it.each(['a/b', 'a:b', '..', '../x', '', ' ', '\t'])('C11: %j is a 400', async (name) => {
    for (const base of BASES) await refused(server, post(base, 'registered-models/create', { name }), 400);
  });

  it.each(['a ', ' a', 'a\u00a0', 'a\n', 'a\tb', 'a\u200bb', 'a\u00adb', '\ufeffa', 'a\u202eb', 'a\u2060', 'a\u3164'])(
    'C12: %j, which looks like another, is a 400 when it is new',
    async (name) => {
      for (const base of BASES) {
        await refused(server, post(base, 'registered-models/create', { name }), 400);
        await refused(server, post(base, 'registered-models/rename', { name: model, new_name: name }), 400);
      }
    },
  );

  it('C12: in other case, or with an encoded slash, is another name, and emoji of several characters are names', async () => {
    for (const name of ['look', 'LOOK', 'lo%2fok', '\u2764\ufe0f', '\u{1f468}\u200d\u{1f4bb}']) {
      await server.post('registered-models/create', { name }).expect(200);
      expect((await server.get('registered-models/get', { name })).body.registered_model.name).toBe(name);
    }
  });

  it('C13: of a tag with a newline is a 400', async () => {
    for (const base of BASES) {
      for (const key of ['k\n', 'k\nl'])
        await refused(server, post(base, 'registered-models/set-tag', { name: model, key, value: 'v' }), 400);
    }
  });

  it('C14: of HTML is text, in an answer that no browser takes for a page', async () => {
    const name = '<script>alert(1)<\u2215script>';
    await server.post('registered-models/create', { name }).expect(200);
    for (const base of BASES) {
      const { headers, text } = await attack(server, {
        method: 'GET',
        path: `${base}/registered-models/get?name=${encodeURIComponent(name)}`,
      });
      expect(JSON.parse(text).registered_model.name).toBe(name);
      expect([headers.get('content-type'), headers.get('x-content-type-options')]).toEqual(['application/json', 'nosniff']);
    }
  });
});

describe('a method', () => {
  it.each(['registered-models/get?name=', 'registered-models/search?filter=', 'model-versions/get?version=1&name='])(
    'C15: HEAD %s is answered as GET',
    async (path) => {
      for (const base of BASES) {
        for (const name of [model, 'nobody']) {
          const [head, get] = await Promise.all(
            ['HEAD', 'GET'].map((method) => attack(server, { method, path: `${base}/${path}${name}` })),
          );
          expect(head?.status).toBe(get?.status);
          expect(head?.text).toBe('');
        }
      }
    },
  );

  it('C16: that is wrong is a 405, and an unknown path a 404, in JSON', async () => {
    for (const base of BASES) {
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'TRACE'])
        await refused(server, { method, path: `${base}/registered-models/create` }, 405);
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) {
        for (const path of [`${base}/nope`, `${base}/registered-models/create/`, `${base}/Registered-Models/get`, base])
          await refused(server, { method, path }, 404);
      }
    }
    // What cannot be decoded.
    for (const path of ['/%zz', '/api/2.0/%ff', '/api/2.0/mlflow-artifacts/artifacts/%zz'])
      await refused(server, { method: 'GET', path }, 400, 404);
    for (const path of ['/nope', '/api', '/api/9.9/mlflow/runs/get', '/.env', '/%2e%2e/etc/passwd', '/static-files/x'])
      await refused(server, { method: 'GET', path }, 404);
  });
});
