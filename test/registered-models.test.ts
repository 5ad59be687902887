import { describe, expect, it } from 'vitest';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const getModel = async (name: string) => (await server.get('registered-models/get', { name })).body.registered_model;

describe('registered-models/create', () => {
  it('answers the model with its times and tags, the last value of a repeated key', async () => {
    const tags = [
      { key: 'team', value: 'ops' },
      { key: 'team', value: 'risk' },
    ];
    const reply = await server.post('registered-models/create', { name: 'fraud', tags });
    expect(reply.status).toBe(200);
    const { creation_timestamp: created, ...model } = reply.body.registered_model;
    expect(created).toBeTypeOf('number');
    expect(model).toEqual({ name: 'fraud', last_updated_timestamp: created, tags: [{ key: 'team', value: 'risk' }] });
  });

  it('answers 400 RESOURCE_ALREADY_EXISTS for a name that is taken, and changes nothing', async () => {
    const name = await seedModel(server);
    const reply = await server.post('registered-models/create', { name, description: 'second' });
    expect([reply.status, reply.body]).toEqual([
      400,
      {
        error_code: 'RESOURCE_ALREADY_EXISTS',
        message: `Registered Model (name=${name}) already exists.`,
        sqlstate: 'KAM00',
        error_class: 'RESOURCE_ALREADY_EXISTS',
      },
    ]);
    expect(await getModel(name)).not.toHaveProperty('description');
  });

  it('tells a prompt from a model when a name is taken', async () => {
    const name = freshName();
    await server.post('registered-models/create', { name, tags: [{ key: 'mlflow.prompt.is_prompt', value: 'true' }] });
    const reply = await server.post('registered-models/create', { name });
    expect(reply.body.message).toContain(
      `Tried to create a registered model with name '${name}', but the name is already taken by a prompt.`,
    );
  });

  it('keeps odd names as plain data', async () => {
    for (const name of ['__proto__', 'constructor', 'ünïcode 🦊', "it's", '100%25', 'org.shared.fraud']) {
      await server.post('registered-models/create', { name }).expect(200);
      expect((await getModel(name)).name).toBe(name);
    }
  });

  it.each([
    [{}, "Missing value for required parameter 'name'. See the API docs for more information about request parameters."],
    [{ name: '' }, "Missing value for required parameter 'name'. See the API docs for more information about request parameters."],
    [{ name: ' ' }, "Missing value for required parameter 'name'."],
    [
      { name: 5 },
      "Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'. See the API docs for more information about request parameters.",
    ],
    [{ name: 'a/b' }, "Invalid model name 'a/b'. Names cannot contain '/' or ':'."],
    [
      { name: '..' },
      `Invalid value ".." for parameter 'name' supplied: Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name would resolve to '..'`,
    ],
    [{ name: 'x'.repeat(257) }, "'name' exceeds the maximum length of 256 characters"],
    [
      { name: 'x', tags: [{ key: 'a%b' }] },
      `Invalid value "a%b" for parameter 'key' supplied: Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).`,
    ],
    [
      { name: 'x', tags: 'y' },
      `Invalid value "y" for parameter 'tags' supplied:  Hint: Value was of type 'str'. See the API docs for more information about request parameters.`,
    ],
    [
      '{"name": 9.0}',
      "Invalid value 9.0 for parameter 'name' supplied:  Hint: Value was of type 'float'. See the API docs for more information about request parameters.",
    ],
    [
      '{"name": "9.0", "tags": {"b": [1.0, 1e2, -0.0, 1], "a": "\\"2.0"}}',
      `Invalid value {"a":"\\"2.0","b":[1.0,100.0,-0.0,1]} for parameter 'tags' supplied:  Hint: Value was of type 'dict'. See the API docs for more information about request parameters.`,
    ],
  ])('refuses %j with the stock server’s sentence', async (body, message) => {
    const reply = await server.post('registered-models/create', body);
    expect([reply.status, reply.body.error_code, reply.body.message]).toEqual([400, 'INVALID_PARAMETER_VALUE', message]);
  });
});

describe('a registered model', () => {
  it('is found under every prefix, and by a JSON body without query arguments', async () => {
    const name = await seedModel(server);
    for (const prefix of ['/api/2.0', '/ajax-api/2.0', '/api/2.0/preview', '/ajax-api/2.0/preview', '//api/2.0']) {
      expect((await server.get(`${prefix}/mlflow/registered-models/get`, { name })).body.registered_model.name).toBe(name);
    }
    const reply = await server.get('registered-models/get').set('Content-Type', 'application/json').send(JSON.stringify({ name }));
    expect(reply.body.registered_model.name).toBe(name);
  });

  it('is looked up by the very name asked for, whatever it looks like', async () => {
    const reply = await server.get('registered-models/get?name=a//api/b');
    expect(reply.body.message).toBe("Invalid model name 'a//api/b'. Names cannot contain '/' or ':'.");
  });

  it('loses its description when an update leaves it out', async () => {
    const name = await seedModel(server);
    const described = await server.patch('registered-models/update', { name, description: 'the *fraud* model' });
    expect(described.body.registered_model.description).toBe('the *fraud* model');
    expect((await server.patch('registered-models/update', { name })).body.registered_model).not.toHaveProperty('description');
  });

  it('shows the newest version of each stage, with aliases', async () => {
    const name = await seedModel(server, 3);
    await server.post('model-versions/transition-stage', { name, version: '2', stage: 'production' }).expect(200);
    await server.post('registered-models/alias', { name, alias: 'champion', version: '2' }).expect(200);
    const model = await getModel(name);
    const latest = model.latest_versions.map((v: Record<string, unknown>) => [v.version, v.current_stage, v.aliases]);
    expect(latest.sort()).toEqual([
      ['2', 'Production', ['champion']],
      ['3', 'None', undefined],
    ]);
    expect(model.aliases).toEqual([{ alias: 'champion', version: '2' }]);
  });

  it('keeps versions, tags and aliases when it is renamed', async () => {
    const [name, renamed] = [await seedModel(server, 2), freshName()];
    await server.post('registered-models/alias', { name, alias: 'live', version: '1' });
    const reply = await server.post('registered-models/rename', { name, new_name: renamed });
    expect(reply.body.registered_model.name).toBe(renamed);
    expect((await server.get('registered-models/alias', { name: renamed, alias: 'live' })).body.model_version).toMatchObject({
      name: renamed,
      version: '1',
    });
    expect((await server.get('registered-models/get', { name })).status).toBe(404);
  });

  it('is not renamed to a name that is taken', async () => {
    const [name, taken] = [await seedModel(server), await seedModel(server)];
    const reply = await server.post('registered-models/rename', { name, new_name: taken });
    expect(reply.body).toMatchObject({
      error_code: 'RESOURCE_ALREADY_EXISTS',
      message: `Registered Model (name=${taken}) already exists.`,
    });
  });

  it('goes with its versions, and starts at version 1 when it is made again', async () => {
    const name = await seedModel(server, 2);
    expect((await server.delete('registered-models/delete', { name })).body).toEqual({});
    expect((await server.get('model-versions/get', { name, version: '1' })).status).toBe(404);
    await seedModel(server, 0, name);
    expect((await server.post('model-versions/create', { name, source: 's3://b/m' })).body.model_version.version).toBe('1');
  });

  it('sets and deletes tags; deleting one that is not there is fine', async () => {
    const name = await seedModel(server);
    await server.post('registered-models/set-tag', { name, key: 'a/b c', value: '1' }).expect(200);
    await server.post('registered-models/set-tag', { name, key: 'a/b c', value: '2' }).expect(200);
    expect((await getModel(name)).tags).toEqual([{ key: 'a/b c', value: '2' }]);
    for (let i = 0; i < 2; i++) expect((await server.delete('registered-models/delete-tag', { name, key: 'a/b c' })).body).toEqual({});
    expect(await getModel(name)).not.toHaveProperty('tags');
  });

  it.each([
    ['get', 'registered-models/get'],
    ['patch', 'registered-models/update'],
    ['delete', 'registered-models/delete'],
    ['get', 'registered-models/get-latest-versions'],
    ['post', 'registered-models/get-latest-versions'],
  ] as const)('that is not there is a 404 for %s %s', async (method, target) => {
    const reply = await server[method](target, { name: 'nobody' });
    expect([reply.status, reply.body.error_code, reply.body.message]).toEqual([
      404,
      'RESOURCE_DOES_NOT_EXIST',
      'Registered Model with name=nobody not found',
    ]);
  });
});

describe('aliases', () => {
  it('move, roll back and go', async () => {
    const name = await seedModel(server, 2);
    const champion = async () => (await server.get('registered-models/alias', { name, alias: 'champion' })).body;
    for (const version of ['1', '2', '1']) {
      expect((await server.post('registered-models/alias', { name, alias: 'champion', version })).body).toEqual({});
      expect((await champion()).model_version).toMatchObject({ version, aliases: ['champion'] });
    }
    for (let i = 0; i < 2; i++) expect((await server.delete('registered-models/alias', { name, alias: 'champion' })).body).toEqual({});
    expect(await champion()).toMatchObject({
      error_code: 'INVALID_PARAMETER_VALUE',
      message: 'Registered model alias champion not found.',
    });
  });

  it('latest, in any case, is the highest number of any stage', async () => {
    const name = await seedModel(server, 2);
    await server.post('model-versions/transition-stage', { name, version: '2', stage: 'Archived' });
    expect((await server.get('registered-models/alias', { name, alias: 'LATEST' })).body.model_version.version).toBe('2');
    const empty = await seedModel(server);
    const reply = await server.get('registered-models/alias', { name: empty, alias: 'latest' });
    expect([reply.status, reply.body.message]).toEqual([404, `Latest version not found for model ${empty}.`]);
  });

  it.each([
    ['a b', "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-)."],
    ['Latest', "'latest' alias name (case insensitive) is reserved."],
    ['v12', "Version alias name 'v12' is reserved."],
    ['x'.repeat(256), "'Registered model alias name' exceeds the maximum length of 255 characters"],
  ])('%s cannot be set', async (alias, message) => {
    const reply = await server.post('registered-models/alias', { name: 'any', alias, version: '1' });
    expect([reply.status, reply.body.message]).toEqual([400, message]);
  });

  it('cannot point at a version that is not there', async () => {
    const name = await seedModel(server, 1);
    const reply = await server.post('registered-models/alias', { name, alias: 'x', version: '9' });
    expect([reply.status, reply.body.message]).toEqual([404, `Model Version (name=${name}, version=9) not found`]);
  });
});
