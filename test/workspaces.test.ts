import request from 'supertest';
import { describe, expect, it, vi } from 'vitest';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const WORKSPACES = '/api/3.0/mlflow/workspaces';
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';

type Workspace = string | undefined;

/** What a client does whose MLFLOW_WORKSPACE is this; undefined for one that names none. */
const as = (workspace: Workspace) => {
  const headers = workspace === undefined ? {} : { 'X-MLFLOW-WORKSPACE': workspace };
  return {
    get: (target: string, query: Record<string, string> = {}) => server.get(target, query).set(headers),
    post: (target: string, body: Record<string, unknown> = {}) => server.post(target, body).set(headers),
    put: (path: string, text: string) => request(server.url).put(`${ARTIFACTS}/${path}`).set(headers).send(Buffer.from(text)),
    textOf: async (path: string) => (await fetch(`${server.url}${ARTIFACTS}/${path}`, { headers })).text(),
    remove: (path: string) => request(server.url).delete(`${ARTIFACTS}/${path}`).set(headers),
  };
};

/** The statements that requests made: webhooks are looked after every second by the server itself. */
const asked = (calls: unknown[][]) =>
  calls.map(([query]) => (query as { name: string }).name).filter((name) => !/webhook|awaited/.test(name));

const remove = (name: string, mode = 'RESTRICT') => request(server.url).delete(`${WORKSPACES}/${name}`).query({ mode });

async function makeWorkspace(more: Record<string, unknown> = {}): Promise<string> {
  const name = freshName('team');
  await server.post(WORKSPACES, { name, ...more }).expect(201);
  return name;
}

/** A run with one artifact `model/MLmodel` in an experiment `e`, and a registered model `m` with a version of it. */
async function fill(workspace: Workspace, text = 'bytes') {
  const client = as(workspace);
  const experimentId: string = (await client.post('experiments/create', { name: 'e' }).expect(200)).body.experiment_id;
  const { info } = (await client.post('runs/create', { experiment_id: experimentId }).expect(200)).body.run;
  const logged = (await client.post('logged-models', { experiment_id: experimentId, name: 'l' }).expect(200)).body.model.info;
  const path = `${info.artifact_uri.replace('mlflow-artifacts:/', '')}/model/MLmodel`;
  await client.put(path, text).expect(200);
  await client.post('registered-models/create', { name: 'm' }).expect(200);
  const source = `${info.artifact_uri}/model`;
  await client.post('model-versions/create', { name: 'm', source, run_id: info.run_id }).expect(200);
  return { experimentId, runId: info.run_id as string, modelId: logged.model_id as string, path };
}

const download = async (workspace: Workspace) => {
  const { artifact_uri: uri } = (await as(workspace).get('model-versions/get-download-uri', { name: 'm', version: '1' }).expect(200)).body;
  return as(workspace).textOf(`${uri.replace('mlflow-artifacts:/', '')}/MLmodel`);
};

describe('workspaces', () => {
  it('are listed by name, the default one among them', async () => {
    const names = [await makeWorkspace(), await makeWorkspace()];
    const listed = (await server.get(WORKSPACES)).body.workspaces.map(({ name }: { name: string }) => name);
    expect(listed).toEqual(listed.toSorted());
    expect(listed).toEqual(expect.arrayContaining([...names, 'default']));
  });

  it('are made once of sixteen requests at once', async () => {
    const name = freshName('race');
    const replies = await Promise.all(Array.from({ length: 16 }, () => server.post(WORKSPACES, { name })));
    expect(replies.map(({ status }) => status).toSorted()).toEqual([201, ...Array.from({ length: 15 }, () => 400)]);
  });

  it('show what is set and forget what is taken back', async () => {
    const name = await makeWorkspace({ description: '', default_artifact_root: 's3://b/r', trace_archival_config: { retention: '30d' } });
    expect((await server.get(`${WORKSPACES}/${name}`)).body.workspace).toEqual({
      name,
      description: '',
      default_artifact_root: 's3://b/r',
      trace_archival_config: { retention: '30d' },
    });
    const change = { default_artifact_root: '', trace_archival_config: { retention: '' } };
    const reply = await server.patch(`${WORKSPACES}/${name}`, change);
    expect([reply.status, reply.body]).toEqual([200, { workspace: { name, description: '' } }]);
  });

  it.each([
    '/etc',
    'file:///etc',
    'mlflow-artifacts:/a/../b',
    'mlflow-artifacts:/a/%2e%2e/b',
    'mlflow-artifacts:/workspaces/other',
    'git://x',
  ])('cannot have their artifacts at %s', async (root) => {
    const reply = await server.post(WORKSPACES, { name: freshName(), default_artifact_root: root });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
  });

  it('are told to clients that ask whether there are any', async () => {
    expect((await server.get('/api/3.0/mlflow/server-info')).body.workspaces_enabled).toBe(true);
  });
});

describe('a request', () => {
  it('that names no workspace is answered as by a server without them', async () => {
    const id = (await server.post('experiments/create', { name: freshName() })).body.experiment_id;
    expect((await server.get('experiments/get', { experiment_id: id })).body.experiment.artifact_location).toBe(`mlflow-artifacts:/${id}`);
  });

  it('that names the default workspace is in the same place, with answers of a server with them', async () => {
    const id = (await as('default').post('experiments/create', { name: freshName() })).body.experiment_id;
    const { experiment } = (await server.get('experiments/get', { experiment_id: id })).body;
    expect([experiment.artifact_location, experiment.workspace]).toEqual([`mlflow-artifacts:/workspaces/default/${id}`, 'default']);
  });

  it.each(['s3://bucket/x', 'file:///tmp/x', 'folder'])('lets nobody choose where an experiment lies: %s', async (artifact_location) => {
    const reply = await as('default').post('experiments/create', { name: freshName(), artifact_location });
    expect([reply.status, reply.body.error_code, reply.body.message]).toEqual([
      400,
      'INVALID_PARAMETER_VALUE',
      'artifact_location cannot be specified when workspaces are enabled',
    ]);
  });

  it('that names an unknown workspace is refused, but liveness, version and server-info are told without a database', async () => {
    expect((await as('nowhere').get('experiments/get', { experiment_id: '0' })).body.message).toBe("Workspace 'nowhere' not found");
    const query = vi.spyOn(server.db, 'query');
    for (const path of ['/health', '/version', '/api/3.0/mlflow/server-info']) await as('nowhere').get(path).expect(200);
    expect(asked(query.mock.calls)).toEqual([]);
    query.mockRestore();
  });

  it('costs no look-up in the default workspace, and at most one a second in another', async () => {
    const name = await makeWorkspace();
    const query = vi.spyOn(server.db, 'query');
    for (const workspace of [undefined, 'default', name, name, name]) await as(workspace).get('experiments/get', { experiment_id: '0' });
    expect(asked(query.mock.calls)).toHaveLength(6);
    query.mockRestore();
  });

  it('finds a workspace gone at once here, and gets a refusal while another server has just removed it', async () => {
    const [here, elsewhere] = [await makeWorkspace(), await makeWorkspace()];
    for (const name of [here, elsewhere]) await as(name).post('registered-models/create', { name: 'm' }).expect(200);
    await remove(here, 'CASCADE').expect(204);
    expect((await as(here).get('registered-models/search')).status).toBe(404);

    await server.db.query(
      'with s as (select id from scopes where name = $1) delete from registered_models where scope_id = (select id from s)',
      [elsewhere],
    );
    await server.db.query('delete from scopes where name = $1', [elsewhere]);
    for (const [path, body] of Object.entries({ 'registered-models/create': { name: 'n' }, 'experiments/create': { name: 'n' } })) {
      const reply = await as(elsewhere).post(path, body);
      expect([reply.status, reply.body.error_code]).toEqual([404, 'RESOURCE_DOES_NOT_EXIST']);
    }
    expect((await as(elsewhere).put('x.txt', 'x')).status).toBe(404);
  });
});

describe('two workspaces', () => {
  it('have the same names for different things, each with its own bytes', async () => {
    const [a, b] = [await makeWorkspace(), await makeWorkspace()];
    await fill(a, 'bytes of a');
    await fill(b, 'bytes of b');
    expect([await download(a), await download(b)]).toEqual(['bytes of a', 'bytes of b']);
  });

  it('do not reach the files of each other, by whatever path', async () => {
    const [a, b] = [await makeWorkspace(), await makeWorkspace()];
    const { path } = await fill(a);
    const { artifact_uri: frozen } = (await as(a).get('model-versions/get-download-uri', { name: 'm', version: '1' })).body;
    const paths = [path, `${frozen.replace('mlflow-artifacts:/', '')}/MLmodel`, path.replace(`workspaces/${a}/`, '')];
    for (const stranger of [b, undefined, 'default']) {
      for (const known of paths) expect(await as(stranger).textOf(known), `${stranger} ${known}`).not.toBe('bytes');
      expect((await as(stranger).put(path, 'mine')).status).toBe(400);
      expect((await as(stranger).remove(path)).status).toBe(400);
    }
    expect(await as(a).textOf(path)).toBe('bytes');
  });

  it('do not write to the logged models of each other', async () => {
    const [a, b] = [await makeWorkspace(), await makeWorkspace()];
    const { modelId } = await fill(a);
    await as(b).post('registered-models/create', { name: 'm' }).expect(200);
    const reply = await as(b).post('model-versions/create', { name: 'm', source: 's3://b/x', model_id: modelId });
    expect([reply.status, reply.body.message]).toEqual([404, `Logged model with ID '${modelId}' not found.`]);
    expect((await as(b).get('registered-models/get', { name: 'm' })).body.registered_model.latest_versions).toBeUndefined();
    expect((await as(a).get(`logged-models/${modelId}`)).body.model.info.tags).toBeUndefined();
  });
});

describe('removing a workspace', () => {
  it.each([
    ['registered_models', (name: string) => as(name).post('registered-models/create', { name: 'm' })],
    ['experiments', (name: string) => as(name).post('experiments/create', { name: 'e' })],
    [
      'webhooks',
      (name: string) =>
        server.db.query(
          `insert into webhooks (webhook_id, scope_id, name, url, events)
           select $1, id, 'w', 'https://example.com', array['registered_model.created'] from scopes where name = $1`,
          [name],
        ),
    ],
    ['artifacts', (name: string) => as(name).put('x.txt', 'x')],
  ])('is refused while it has %s', async (table, fillIn) => {
    const name = await makeWorkspace();
    await fillIn(name);
    const reply = await remove(name);
    expect([reply.status, reply.body.error_code]).toEqual([409, 'INVALID_STATE']);
    expect(reply.body.message).toContain(`table '${table}' still contains 1 resource(s)`);
    await server.get(`${WORKSPACES}/${name}`).expect(200);
    await remove(name, 'CASCADE').expect(204);
  });

  it('with CASCADE removes all that is in it, and nothing else', async () => {
    const [name, other] = [await makeWorkspace(), await makeWorkspace()];
    await fill(other, 'other bytes');
    const { path, runId } = await fill(name);
    await remove(name, 'CASCADE').expect(204);
    await server.post(WORKSPACES, { name }).expect(201);
    expect((await as(name).get('registered-models/search')).body).toEqual({});
    expect((await as(name).get('runs/get', { run_id: runId })).status).toBe(404);
    expect((await as(name).get(`${ARTIFACTS}`)).body).toEqual({});
    expect(await as(name).textOf(path)).toContain('No such artifact');
    expect(await download(other)).toBe('other bytes');
  });

  it('with SET_DEFAULT moves all to the default workspace, where runs and versions load as before, also when the name is taken anew', async () => {
    const name = await makeWorkspace();
    const { path, runId, experimentId } = await fill(name);
    await remove(name, 'SET_DEFAULT').expect(204);
    await server.post(WORKSPACES, { name }).expect(201);
    for (const workspace of [undefined, 'default']) {
      const client = as(workspace);
      expect(await download(workspace)).toBe('bytes');
      expect(await client.textOf(path)).toBe('bytes');
      const { files } = (await client.get('artifacts/list', { run_id: runId, path: 'model' })).body;
      expect(files).toEqual([{ path: 'model/MLmodel', is_dir: false, file_size: 5 }]);
      expect((await client.put(`workspaces/${name}/${experimentId}/more.txt`, 'more')).status).toBe(200);
    }
    expect((await as(name).get(ARTIFACTS)).body).toEqual({});
    expect(await as(name).textOf(path)).toContain('No such artifact');
  });

  it('with SET_DEFAULT is refused, and moves nothing, while the default workspace has one of the names', async () => {
    const name = await makeWorkspace();
    const taken = freshName();
    for (const workspace of [undefined, name]) await as(workspace).post('registered-models/create', { name: taken }).expect(200);
    await as(name).post('experiments/create', { name: freshName() });
    const reply = await remove(name, 'SET_DEFAULT');
    expect([reply.status, reply.body.error_code]).toEqual([409, 'INVALID_STATE']);
    expect(reply.body.message).toContain(`  - registered_models: '${taken}'\n`);
    expect((await as(name).post('experiments/search', { max_results: 10 })).body.experiments).toHaveLength(1);
  });

  it('with SET_DEFAULT names each webhook that has the name of one of the default workspace, once', async () => {
    const name = await makeWorkspace();
    const hook = { name: freshName(), url: 'https://8.8.8.8/x', events: [{ entity: 'MODEL_VERSION', action: 'CREATED' }] };
    for (const workspace of [undefined, undefined, name, name]) await as(workspace).post('webhooks', hook).expect(200);
    await as(name)
      .post('webhooks', { ...hook, name: freshName() })
      .expect(200);
    const reply = await remove(name, 'SET_DEFAULT');
    expect([reply.status, reply.body.message.match(/ {2}- .*/g)]).toEqual([409, Array(2).fill(`  - webhooks: '${hook.name}'`)]);
  });

  it.each(['CASCADE', 'SET_DEFAULT', 'RESTRICT'])('with %s loses no race against those who write to it', async (mode) => {
    const name = await makeWorkspace();
    const experimentId = (await as(name).post('experiments/create', { name: freshName() })).body.experiment_id;
    const writes = Array.from({ length: 24 }, (_, i) =>
      i % 3 === 0
        ? as(name).post('registered-models/create', { name: freshName() })
        : i % 3 === 1
          ? as(name).post('runs/create', { experiment_id: experimentId })
          : as(name).put(`${freshName()}.txt`, 'x'),
    );
    const replies = await Promise.all([...writes.slice(0, 12), remove(name, mode), ...writes.slice(12)]);
    const refused = replies.filter(({ status }) => ![200, 204].includes(status));
    expect(
      refused.filter(({ status, body }) => status !== (mode === 'RESTRICT' ? 409 : 404) || !body.error_code).map((r) => r.text),
    ).toEqual([]);
    const { rows } = await server.db.query('select 1 from scopes where name = $1', [name]);
    expect(rows).toHaveLength(mode === 'RESTRICT' ? 1 : 0);
  });
});

it('removes what is in every table that has a scope', async () => {
  const { rows } = await server.db.query<{ table_name: string }>(
    `select table_name from information_schema.columns where table_schema = 'public' and column_name = 'scope_id' order by 1`,
  );
  // A new one belongs into src/scopes/workspaces/delete-workspace.ts, then here. Uploads under way end with their workspace, by the schema.
  expect(rows.map((row) => row.table_name)).toEqual([
    'artifact_uploads',
    'artifacts',
    'audit_events',
    'experiments',
    'registered_models',
    'roles',
    'webhooks',
  ]);
});
