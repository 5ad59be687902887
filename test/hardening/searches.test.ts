import { expect, it } from 'vitest';
import { freshName, seedModel } from '../helpers/seed.ts';
import { startTestServer } from '../helpers/server.ts';
import { attack, BASES, named, refused } from './attack.ts';

// The rows of "Search, paging, versions, aliases", D1 to D13.

const server = await startTestServer();
const model = await seedModel(server, 1);
const SEARCHES = ['registered-models/search', 'model-versions/search'];

const search = (path: string, arguments_: Record<string, string | string[]>) => {
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(arguments_)) for (const value of [values].flat()) query.append(name, value);
  return { method: 'GET', path: `${path}?${query}` };
};
const everySearch = async (arguments_: Record<string, string | string[]>) => {
  for (const base of BASES) for (const path of SEARCHES) await refused(server, search(`${base}/${path}`, arguments_), 400);
};

it.each(
  named([
    "name = 'x' OR 1=1",
    "name = 'x'; DROP TABLE registered_models",
    "name = 'x' UNION SELECT 1",
    "name = '",
    'name = `',
    "name = 'x' --",
    '('.repeat(5000),
  ]),
)('D1: the filter %s is a 400, soon', async (_, filter) => {
  const began = performance.now();
  await everySearch({ filter });
  expect(performance.now() - began).toBeLessThan(4000);
  expect((await server.get('registered-models/get', { name: model })).status).toBe(200);
});

it('D1: a filter of 600 clauses is answered soon', async () => {
  const began = performance.now();
  for (const base of BASES) {
    const { status } = await attack(
      server,
      search(`${base}/registered-models/search`, { filter: Array(600).fill("name = 'x'").join(' AND ') }),
    );
    expect([200, 400]).toContain(status);
  }
  expect(performance.now() - began).toBeLessThan(4000);
});

it.each(['name;drop', '(select 1)', '', 'name ASC; --', 'constructor', '__proto__ DESC', 'attribute.toString'])(
  'D2: order_by %j is a 400',
  async (order_by) => {
    await everySearch({ order_by });
  },
);

it('D3: order_by of one thing twice is a 400', async () => {
  for (const base of BASES) {
    await refused(server, search(`${base}/registered-models/search`, { order_by: ['name', 'name DESC'] }), 400);
    await refused(server, search(`${base}/model-versions/search`, { order_by: ['version_number', 'version_number'] }), 400);
  }
});

it.each(named(['0', '-1', '1000001', 'x', '1.5', '9'.repeat(400)]))('D4: max_results %s is a 400', async (_, max_results) => {
  await everySearch({ max_results });
});

it.each(
  ['garbage', '[]', '{}', '{"offset": -1}', '{"offset": 99999999999999999999}', 'null', '"x"'].flatMap((json) => [
    json,
    Buffer.from(json).toString('base64'),
  ]),
)('D5: the page token %s is a 400', async (page_token) => {
  await everySearch({ page_token });
});

it.each(named(['1.0', '1e0', '0x1', 'abc', 'true', '1\0', '9'.repeat(400), '-1', '']))(
  'D6: the version %j is a 400 or 404',
  async (_, version) => {
    for (const base of BASES) await refused(server, search(`${base}/model-versions/get`, { name: model, version }), 400, 404);
  },
);

it.each(named(['latest', 'LATEST', 'v1', 'V12', 'a/b', 'a:b', '', ' ', 'x'.repeat(300), 'a\n']))(
  'D7: the alias %j is a 400',
  async (_, alias) => {
    for (const base of BASES) {
      await refused(server, { method: 'POST', path: `${base}/registered-models/alias`, body: { name: model, alias, version: '1' } }, 400);
    }
  },
);

it('D7: an alias of a missing version is a 404', async () => {
  for (const base of BASES) {
    await refused(
      server,
      { method: 'POST', path: `${base}/registered-models/alias`, body: { name: model, alias: 'a', version: '9' } },
      404,
    );
  }
});

it.each([{ stage: 'Nope' }, { archive_existing_versions: 'yes' }, { version: 1 }, { stage: 5 }])(
  'D8: a transition with %j is a 400',
  async (wrong) => {
    const body = { name: model, version: '1', stage: 'Staging', archive_existing_versions: false, ...wrong };
    for (const base of BASES) await refused(server, { method: 'POST', path: `${base}/model-versions/transition-stage`, body }, 400);
  },
);

it.each([
  ['a value of 200 kB', 'k', 'x'.repeat(200_000)],
  ['a key of 300 characters', 'x'.repeat(300), 'v'],
  ['the key a/../b', 'a/../b', 'v'],
])('D9: a tag with %s is a 400', async (_, key, value) => {
  for (const base of BASES) {
    for (const noun of ['registered-models', 'model-versions'])
      await refused(server, { method: 'POST', path: `${base}/${noun}/set-tag`, body: { name: model, version: '1', key, value } }, 400);
  }
});

it.each([
  ['D10: a GET with a query', { method: 'GET', path: '/graphql?query=%7Ba%7D' }],
  ['D10: a list', { method: 'POST', path: '/graphql', body: [{ query: '{a}' }] }],
  ['D10: a query that is no text', { method: 'POST', path: '/graphql', body: { query: 5 } }],
  ['D10: 5000 braces', { method: 'POST', path: '/graphql', body: { query: '{'.repeat(5000) } }],
  ['D11: 2000 aliases', { method: 'POST', path: '/graphql', body: { query: `{${'a: b '.repeat(2000)}}` } }],
  ['D11: introspection', { method: 'POST', path: '/graphql', body: { query: '{__schema{types{name}}}' } }],
])('%s: there is no GraphQL, so a 404', async (_, one) => {
  await refused(server, one, 404);
});

it.each(named(['../x', 'UPPER', 'api', 'x'.repeat(5000), 'a b', 'a%2fb', '__proto__']))(
  'D12, D13: the workspace %s is a 400 or 404',
  async (_, workspace) => {
    const headers = { 'X-MLFLOW-WORKSPACE': workspace };
    for (const base of BASES) await refused(server, { ...search(`${base}/registered-models/search`, {}), headers }, 400, 404);
  },
);

it('D13: an unknown workspace is a 404, by header and by path', async () => {
  const name = freshName('nowhere');
  for (const base of BASES) {
    await refused(server, { ...search(`${base}/registered-models/search`, {}), headers: { 'X-MLFLOW-WORKSPACE': name } }, 404);
    await refused(server, search(`/workspaces/${name}${base}/registered-models/search`, {}), 404);
  }
});
