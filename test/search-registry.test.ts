import { beforeAll, describe, expect, it } from 'vitest';
import { seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();

type Reply = {
  registered_models?: { name: string }[];
  model_versions?: { name: string; version: string; aliases?: string[] }[];
  next_page_token?: string;
};

const models = async (filter?: string, more: Record<string, string | number | string[]> = {}) => {
  const reply = await server.get('registered-models/search', { ...(filter !== undefined && { filter }), ...more });
  expect(reply.body).not.toHaveProperty('error_code');
  return ((reply.body as Reply).registered_models ?? []).map(({ name }) => name);
};
const versions = async (filter?: string, more: Record<string, string | number | string[]> = {}) => {
  const reply = await server.get('model-versions/search', { ...(filter !== undefined && { filter }), ...more });
  expect(reply.body).not.toHaveProperty('error_code');
  return ((reply.body as Reply).model_versions ?? []).map(({ name, version }) => `${name}/${version}`);
};

beforeAll(async () => {
  for (const name of ['alpha', 'Alpine', 'beta_1', 'betaX1', "it's"]) await seedModel(server, 2, name);
  await server.post('registered-models/set-tag', { name: 'alpha', key: 'team', value: 'risk' });
  await server.post('registered-models/set-tag', { name: 'alpha', key: 'cost centre', value: '7' });
  await server.post('registered-models/set-tag', { name: 'beta_1', key: 'team', value: 'ads' });
  await server.post('model-versions/set-tag', { name: 'alpha', version: '2', key: 'a.b-c', value: 'Yes' });
  await server.post('registered-models/alias', { name: 'alpha', alias: 'champion', version: '2' });
  const prompt = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }];
  await server.post('registered-models/create', { name: 'greeting', tags: prompt }).expect(200);
  await server.post('model-versions/create', { name: 'greeting', source: 'prompt-template', tags: prompt }).expect(200);
});

describe('registered-models/search', () => {
  it.each([
    [undefined, ['Alpine', 'alpha', 'betaX1', 'beta_1', "it's"]],
    ['', ['Alpine', 'alpha', 'betaX1', 'beta_1', "it's"]],
    ["name = 'alpha'", ['alpha']],
    [`name = "it's"`, ["it's"]],
    ["name LIKE 'al%'", ['alpha']],
    ["name ilike 'AL%'", ['Alpine', 'alpha']],
    ["name like 'beta\\_1'", ['beta_1']],
    ["name IN ('alpha', 'beta_1', 'zzz')", ['alpha', 'beta_1']],
    ["attribute.name != 'alpha' and name not in ('Alpine','betaX1',)", ['beta_1', "it's"]],
    ["tags.team = 'risk'", ['alpha']],
    ["tag.team != 'risk'", ['beta_1']],
    ["tags.`cost centre` = '7' AND tags.team LIKE 'r%'", ['alpha']],
    ["tags.`mlflow.prompt.is_prompt` = 'true'", ['greeting']],
    ["name like 'a%' AND tag.`mlflow.prompt.is_prompt` != 'true'", ['alpha']],
    ["name = 'alpha' AND", ['alpha']],
    ["name = 'alpha' tags.team = 'risk'", ['alpha']],
    ["name\n!=\t'alpha'AND name LIKE'al%'", []],
    ["name IN ('al' 'pha', 'it\\'s')", ['alpha', "it's"]],
    ["name IN ('\\x61lpha')", ['alpha']],
  ])('%s finds %j', async (filter, expected) => {
    expect(await models(filter)).toEqual(expected);
  });

  it.each([
    ["name = 'a' OR name = 'b'", 'Invalid clause(s) in filter string: OR'],
    [
      'name = alpha',
      'Parameter value is either not quoted or unidentified quote types used for string value alpha. Use either single or double quotes.',
    ],
    ["name == 'a'", 'Invalid comparator for attribute: =='],
    ["tags.x > 'a'", 'Invalid comparator for tag: >'],
    ["stage = 'Production'", "Invalid attribute key 'stage' specified. Valid keys are '{'name'}'"],
    ["attr.name = 'a'", "Invalid entity type 'attr'. Valid entity types are ('attribute', 'tag', 'tags')"],
    [' ', "Invalid filter ' '. Could not be parsed."],
    ['name IS NULL', 'Invalid comparator for attribute: IS NULL'],
    [
      "name = 'x'; drop table runs",
      `Search filter contained multiple expression "name = 'x'; drop table runs". Provide AND-ed expression list.`,
    ],
    // What the stock server's parser makes of a filter that is no list of comparisons.
    ["name = 'a' foo", "Invalid clause(s) in filter string: name = 'a' foo"],
    ["(name = 'a' AND tags.x = 'b')", "Invalid clause(s) in filter string: (name = 'a' AND tags.x = 'b')"],
    ["tags.x = 'a', name = 'b'", "Invalid clause(s) in filter string: tags.x = 'a', name = 'b'"],
    ["name = 'it's'", "Invalid clause(s) in filter string: name = 'it's, '"],
    ["name BETWEEN 'a' AND 'b'", "Invalid clause(s) in filter string: name, BETWEEN, 'a', 'b'"],
    ["tags.a-b = 'x'", "Invalid comparison clause. Expected 'Identifier' found 'tags.a-b'"],
    ["'a' = name", "Invalid comparison clause. Expected 'Identifier' found ''a''"],
    ['name = x-y', 'Expected a quoted string value or a list of quoted string values for attributes. Got value x-y'],
    ['tags.x = NULL', "Expected a quoted string value for tag (e.g. 'my-value'). Got value NULL"],
    [
      'name IN (1, 2)',
      'While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in list: (1, 2)',
    ],
    ["name IN ('a',,'b')", 'While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.'],
    ['name IN ()', 'While parsing a list in the query, expected a non-empty list of string values, but got empty list'],
  ])('%s is a 400: %s', async (filter, message) => {
    const reply = await server.get('registered-models/search', { filter });
    expect([reply.status, reply.body.message]).toEqual([400, message]);
  });

  it('pages by name and by time, each model once, also when the first is deleted in between', async () => {
    for (const order_by of [['name DESC'], ['last_updated_timestamp'], ['timestamp DESC', 'name ASC']]) {
      const seen: string[] = [];
      let token: string | undefined;
      do {
        const reply = await server.get('registered-models/search', { max_results: 2, order_by, ...(token && { page_token: token }) });
        seen.push(...(reply.body as Required<Reply>).registered_models.map(({ name }) => name));
        token = (reply.body as Reply).next_page_token;
      } while (token);
      expect(seen.toSorted()).toEqual(await models());
      expect(new Set(seen).size).toBe(seen.length);
    }
  });

  it('refuses a token of another search and a doctored one', async () => {
    const { next_page_token: token } = (await server.get('registered-models/search', { max_results: 1 })).body as Required<Reply>;
    for (const query of [
      { page_token: token, filter: "name like 'b%'" },
      { page_token: `${token}x` },
      { page_token: '%%' },
      { page_token: 'WzFd' },
    ]) {
      const reply = await server.get('registered-models/search', query);
      expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    }
  });

  it.each([0, -1, 1001])('refuses max_results=%d', async (max_results) => {
    expect((await server.get('registered-models/search', { max_results })).status).toBe(400);
  });

  it('answers the same to POST (R) and to list (1.x)', async () => {
    const posted = await server.post('registered-models/search', { filter: "name like 'al%'", max_results: '5' });
    expect((posted.body as Required<Reply>).registered_models.map(({ name }) => name)).toEqual(['alpha']);
    expect((await server.get('/api/2.0/preview/mlflow/registered-models/list')).body.registered_models).toHaveLength(5);
  });

  it.each(['name,timestamp', 'stage', 'name foo', 'name;drop', ''])('refuses order_by %j', async (order_by) => {
    expect((await server.get('registered-models/search', { order_by: [order_by] })).status).toBe(400);
  });

  it('refuses to sort by one thing twice', async () => {
    expect((await server.get('registered-models/search', { order_by: ['name', 'name DESC'] })).status).toBe(400);
  });
});

describe('model-versions/search', () => {
  it.each([
    ["name = 'alpha'", ['alpha/2', 'alpha/1']],
    ["name = 'alpha' and version_number > 1", ['alpha/2']],
    ["version_number = '2' and name in ('alpha', 'Alpine')", ['Alpine/2', 'alpha/2']],
    ["source_path like 's3://bucket/alpha/%'", ['alpha/2', 'alpha/1']],
    ["tags.`a.b-c` ILIKE 'yes'", ['alpha/2']],
    ["tags.`mlflow.prompt.is_prompt` = 'true'", ['greeting/1']],
    ["run_id = 'none'", []],
  ])('%s finds %j', async (filter, expected) => {
    expect(await versions(filter, { order_by: ['name', 'version_number DESC'] })).toEqual(expected);
  });

  it('gives the newest version with its aliases', async () => {
    const reply = await server.get('model-versions/search', { filter: "name='alpha'", max_results: 1, order_by: ['version_number DESC'] });
    expect((reply.body as Required<Reply>).model_versions).toMatchObject([{ version: '2', aliases: ['champion'] }]);
  });

  it('sorts by last update, newest first, when not told otherwise', async () => {
    await server.patch('model-versions/update', { name: 'beta_1', version: '1', description: 'touched' });
    expect((await versions())[0]).toBe('beta_1/1');
  });

  it.each([
    ["version_number = 'x'", "Invalid value for numeric attribute 'version_number': 'x'"],
    ['version_number = 1.0', "Invalid value for numeric attribute 'version_number': 1.0"],
  ])('%s is a 400: %s', async (filter, message) => {
    expect((await server.get('model-versions/search', { filter })).body.message).toBe(message);
  });
});

describe('a filter with very many clauses', () => {
  it.each(['registered-models', 'model-versions', 'runs', 'experiments', 'logged-models'])(
    'is answered in time by %s/search',
    async (noun) => {
      const filter = Array.from({ length: 150 }, (_, i) => `tags.k${i} = 'v'`).join(' AND ');
      const reply = await server.post(`${noun}/search`, { filter, experiment_ids: ['0'], max_results: 5 });
      expect([reply.status, reply.body]).toEqual([200, {}]);
    },
  );
});
