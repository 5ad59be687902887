import request from 'supertest';
import { describe, expect, it, vi } from 'vitest';
import { expectRefusal, rowCounts } from './helpers/refusal.ts';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';
import { sharing } from './helpers/trained.ts';

const server = await startTestServer();
const { seedRegistry, seedWorkspace, from } = sharing(server);
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const MLMODEL = 'flavors: {}\n';

const pathOf = (workspace: string, name = 'fraud') => `/api/1.0/workspaces/${workspace}/mounts/${name}`;
const mount = (workspace: string, body: Record<string, unknown>, name = 'fraud') => server.put(pathOf(workspace, name), body);

/** A registry with version 1 of `fraud`, which has a file and is the champion, mounted as `fraud` in a workspace. */
async function seedMounted(alias_map: Record<string, string> = {}) {
  const [registry, workspace] = [await seedRegistry(), await seedWorkspace()];
  const { body } = await server.post('experiments/create', { name: freshName('exp') }).expect(200);
  const { info } = (await server.post('runs/create', { experiment_id: body.experiment_id, start_time: 1 }).expect(200)).body.run;
  const file = `${info.artifact_uri.replace('mlflow-artifacts:/', '')}/model/MLmodel`;
  await request(server.url).put(`${ARTIFACTS}/${file}`).send(Buffer.from(MLMODEL)).expect(200);
  const shared = `${registry}.fraud`;
  await server.post('registered-models/create', { name: shared, tags: [{ key: 'team', value: 'a' }], description: 'governed' }).expect(200);
  await server.post('model-versions/create', { name: shared, source: `runs:/${info.run_id}/model`, run_id: info.run_id }).expect(200);
  await server.post('registered-models/alias', { name: shared, alias: 'champion', version: '1' }).expect(200);
  await mount(workspace, { registry, name: 'fraud', alias_map }).expect(200);
  return { registry, workspace, shared, prod: from(workspace), runId: info.run_id as string };
}

describe('a mounted name', () => {
  it("means the registry's model in every stock read of the workspace, which answers with the local name", async () => {
    const { registry, workspace, shared, prod } = await seedMounted();
    const bare = (await server.get('registered-models/get', { name: shared })).body.registered_model;
    const version = (await server.get('model-versions/get', { name: shared, version: '1' })).body.model_version;
    const asHere = { ...version, name: 'fraud' };

    expect((await prod.get('registered-models/get', { name: 'fraud' }).expect(200)).body.registered_model).toEqual({
      ...bare,
      name: 'fraud',
      latest_versions: [asHere],
    });
    expect((await prod.get('registered-models/alias', { name: 'fraud', alias: 'champion' }).expect(200)).body.model_version).toEqual(
      asHere,
    );
    expect((await prod.get('registered-models/alias', { name: 'fraud', alias: 'latest' }).expect(200)).body.model_version).toEqual(asHere);
    expect((await prod.get('registered-models/get-latest-versions', { name: 'fraud' }).expect(200)).body.model_versions).toEqual([asHere]);
    expect((await prod.post('registered-models/get-latest-versions', { name: 'fraud' }).expect(200)).body.model_versions).toEqual([asHere]);
    expect((await prod.get('model-versions/get', { name: 'fraud', version: '1' }).expect(200)).body.model_version).toEqual(asHere);
    for (const filter of ["name = 'fraud'", "name IN ('fraud')"])
      expect((await prod.get('model-versions/search', { filter }).expect(200)).body.model_versions).toEqual([asHere]);
    const { artifact_uri } = (await prod.get('model-versions/get-download-uri', { name: 'fraud', version: '1' }).expect(200)).body;
    expect(artifact_uri).toMatch(new RegExp(`^mlflow-artifacts:/registries/${registry}/`));
    const shown = `/model-versions/get-artifact?${new URLSearchParams({ name: 'fraud', version: '1', path: 'MLmodel' })}`;
    for (const path of [`${ARTIFACTS}/${artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`, shown]) {
      const reply = await fetch(server.url + path, { headers: { 'X-MLFLOW-WORKSPACE': workspace } });
      expect([reply.status, await reply.text()]).toEqual([200, MLMODEL]);
    }
    const below = server.get(`/workspaces/${workspace}/api/2.0/mlflow/model-versions/get`, { name: 'fraud', version: '1' });
    expect((await below.expect(200)).body.model_version).toEqual(asHere);
    const fromRegistry = server.get(`/registries/${registry}/api/2.0/mlflow/model-versions/get`, {
      name: `${workspace}.fraud`,
      version: '1',
    });
    expect((await fromRegistry.expect(200)).body.model_version.name).toBe(`${workspace}.fraud`);
  });

  it('is told of by its own name where a version is not there', async () => {
    const { prod } = await seedMounted();
    const { status, body } = await prod.get('model-versions/get', { name: 'fraud', version: '7' });
    expect([status, body.message]).toEqual([404, 'Model Version (name=fraud, version=7) not found']);
  });

  it("is another workspace's own model there, or nothing", async () => {
    const { workspace, prod } = await seedMounted();
    const [dev, other] = [await seedWorkspace(), await seedWorkspace()];
    await from(dev).post('registered-models/create', { name: 'fraud' }).expect(200);
    await from(dev).post('model-versions/create', { name: 'fraud', source: 's3://dev/own' }).expect(200);
    await from(dev).post('registered-models/alias', { name: 'fraud', alias: 'champion', version: '1' }).expect(200);
    const sourceIn = async (name: string) =>
      (await from(name).get('registered-models/alias', { name: 'fraud', alias: 'champion' })).body.model_version?.source;
    expect([await sourceIn(dev), await sourceIn(other)]).toEqual(['s3://dev/own', undefined]);
    expect(await sourceIn(workspace)).toMatch(/^runs:/);
    expect((await prod.get('registered-models/get', { name: 'frau' })).status).toBe(404);
  });

  it("is in the workspace's list of models, as the registry has it", async () => {
    const { workspace, prod } = await seedMounted();
    await prod.post('registered-models/create', { name: 'own' }).expect(200);
    for (const filter of ['', "name LIKE 'f%'", "name = 'fraud'"]) {
      const { registered_models: found } = (await prod.get('registered-models/search', filter ? { filter } : {}).expect(200)).body;
      const fraud = found.find(({ name }: { name: string }) => name === 'fraud');
      expect(fraud).toMatchObject({
        tags: [{ key: 'team', value: 'a' }],
        description: 'governed',
        aliases: [{ alias: 'champion', version: '1' }],
        latest_versions: [{ name: 'fraud', version: '1', aliases: ['champion'] }],
      });
    }
    const first = (await prod.get('registered-models/search', { max_results: 1 })).body;
    const second = (await prod.get('registered-models/search', { max_results: 1, page_token: first.next_page_token })).body;
    const names = [...first.registered_models, ...second.registered_models].map(({ name }: { name: string }) => name);
    expect([names, second.next_page_token]).toEqual([['fraud', 'own'], undefined]);
    // What is found by other things than its name is the workspace's own.
    expect((await prod.get('model-versions/search', {})).body.model_versions).toBeUndefined();
    await server.delete(pathOf(workspace)).expect(200);
    expect((await prod.get('registered-models/search', {})).body.registered_models).toHaveLength(1);
  });

  it('has the aliases of its map, and the others as they are', async () => {
    const { prod, shared } = await seedMounted({ prod: 'champion', stable: 'gone', champion: 'next' });
    const byAlias = (alias: string) => prod.get('registered-models/alias', { name: 'fraud', alias });
    expect((await byAlias('prod').expect(200)).body.model_version).toMatchObject({ name: 'fraud', version: '1', aliases: ['prod'] });
    for (const alias of ['stable', 'champion', 'constructor'])
      expect((await byAlias(alias)).body.error_code).toBe('INVALID_PARAMETER_VALUE');
    await server.post('registered-models/alias', { name: shared, alias: 'next', version: '1' }).expect(200);
    await server.post('registered-models/alias', { name: shared, alias: 'eu', version: '1' }).expect(200);
    expect((await byAlias('champion').expect(200)).body.model_version.aliases).toEqual(['champion', 'eu', 'next', 'prod']);
    const model = (await prod.get('registered-models/get', { name: 'fraud' })).body.registered_model;
    expect(model.aliases).toEqual(['champion', 'eu', 'next', 'prod'].map((alias) => ({ alias, version: '1' })));
    expect(model.latest_versions[0].aliases).toEqual(['champion', 'eu', 'next', 'prod']);
  });

  it.each([
    ['post', 'registered-models/alias', { alias: 'a', version: '1' }],
    ['delete', 'registered-models/alias', { alias: 'champion' }],
    ['post', 'registered-models/set-tag', { key: 'k', value: 'v' }],
    ['delete', 'registered-models/delete-tag', { key: 'team' }],
    ['patch', 'registered-models/update', { description: 'mine' }],
    ['post', 'registered-models/rename', { new_name: 'scam' }],
    ['delete', 'registered-models/delete', {}],
    ['post', 'model-versions/create', { source: 's3://b/m' }],
    ['patch', 'model-versions/update', { version: '1', description: 'x' }],
    ['post', 'model-versions/transition-stage', { version: '1', stage: 'Production' }],
    ['post', 'model-versions/set-tag', { version: '1', key: 'k', value: 'v' }],
    ['delete', 'model-versions/delete-tag', { version: '1', key: 'k' }],
    ['delete', 'model-versions/delete', { version: '1' }],
  ] as const)('is not written by: %s %s is refused, with what to write to', async (method, target, body) => {
    const { shared, workspace } = await seedMounted();
    const before = await rowCounts(server);
    const reply = await server[method](target, { name: 'fraud', ...body }).set('X-MLFLOW-WORKSPACE', workspace);
    expectRefusal(reply);
    expect([reply.status, reply.body.error_code]).toEqual([403, 'PERMISSION_DENIED']);
    expect(reply.body.message).toContain(`in workspace '${workspace}' it is a mount of '${shared}'`);
    expect(reply.body.message).toContain(`Write to '${shared}' itself`);
    expect(await rowCounts(server)).toEqual(before);
    const { registered_model: model } = (await server.get('registered-models/get', { name: shared }).expect(200)).body;
    expect([model.description, model.aliases.length, model.tags.length]).toEqual(['governed', 1, 1]);
  });

  it('is taken: nothing is made by or renamed to it', async () => {
    const { prod, shared } = await seedMounted();
    const created = await prod.post('registered-models/create', { name: 'fraud' });
    expect([created.status, created.body.error_code, created.body.message]).toEqual([
      400,
      'RESOURCE_ALREADY_EXISTS',
      expect.stringContaining(`Write to '${shared}'`),
    ]);
    await prod.post('registered-models/create', { name: 'own' }).expect(200);
    expect((await prod.post('registered-models/rename', { name: 'own', new_name: 'fraud' })).body.error_code).toBe(
      'RESOURCE_ALREADY_EXISTS',
    );
  });

  it('is a source to promote from and to copy', async () => {
    const { prod, shared, registry, workspace } = await seedMounted({ prod: 'champion' });
    const next = await seedRegistry();
    await prod.post('registered-models/create', { name: `${next}.fraud` }).expect(200);
    const stock = await prod.post('model-versions/create', { name: `${next}.fraud`, source: 'models:/fraud/1' });
    expect([stock.status, stock.body.model_version?.source]).toEqual([200, `models:/${shared}/1`]);
    const byApi = await server.post('/api/1.0/promotions', {
      source: { workspace, name: 'fraud', alias: 'prod' },
      target: { registry: next },
    });
    expect(byApi.body.source).toMatchObject({ registry, name: 'fraud', version: '1', alias: 'champion' });
    await prod.post('registered-models/create', { name: 'own' }).expect(200);
    const copied = await prod.post('model-versions/create', { name: 'own', source: 'models:/fraud@prod' });
    expect([copied.status, copied.body.model_version?.source]).toEqual([200, `models:/${shared}/1`]);
  });

  it('is read by the extension API too, and not written', async () => {
    const { workspace, registry } = await seedMounted({ prod: 'champion' });
    const at = (path: string) => `/api/1.0/workspaces/${workspace}/models/fraud${path}`;
    const there = (path: string) => `/api/1.0/registries/${registry}/models/fraud${path}`;
    for (const path of ['/versions/1/manifest', '/versions/1/provenance'])
      expect((await server.get(at(path)).expect(200)).body).toEqual((await server.get(there(path)).expect(200)).body);
    expect((await server.get(at('/aliases/prod/history')).expect(200)).body.moves).toMatchObject([{ to_version: '1' }]);
    expect((await server.post(at('/aliases/prod:rollback'))).body).toMatchObject({
      error_code: 'PERMISSION_DENIED',
      message: expect.stringContaining(`${registry}.fraud`),
    });
  });
});

describe('the API of mounts', () => {
  it('sets, shows, changes and removes one', async () => {
    const { workspace, registry, prod } = await seedMounted({ prod: 'champion' });
    await seedModel(server, 2, `${registry}.scam`);
    const made = (await server.get(pathOf(workspace)).expect(200)).body;
    expect(made).toEqual({
      workspace,
      local_name: 'fraud',
      registry,
      name: 'fraud',
      alias_map: { prod: 'champion' },
      status: 'READY',
      creation_timestamp: expect.any(Number),
      last_updated_timestamp: expect.any(Number),
    });
    const changed = (await mount(workspace, { registry, name: 'scam' }).expect(200)).body;
    expect(changed).toMatchObject({ name: 'scam', alias_map: {}, creation_timestamp: made.creation_timestamp });
    const { registered_model: model } = (await prod.get('registered-models/get', { name: 'fraud' }).expect(200)).body;
    expect(model.latest_versions[0]).toMatchObject({ name: 'fraud', version: '2' });
    expect((await server.delete(pathOf(workspace)).expect(200)).body).toEqual({});
    expect((await prod.get('registered-models/get', { name: 'fraud' })).status).toBe(404);
    for (const reply of [await server.get(pathOf(workspace)), await server.delete(pathOf(workspace))])
      expect([reply.status, reply.body.message]).toEqual([404, `Workspace '${workspace}' has no mount 'fraud'`]);
    await prod.post('registered-models/create', { name: 'fraud' }).expect(200);
    expect((await server.delete(pathOf(workspace))).status).toBe(404);
    expect((await prod.get('registered-models/get', { name: 'fraud' })).status).toBe(200);
  });

  it('lists them by name, page by page', async () => {
    const { workspace, registry } = await seedMounted();
    for (const name of ['a.b', 'zebra', 'Änderung'])
      await mount(workspace, { registry, name: 'fraud' }, encodeURIComponent(name)).expect(200);
    const list = (query = {}) => server.get(`/api/1.0/workspaces/${workspace}/mounts`, query).expect(200);
    const all = (await list()).body.mounts.map(({ local_name }: { local_name: string }) => local_name);
    expect(all).toEqual(['a.b', 'fraud', 'zebra', 'Änderung']);
    const first = (await list({ max_results: 3 })).body;
    const second = (await list({ max_results: 3, page_token: first.next_page_token })).body;
    expect([first.mounts.length, second.mounts.length, second.next_page_token]).toEqual([3, 1, undefined]);
    expect((await server.get('/api/1.0/workspaces/default/mounts')).body).toEqual({ mounts: [] });
  });

  it.each([
    ['a model that is not there', { name: 'nothing' }, 404, 'has no model'],
    ['a registry that is not there', { registry: 'nowhere-1' }, 404, 'nowhere-1'],
    ['nothing', { registry: '' }, 400, 'Registry name'],
    ['a workspace', { registry: 'default' }, 400, 'promote the model first'],
    ['a dotted name of it', { name: 'REG.fraud' }, 404, 'has no model'],
    ['a path', { name: 'a/b' }, 400, 'Invalid model name'],
    ['an alias nobody can have', { alias_map: { latest: 'champion' } }, 400, 'reserved'],
    ['an alias of signs', { alias_map: { prod: 'a b' } }, 400, 'Invalid alias name'],
    ['no map of aliases', { alias_map: ['prod'] }, 400, 'alias_map'],
    ['a list of aliases', { alias_map: { prod: ['champion'] } }, 400, 'alias_map'],
    ['a prompt', { name: 'greeting' }, 400, 'prompts:/'],
  ])('refuses %s', async (_, body, status, message) => {
    const [registry, workspace] = [await seedRegistry(), await seedWorkspace()];
    await seedModel(server, 0, `${registry}.fraud`);
    const tags = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }];
    await server.post('registered-models/create', { name: `${registry}.greeting`, tags }).expect(200);
    const before = await rowCounts(server);
    const filled = JSON.parse(JSON.stringify({ registry, name: 'fraud', ...body }).replaceAll('REG', registry));
    const reply = await mount(workspace, filled);
    expectRefusal(reply);
    expect([reply.status, reply.body.message]).toEqual([status, expect.stringContaining(message)]);
    expect(await rowCounts(server)).toEqual(before);
  });

  it('refuses a name that is taken, that nobody could reach, or in what is no workspace', async () => {
    const [registry, workspace] = [await seedRegistry(), await seedWorkspace()];
    await seedModel(server, 0, `${registry}.fraud`);
    await from(workspace).post('registered-models/create', { name: 'own' }).expect(200);
    const target = { registry, name: 'fraud' };
    const taken = await mount(workspace, target, 'own');
    expect([taken.status, taken.body.error_code, taken.body.message]).toEqual([
      400,
      'RESOURCE_ALREADY_EXISTS',
      expect.stringContaining(`'${registry}.fraud' by another name`),
    ]);
    const dotted = await mount(workspace, target, `${registry}.x`);
    expect([dotted.status, dotted.body.message]).toEqual([
      400,
      expect.stringContaining(`means a model of registry '${registry}' everywhere`),
    ]);
    expect((await mount(workspace, target, 'a%2Fb')).status).toBe(400);
    expect((await mount('nowhere-1', target)).status).toBe(404);
  });

  it('cannot make a cycle: a mount is of a model of a registry, and a registry has no mounts', async () => {
    const { workspace, registry } = await seedMounted();
    const other = await seedWorkspace();
    const replies = [
      await mount(workspace, { registry: workspace, name: 'fraud' }, 'again'),
      await mount(other, { registry: workspace, name: 'fraud' }),
      await mount(registry, { registry, name: 'fraud' }, 'fraud2'),
      await mount(other, { registry, name: `${workspace}.fraud` }),
      await mount(workspace, { registry, name: `${registry}.fraud` }, 'again'),
    ];
    expect(replies.map(({ status }) => status)).toEqual([400, 400, 404, 404, 404]);
    for (const reply of replies) expectRefusal(reply);
    // To itself under its own name is no cycle: there it means the registry's.
    expect((await mount(workspace, { registry, name: 'fraud' })).status).toBe(200);
  });

  it('and a model made at the same time: one of the two is there', async () => {
    const registry = await seedRegistry();
    await seedModel(server, 0, `${registry}.fraud`);
    for (let i = 0; i < 5; i++) {
      const workspace = await seedWorkspace();
      const [made, mounted] = await Promise.all([
        from(workspace).post('registered-models/create', { name: 'fraud' }),
        mount(workspace, { registry, name: 'fraud' }),
      ]);
      expect([made.status, mounted.status].toSorted()).toEqual([200, 400]);
    }
  });
});

describe('what a mount means', () => {
  it('may be renamed', async () => {
    const { workspace, registry, shared, prod } = await seedMounted();
    await server.post('registered-models/rename', { name: shared, new_name: `${registry}.scam` }).expect(200);
    expect((await prod.get('registered-models/get', { name: 'fraud' }).expect(200)).body.registered_model.name).toBe('fraud');
    expect((await server.get(pathOf(workspace))).body).toMatchObject({ registry, name: 'scam', status: 'READY' });
  });

  it('may be deleted: the name is then of nothing, and says so, until it is mounted again or removed', async () => {
    const { workspace, registry, shared, prod } = await seedMounted();
    await server.delete('registered-models/delete', { name: shared }).expect(200);
    const read = () => prod.get('registered-models/alias', { name: 'fraud', alias: 'champion' });
    expect([(await read()).status, (await read()).body.message]).toEqual([
      404,
      expect.stringMatching(
        new RegExp(`name=fraud not found: in workspace '${workspace}' it is a mount of '${shared}', which was deleted`),
      ),
    ]);
    expect((await prod.post('registered-models/set-tag', { name: 'fraud', key: 'a', value: 'b' })).status).toBe(404);
    expect((await server.get(pathOf(workspace))).body).toMatchObject({ registry, name: 'fraud', status: 'TARGET_DELETED' });
    expect((await prod.get('registered-models/search')).body.registered_models).toMatchObject([{ name: 'fraud' }]);
    // Another model of that name is another model.
    await seedModel(server, 1, shared);
    expect((await read()).status).toBe(404);
    await mount(workspace, { registry, name: 'fraud' }).expect(200);
    expect((await prod.get('model-versions/get', { name: 'fraud', version: '1' })).status).toBe(200);
    await server.delete('registered-models/delete', { name: shared }).expect(200);
    await server.delete(`/api/1.0/registries/${registry}`).expect(200);
    expect((await read()).body.message).toContain(shared);
    await server.delete(pathOf(workspace)).expect(200);
    expect((await read()).body.message).toBe('Registered Model with name=fraud not found');
  });
});

describe('mounts', () => {
  it('go with their workspace, and are what is in it', async () => {
    const { workspace } = await seedMounted();
    expect((await server.delete(`/api/3.0/mlflow/workspaces/${workspace}`)).status).toBe(409);
    await server.delete(`/api/3.0/mlflow/workspaces/${workspace}?mode=SET_DEFAULT`).expect(204);
    await expect
      .poll(async () => (await server.get('registered-models/alias', { name: 'fraud', alias: 'champion' })).status, { timeout: 2000 })
      .toBe(200);
    await server.delete(pathOf('default')).expect(200);
    const { workspace: second } = await seedMounted();
    await server.delete(`/api/3.0/mlflow/workspaces/${second}?mode=CASCADE`).expect(204);
    expect(
      (
        await server.db.query(
          'select from mounts m join registered_models r on r.id = m.model_id join scopes s on s.id = r.scope_id where s.name = $1',
          [second],
        )
      ).rowCount,
    ).toBe(0);
  });

  it('are known at once when this server changes them, and within a second when another does', async () => {
    const { workspace, prod } = await seedMounted();
    const read = async () => (await prod.get('model-versions/get', { name: 'fraud', version: '1' })).status;
    expect(await read()).toBe(200);
    await server.db.query(
      'delete from registered_models where id in (select model_id from mounts) and scope_id = (select id from scopes where name = $1)',
      [workspace],
    );
    await expect.poll(read, { timeout: 2000 }).toBe(404);
  });

  it('cost a workspace that has none no query for each request', async () => {
    const name = await seedModel(server, 1);
    const query = vi.spyOn(server.db, 'query');
    for (let i = 0; i < 50; i++) await server.get('model-versions/get', { name, version: '1' }).expect(200);
    const names = query.mock.calls.map(([sent]) => (sent as unknown as { name?: string }).name);
    query.mockRestore();
    expect(names.filter((sent) => sent === 'get_model_version')).toHaveLength(50);
    expect(names.filter((sent) => sent === 'all_mounts').length).toBeLessThan(10);
  });
});
