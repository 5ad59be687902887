import { describe, expect, it } from 'vitest';
import { startServerWithLogin } from './helpers/login.ts';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';
import { sharing } from './helpers/trained.ts';

const server = await startTestServer();
const guarded = await startServerWithLogin();
const { seedWorkspace, from, train } = sharing(server);
const REGISTRIES = '/api/1.0/registries';
const KINDS = { sqlstate: 'KAM00', error_class: 'INVALID_PARAMETER_VALUE' };

const create = (name: string, settings: object = {}) => server.post(REGISTRIES, { name, ...settings });
async function seedRegistry(): Promise<string> {
  const name = freshName('reg');
  await create(name).expect(201);
  return name;
}

describe('registries', () => {
  it('are made, shown, changed, listed and removed', async () => {
    const name = freshName('reg');
    const made = await create(name, { display_name: 'Shared', description: 'Of all', tags: { cost: 'x' } });
    expect([made.status, made.body]).toEqual([
      201,
      {
        name,
        display_name: 'Shared',
        description: 'Of all',
        tags: { cost: 'x' },
        visibility: 'ORGANIZATION',
        owner: '',
        mlflow_registry_uri: `${server.url}/registries/${name}`,
        asset_counts: { models: 0 },
        creation_timestamp: expect.any(Number),
        last_updated_timestamp: expect.any(Number),
      },
    ]);
    expect((await server.get(`${REGISTRIES}/${name}`)).body).toEqual(made.body);
    const changed = await server.patch(`${REGISTRIES}/${name}`, { description: 'New', visibility: 'PUBLIC' });
    expect(changed.body).toMatchObject({ display_name: 'Shared', description: 'New', visibility: 'PUBLIC', tags: { cost: 'x' } });
    expect((await server.get(REGISTRIES)).body.registries.map((registry: { name: string }) => registry.name)).toContain(name);
    expect((await server.delete(`${REGISTRIES}/${name}`)).body).toEqual({});
    expect((await server.get(`${REGISTRIES}/${name}`)).status).toBe(404);
  });

  it('are listed page by page, in order', async () => {
    const names = [await seedRegistry(), await seedRegistry(), await seedRegistry()];
    const found: string[] = [];
    let page_token = '';
    do {
      const { body } = await server.get(REGISTRIES, { max_results: 1, page_token });
      found.push(...body.registries.map((registry: { name: string }) => registry.name));
      page_token = body.next_page_token ?? '';
    } while (page_token);
    expect(found).toEqual(found.toSorted());
    expect(found).toEqual(expect.arrayContaining(names));
  });

  it.each(['default', 'registries', 'models', 'data', 'api', 'A', 'with.dot', 'x', 'UPPER', '-x', 'x'.repeat(64)])(
    'cannot be called %s',
    async (name) => {
      expect((await create(name)).status).toBe(400);
    },
  );

  it('share one name space with workspaces', async () => {
    const [registry, workspace] = [await seedRegistry(), freshName('ws')];
    expect((await create(registry)).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    expect((await server.post('/api/3.0/mlflow/workspaces', { name: registry })).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    await server.post('/api/3.0/mlflow/workspaces', { name: workspace }).expect(201);
    expect((await create(workspace)).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    expect((await server.get(`/api/3.0/mlflow/workspaces/${registry}`)).status).toBe(404);
    expect((await server.get(`${REGISTRIES}/${workspace}`)).status).toBe(404);
  });

  it('are not removed while something is in them', async () => {
    const registry = await seedRegistry();
    await seedModel(server, 0, `${registry}.m`);
    const refused = await server.delete(`${REGISTRIES}/${registry}`);
    expect([refused.status, refused.body.message]).toEqual([409, expect.stringContaining('not empty')]);
    expect((await server.get(`${REGISTRIES}/${registry}`)).body.asset_counts).toEqual({ models: 1 });
    await server.delete('registered-models/delete', { name: `${registry}.m` }).expect(200);
    expect((await server.delete(`${REGISTRIES}/${registry}`)).status).toBe(200);
  });

  it('do not hide models that are there, unless forced; then their workspace names them', async () => {
    const name = freshName('team');
    await seedModel(server, 0, `${name}.old`);
    const refused = await create(name);
    expect([refused.status, refused.body.message]).toEqual([409, expect.stringContaining(`${name}.old in workspace default`)]);
    await create(name, { force: true }).expect(201);
    expect((await server.get('registered-models/get', { name: `${name}.old` })).status).toBe(404);
    const named = server.get('registered-models/get', { name: `${name}.old` }).set('X-MLFLOW-WORKSPACE', 'default');
    expect((await named).body.registered_model.name).toBe(`${name}.old`);
    const below = server.get(`/workspaces/default/api/2.0/mlflow/registered-models/get`, { name: `${name}.old` });
    expect((await below).status).toBe(200);
  });
});

describe('a model of a registry', () => {
  const spellings = [
    ['a dotted name', (registry: string, model: string) => ({ base: '', header: '', name: `${registry}.${model}` })],
    ['the base path', (registry: string, model: string) => ({ base: `/registries/${registry}`, header: '', name: model })],
    [
      'the base path with a slash too many',
      (registry: string, model: string) => ({ base: `/registries/${registry}/`, header: '', name: model }),
    ],
    ['the header', (registry: string, model: string) => ({ base: '', header: registry, name: model })],
    [
      'a dotted name from another workspace',
      (registry: string, model: string) => ({ base: '/workspaces/default', header: '', name: `${registry}.${model}` }),
    ],
    [
      'the base path, asked for by a workspace',
      (registry: string, model: string) => ({ base: `/registries/${registry}`, header: 'default', name: model }),
    ],
  ] as const;

  it.each(spellings)('is written and read by %s, and the answers repeat the name as it was asked for', async (_, spell) => {
    const registry = await seedRegistry();
    const { base, header, name } = spell(registry, 'fraud.v2');
    const at = (target: string) => `${base}/api/2.0/mlflow/${target}`;
    const headers = header === '' ? {} : { 'X-MLFLOW-WORKSPACE': header };
    const post = (target: string, body: object) =>
      server
        .post(at(target), body as Record<string, unknown>)
        .set(headers)
        .expect(200);
    const get = (target: string, query: Record<string, string>) => server.get(at(target), query).set(headers).expect(200);

    expect((await post('registered-models/create', { name })).body.registered_model.name).toBe(name);
    expect((await post('model-versions/create', { name, source: 's3://b/m' })).body.model_version).toMatchObject({ name, version: '1' });
    await post('registered-models/alias', { name, alias: 'champion', version: '1' });
    await post('model-versions/set-tag', { name, version: '1', key: 'k', value: 'v' });
    await post('model-versions/transition-stage', { name, version: '1', stage: 'Production' });
    expect((await get('registered-models/alias', { name, alias: 'champion' })).body.model_version).toMatchObject({ name, version: '1' });
    const model = (await get('registered-models/get', { name })).body.registered_model;
    expect([model.name, model.latest_versions[0].name]).toEqual([name, name]);
    expect((await get('registered-models/get-latest-versions', { name })).body.model_versions[0].name).toBe(name);
    expect((await get('model-versions/get-download-uri', { name, version: '1' })).body.artifact_uri).toBe('s3://b/m');

    // All spellings mean the same model.
    const dotted = await server.get('registered-models/get', { name: `${registry}.fraud.v2` }).expect(200);
    expect(dotted.body.registered_model.aliases).toEqual([{ alias: 'champion', version: '1' }]);
    expect((await server.get('registered-models/get', { name: 'fraud.v2' })).status).toBe(404);
  });

  it('is another one than a model of that name in a workspace or in another registry', async () => {
    const [one, two, model] = [await seedRegistry(), await seedRegistry(), freshName()];
    await seedModel(server, 1, model);
    await seedModel(server, 2, `${one}.${model}`);
    await seedModel(server, 3, `${two}.${model}`);
    const newest = async (name: string) =>
      (await server.get('registered-models/get', { name })).body.registered_model.latest_versions[0].version;
    expect([await newest(model), await newest(`${one}.${model}`), await newest(`${two}.${model}`)]).toEqual(['1', '2', '3']);
  });

  it('is renamed in its registry, by the new name with a dot', async () => {
    const [registry, other, local] = [await seedRegistry(), await seedRegistry(), freshName()];
    await seedModel(server, 1, `${registry}.old`);
    await seedModel(server, 0, local);
    const rename = (name: string, new_name: string) => server.post('registered-models/rename', { name, new_name });
    expect((await rename(`${registry}.old`, `${registry}.new`)).body.registered_model).toMatchObject({
      name: `${registry}.new`,
      latest_versions: [{ name: `${registry}.new`, version: '1' }],
    });
    expect((await server.get(`/registries/${registry}/api/2.0/mlflow/registered-models/get`, { name: 'new' })).status).toBe(200);
    for (const [name, elsewhere] of [
      [`${registry}.new`, 'new'],
      [`${registry}.new`, `${other}.new`],
      [local, `${registry}.moved`],
    ] as const) {
      const reply = await rename(name, elsewhere);
      expect([reply.status, reply.body.error_code], `${name} to ${elsewhere}`).toEqual([400, 'INVALID_PARAMETER_VALUE']);
      expect(reply.body.message).toContain('a model is renamed where it is');
    }
  });

  it('has a name with a dot like any other when there is no such registry', async () => {
    await seedModel(server, 1, 'nobody.model');
    expect((await server.get('registered-models/get', { name: 'nobody.model' })).body.registered_model.name).toBe('nobody.model');
  });
});

describe('a search', () => {
  const versions = async (filter: string) =>
    ((await server.get('model-versions/search', { filter }).expect(200)).body.model_versions ?? []).map(
      ({ name, version }: { name: string; version: string }) => `${name} ${version}`,
    );
  const models = async (filter: string) =>
    ((await server.get('registered-models/search', { filter }).expect(200)).body.registered_models ?? []).map(
      ({ name }: { name: string }) => name,
    );

  it('finds what a dotted name asks for, by =, LIKE, ILIKE and IN, from any workspace', async () => {
    const registry = await seedRegistry();
    await seedModel(server, 2, `${registry}.fraud`);
    await seedModel(server, 1, `${registry}.churn`);
    expect(await versions(`name='${registry}.fraud'`)).toEqual([`${registry}.fraud 2`, `${registry}.fraud 1`]);
    expect(await models(`name='${registry}.fraud'`)).toEqual([`${registry}.fraud`]);
    expect(await models(`name LIKE '${registry}.%'`)).toEqual([`${registry}.churn`, `${registry}.fraud`]);
    expect(await models(`name ILIKE '${registry}.FR%'`)).toEqual([`${registry}.fraud`]);
    expect(await versions(`name IN ('${registry}.churn', 'other')`)).toEqual([`${registry}.churn 1`]);
    const [model] = (await server.get('registered-models/search', { filter: `name='${registry}.fraud'` })).body.registered_models;
    expect(model.latest_versions[0].name).toBe(`${registry}.fraud`);
  });

  it('without one finds what is in the scope of the request', async () => {
    const registry = await seedRegistry();
    await seedModel(server, 1, `${registry}.only-here`);
    expect(await models("name='only-here'")).toEqual([]);
    expect(await models(`name LIKE '%only-here'`)).toEqual([]);
    const inside = await server.get(`/registries/${registry}/api/2.0/mlflow/registered-models/search`).expect(200);
    expect(inside.body.registered_models.map(({ name }: { name: string }) => name)).toEqual(['only-here']);
    const pages = await server.get('model-versions/search', { filter: `name='${registry}.only-here'`, max_results: 1 });
    expect(pages.body.next_page_token).toBeUndefined();
  });
});

describe('a registry has no runs and experiments', () => {
  it.each([
    ['experiments/create', { name: 'x' }],
    ['runs/create', { experiment_id: '0' }],
    ['logged-models', { experiment_id: '0' }],
  ])('%s is refused there with a way out', async (target, body) => {
    const registry = await seedRegistry();
    for (const reply of [
      await server.post(`/registries/${registry}/api/2.0/mlflow/${target}`, body),
      await server.post(target, body).set('X-MLFLOW-WORKSPACE', registry),
    ])
      expect([reply.status, reply.body.message]).toEqual([400, expect.stringContaining('is a registry')]);
  });
});

describe('a base path', () => {
  it('must name something there is', async () => {
    const statuses = await Promise.all(
      ['/registries/nowhere', '/workspaces/nowhere', '/registries/default', '/registries/%2e%2e'].map(
        async (base) => (await server.get(`${base}/api/2.0/mlflow/registered-models/search`)).status,
      ),
    );
    expect(statuses).toEqual([404, 404, 404, 400]);
  });

  it.each([
    ['/registries/Bad_Name', 'Registry'],
    ['/workspaces/Bad_Name', 'Workspace'],
  ])('%s is told of as what it names', async (base, noun) => {
    const { body } = await server.get(`${base}/api/2.0/mlflow/registered-models/search`);
    expect(body.message).toMatch(new RegExp(`^${noun} name 'Bad_Name' must match`));
    expect((await server.get(`/api/1.0${base}/models`)).body.message).toBe(body.message);
  });

  it('may have slashes too many, in front of it and up to the end of the path, and then is one path', async () => {
    const registry = await seedRegistry();
    await seedModel(server, 0, `${registry}.m`);
    for (const path of [
      `//registries//${registry}/api/2.0/mlflow/registered-models/get`,
      `/registries/${registry}//api//2.0///mlflow//registered-models//get`,
      `//registries/${registry}/ajax-api//2.0/mlflow/registered-models/get`,
    ])
      expect((await fetch(`${server.url}${path}?name=m`)).status).toBe(200);
    expect((await fetch(`${server.url}//api//1.0//registries//${registry}`)).status).toBe(200);
    expect((await fetch(`${server.url}//api//2.0//nothing`)).status).toBe(404);
  });

  it('does not take slashes out of the paths of artifacts', async () => {
    const at = (path: string) => fetch(`${server.url}${path}`, { method: 'PUT', body: 'x' });
    const doubled = await at('/api/2.0/mlflow-artifacts/artifacts/some//file');
    expect([doubled.status, await doubled.text()]).toEqual([400, expect.stringContaining("an empty or '.' segment")]);
    expect((await at('/api/2.0/mlflow-artifacts/artifacts//file')).status).toBe(400);
    expect((await at('//api/2.0//mlflow-artifacts//artifacts/some/file')).status).toBe(200);
  });

  it.each(['?registry=shared', '?registry=shared/'])('that is a query %s is refused with the right one', async (base) => {
    for (const target of ['/api/2.0/mlflow/registered-models/search', '/ajax-api/2.0/mlflow/registered-models/search']) {
      for (const method of ['GET', 'POST']) {
        const reply = await fetch(`${server.url}/${base}${target}`, { method });
        expect([reply.status, await reply.json()]).toEqual([
          400,
          { error_code: 'INVALID_PARAMETER_VALUE', message: expect.stringContaining('/registries/<registry>'), ...KINDS },
        ]);
      }
    }
    expect((await fetch(`${server.url}/${base}`)).status).toBe(200);
  });
});

describe('a version of a workspace that a base path names', () => {
  const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';

  it.each([
    ['by base path', (workspace: string) => ({ base: `/workspaces/${workspace}`, name: 'fraud' })],
    [
      'by its dotted name below a registry',
      (workspace: string, registry: string) => ({ base: `/registries/${registry}`, name: `${workspace}.fraud` }),
    ],
  ])('%s has files that are found from everywhere', async (_, spell) => {
    const [registry, dev, prod] = [await seedRegistry(), await seedWorkspace(), await seedWorkspace()];
    await train(dev, { files: { MLmodel: 'the model' } });
    const { base, name } = spell(dev, registry);
    const uriAt = async (base: string, name: string) =>
      (await server.get(`${base}/api/2.0/mlflow/model-versions/get-download-uri`, { name, version: '1' }).expect(200)).body
        .artifact_uri as string;
    const uri = await uriAt(base, name);
    const bare = (await from(dev).get('model-versions/get-download-uri', { name: 'fraud', version: '1' })).body.artifact_uri;
    expect(bare).toMatch(/^mlflow-artifacts:\/registered-models\/\d+\/versions\/1$/);
    expect(uri).toBe(bare.replace(':/', `:/workspaces/${dev}/`));
    const path = uri.replace('mlflow-artifacts:/', '');
    for (const tracking of ['', `/workspaces/${dev}`, `/workspaces/${prod}`, `/registries/${registry}`]) {
      const listed = await server.get(`${tracking}${ARTIFACTS}`, { path });
      expect(listed.body.files.map((file: { path: string }) => file.path)).toContain('MLmodel');
      expect(await (await fetch(`${server.url}${tracking}${ARTIFACTS}/${path}/MLmodel`)).text()).toBe('the model');
    }
    expect((await from(prod).download(`${path}/MLmodel`)).status).toBe(200);
  });

  it('has them under its own name only, and nobody writes there', async () => {
    const [dev, prod] = [await seedWorkspace(), await seedWorkspace()];
    await train(dev);
    const { artifact_uri: uri } = (await from(dev).get('model-versions/get-download-uri', { name: 'fraud', version: '1' })).body;
    const path = uri.replace('mlflow-artifacts:/', '');
    expect((await from(prod).download(`${path}/MLmodel`)).status).toBe(404);
    expect((await from(prod).download(`workspaces/${prod}/${path}/MLmodel`)).status).toBe(404);
    for (const workspace of [dev, prod]) {
      for (const method of ['PUT', 'DELETE']) {
        const reply = await fetch(`${server.url}${ARTIFACTS}/workspaces/${dev}/${path}/MLmodel`, {
          method,
          headers: { 'X-MLFLOW-WORKSPACE': workspace },
          ...(method === 'PUT' && { body: 'x' }),
        });
        expect([reply.status, await reply.json()]).toMatchObject([403, { error_code: 'PERMISSION_DENIED' }]);
      }
    }
  });

  it('is read by who may read the model, with login on', async () => {
    const { admin, as } = guarded;
    const [dev, prod] = [freshName('ws'), freshName('ws')];
    for (const name of [dev, prod]) await admin.post('/api/3.0/mlflow/workspaces', { name }).expect(201);
    const { experiment_id } = (await admin.post('experiments/create', { name: 'e' }, dev).expect(200)).body;
    const { info } = (await admin.post('runs/create', { experiment_id }, dev).expect(200)).body.run;
    await admin.put(`${ARTIFACTS}/${info.artifact_uri.replace('mlflow-artifacts:/', '')}/model/MLmodel`, '"the model"', dev).expect(200);
    await admin.post('registered-models/create', { name: 'fraud' }, dev).expect(200);
    await admin
      .post('model-versions/create', { name: 'fraud', source: `runs:/${info.run_id}/model`, run_id: info.run_id }, dev)
      .expect(200);
    const below = `/workspaces/${dev}/api/2.0/mlflow/model-versions/get-download-uri`;
    const { artifact_uri: uri } = (await admin.get(below, { name: 'fraud', version: '1' }).expect(200)).body;
    const path = uri.replace('mlflow-artifacts:/', '');
    const inProd = { scope: prod, type: 'workspace', permission: 'MANAGE' };
    const reader = await as('ann', inProd, { scope: dev, type: 'registered_model', pattern: 'fraud', permission: 'READ' });
    const stranger = await as('bob', inProd, { scope: dev, type: 'registered_model', pattern: 'other', permission: 'MANAGE' });
    expect((await reader.get(`${ARTIFACTS}/${path}/MLmodel`, {}, prod)).status).toBe(200);
    expect((await reader.get(ARTIFACTS, { path }, prod)).body.files).toHaveLength(1);
    expect((await stranger.get(`${ARTIFACTS}/${path}/MLmodel`, {}, prod)).status).toBe(404);
    expect((await stranger.get(ARTIFACTS, { path }, prod)).body).toEqual({});
    for (const caller of [reader, stranger]) expect((await caller.put(`${ARTIFACTS}/${path}/MLmodel`, 'x', prod)).status).toBe(403);
  });
});

describe('what is not there is told of by the name it was asked for', () => {
  it.each([
    ['registered-models/get', {}],
    ['registered-models/alias', { alias: 'champion' }],
    ['registered-models/alias', { alias: 'latest' }],
    ['model-versions/get', { version: '1' }],
    ['model-versions/get-download-uri', { version: '1' }],
    ['registered-models/get-latest-versions', {}],
  ])('%s %o', async (target, query) => {
    const registry = await seedRegistry();
    const { status, body } = await server.get(target, { name: `${registry}.nothing`, ...query });
    expect([status, body.message]).toEqual([404, expect.stringContaining(`${registry}.nothing`)]);
    const bare = await server.get(`/registries/${registry}/api/2.0/mlflow/${target}`, { name: 'nothing', ...query });
    expect(bare.body).toEqual({ ...body, message: body.message.replace(`${registry}.`, '') });
  });

  it('also the latest version of a model that has none, what is written, and what is made of a source', async () => {
    const [registry, workspace] = [await seedRegistry(), await seedWorkspace()];
    const name = `${registry}.fraud`;
    const refused = await server.post('model-versions/create', { name, source: 's3://b/m' });
    expect(refused.body.message).toBe(`Registered Model with name=${name} not found`);
    expect((await server.delete('registered-models/delete', { name })).body.message).toBe(`Registered Model with name=${name} not found`);
    await seedModel(server, 0, name);
    expect((await server.get('registered-models/alias', { name, alias: 'latest' })).body.message).toBe(
      `Latest version not found for model ${name}.`,
    );
    await server.patch('registered-models/update', { name, description: 'kept' }).expect(200);
    // The source is the workspace's own of the same name.
    const copied = await from(workspace).post('model-versions/create', { name, source: 'models:/fraud/1' });
    expect(copied.body.message).toBe('Registered Model with name=fraud not found');
    const dotted = await from(workspace).post('model-versions/create', { name, source: `models:/${name}/7` });
    expect(dotted.body.message).toBe(`Model Version (name=${name}, version=7) not found`);
  });
});

describe('a registry and a dot', () => {
  it.each(['', '.', '..'])("with '%s' behind it names no model", async (rest) => {
    const [registry, mine] = [await seedRegistry(), await seedModel(server, 1)];
    const name = `${registry}.${rest}`;
    for (const reply of [
      await server.post('registered-models/create', { name }),
      await server.post('model-versions/create', { name, source: `models:/${mine}/1` }),
      await server.post('registered-models/rename', { name: mine, new_name: name }),
      await server.post(`/registries/${registry}/api/2.0/mlflow/registered-models/create`, { name }),
    ])
      expect([reply.status, reply.body.message]).toEqual([400, expect.stringContaining(`Write '${registry}.<model>'`)]);
    expect((await server.get('registered-models/get', { name: `${freshName('none')}.` })).status).toBe(404);
  });

  it('is an ordinary name where there is no such registry', async () => {
    const name = `${freshName('none')}.`;
    expect((await server.post('registered-models/create', { name })).status).toBe(200);
  });
});

describe('a spelling that clients mis-resolve is answered with the right one', () => {
  // What the stock client sends for models:/<registry>/fraud@champion and models:/<registry>/fraud/7.
  it.each(['fraud@champion', 'fraud'])('the stage %s', async (stage) => {
    const registry = await seedRegistry();
    const reply = await server.post('registered-models/get-latest-versions', { name: registry, stages: [stage] });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toContain(`models:/${registry}.fraud`);
  });

  it('the stage models, of models:/<registry>/models/fraud/versions/1', async () => {
    const registry = await seedRegistry();
    const { body } = await server.post('registered-models/get-latest-versions', { name: registry, stages: ['models'] });
    expect(body.message).toContain(`'models:/${registry}.<model>/1'`);
    expect(body.message).not.toContain(`${registry}.models`);
  });

  it.each([':', '/'])('the name <registry>%sfraud', async (sign) => {
    const registry = await seedRegistry();
    const stock = (name: string) => `Invalid model name '${name}'. Names cannot contain '/' or ':'.`;
    for (const first of [registry, freshName('none'), 'default']) {
      const name = `${first}${sign}fraud`;
      const lesson = first === registry ? ` A model of a registry is written '${registry}.fraud'.` : '';
      for (const reply of [
        await server.get('registered-models/alias', { name, alias: 'champion' }),
        await server.post('registered-models/create', { name }),
      ])
        expect([reply.status, reply.body.message]).toEqual([400, stock(name) + lesson]);
    }
  });

  it('and leaves others as they are', async () => {
    const name = await seedModel(server, 1);
    const reply = await server.post('registered-models/get-latest-versions', { name, stages: ['Nonsense'] });
    expect(reply.body.message).toMatch(/^Invalid Model Version stage: Nonsense\./);
  });
});
