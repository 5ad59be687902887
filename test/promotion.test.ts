import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import request from 'supertest';
import { describe, expect, it, vi } from 'vitest';
import { expectRefusal, rowCounts } from './helpers/refusal.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';
import { sharing } from './helpers/trained.ts';

const server = await startTestServer();
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const MLMODEL = 'model_id: m-1\nflavors:\n  python_function:\n    loader_module: sk\nsignature:\n  inputs: "[]"\n';

const { seedRegistry, seedWorkspace } = sharing(server);

/** The API as seen from a workspace. */
function from(workspace: string) {
  const header = { 'X-MLFLOW-WORKSPACE': workspace };
  return {
    get: (target: string, query = {}) => server.get(target, query).set(header),
    post: (target: string, body: object) => server.post(target, body as Record<string, unknown>).set(header),
    delete: (target: string, body: object) => server.delete(target, body as Record<string, unknown>).set(header),
    put: (path: string, bytes: Buffer | string) =>
      request(server.url).put(`${ARTIFACTS}/${path}`).set(header).send(Buffer.from(bytes)).expect(200),
    text: async (path: string) => (await fetch(`${server.url}${ARTIFACTS}/${path}`, { headers: header })).text(),
  };
}

/** A version of `fraud` in a workspace, trained by a run with params, metrics, data and code, under the alias champion. */
async function seedTrained(workspace: string) {
  const dev = from(workspace);
  const experiment = (await dev.post('experiments/create', { name: freshName('exp') }).expect(200)).body.experiment_id;
  const tags = [
    { key: 'mlflow.source.git.commit', value: 'abc123' },
    { key: 'mlflow.source.name', value: 'train.py' },
  ];
  const { info } = (await dev.post('runs/create', { experiment_id: experiment, tags, start_time: 1 }).expect(200)).body.run;
  await dev.post('runs/log-batch', {
    run_id: info.run_id,
    params: [{ key: 'alpha', value: '0.5' }],
    metrics: [{ key: 'auc', value: 0.91, timestamp: 1, step: 3 }],
  });
  await dev
    .post('runs/log-inputs', {
      run_id: info.run_id,
      datasets: [
        {
          tags: [{ key: 'mlflow.data.context', value: 'training' }],
          dataset: { name: 'claims', digest: 'd1', source_type: 's3', source: '{}', schema: '{"x": 1}' },
        },
      ],
    })
    .expect(200);
  const root = info.artifact_uri.replace('mlflow-artifacts:/', '');
  await dev.put(`${root}/model/MLmodel`, MLMODEL);
  await dev.put(`${root}/model/requirements.txt`, 'scikit-learn==1.7\npandas\n');
  await dev.put(`${root}/model/model.pkl`, randomBytes(2000));
  await dev.post('registered-models/create', { name: 'fraud' }).expect(200);
  await dev
    .post('model-versions/create', { name: 'fraud', source: `runs:/${info.run_id}/model`, run_id: info.run_id, description: 'good' })
    .expect(200);
  await dev.post('registered-models/alias', { name: 'fraud', alias: 'champion', version: '1' }).expect(200);
  return { dev, runId: info.run_id as string, experiment, root: root as string };
}

/** What copy_model_version of the stock client sends. */
async function copyModelVersion(as: ReturnType<typeof from>, source: { name: string; version: string }, target: string) {
  const { body } = await as.get('model-versions/get', source).expect(200);
  const made = await as.post('registered-models/create', { name: target });
  expect([200, 400]).toContain(made.status);
  const { run_id, description, tags = [] } = body.model_version;
  return as.post('model-versions/create', { name: target, source: `models:/${source.name}/${source.version}`, run_id, description, tags });
}

/** Keys in order, as the SHA-256 of a snapshot is over (RFC 8785). */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

const sha256Of = (value: unknown) =>
  createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex');

const provenanceOf = (registry: string, name: string, version: string) =>
  server.get(`/api/1.0/registries/${registry}/models/${name}/versions/${version}/provenance`);

describe('promotion by the stock call copy_model_version', () => {
  it('shares the bytes with a registry, which every workspace loads from, also after the source workspace is gone', async () => {
    const [registry, devName, prodName] = [await seedRegistry(), await seedWorkspace(), await seedWorkspace()];
    const { dev, runId } = await seedTrained(devName);
    const before = (await server.db.query('select count(*) from blobs')).rows[0].count;
    const reply = await copyModelVersion(dev, { name: 'fraud', version: '1' }, `${registry}.fraud`);
    expect([reply.status, reply.body.model_version]).toMatchObject([
      200,
      {
        name: `${registry}.fraud`,
        version: '1',
        source: `models:/${devName}.fraud/1`,
        run_id: runId,
        description: 'good',
        status: 'READY',
      },
    ]);
    expect((await server.db.query('select count(*) from blobs')).rows[0].count).toBe(before);
    await dev.post('registered-models/alias', { name: `${registry}.fraud`, alias: 'champion', version: '1' }).expect(200);

    const prod = from(prodName);
    expect((await prod.get('model-versions/get', { name: 'fraud', version: '1' })).status).toBe(404);
    const loaded = (await prod.get('registered-models/alias', { name: `${registry}.fraud`, alias: 'champion' }).expect(200)).body
      .model_version;
    const { artifact_uri } = (await prod.get('model-versions/get-download-uri', { name: loaded.name, version: loaded.version })).body;
    expect(artifact_uri).toMatch(new RegExp(`^mlflow-artifacts:/registries/${registry}/registered-models/`));
    const folder = artifact_uri.replace('mlflow-artifacts:/', '');
    expect(await prod.text(`${folder}/MLmodel`)).toBe(MLMODEL);
    expect(await from('default').text(`${folder}/MLmodel`)).toBe(MLMODEL);
    const throughBase = await fetch(`${server.url}/registries/${registry}${ARTIFACTS}/${folder}/MLmodel`);
    expect(await throughBase.text()).toBe(MLMODEL);

    const manifest = (await server.get(`/api/1.0/registries/${registry}/models/fraud/versions/1/manifest`).expect(200)).body;
    await server.delete(`/api/3.0/mlflow/workspaces/${devName}?mode=CASCADE`).expect(204);
    expect(await prod.text(`${folder}/MLmodel`)).toBe(MLMODEL);
    const verified = await fetch(`${server.url}/api/1.0/registries/${registry}/models/fraud/versions/1:verify`, { method: 'POST' });
    expect(JSON.parse((await verified.text()).trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ status: 'OK', digest: manifest.digest });
    const { body } = await provenanceOf(registry, 'fraud', '1').expect(200);
    expect(body.snapshot.run.data.params).toEqual([{ key: 'alpha', value: '0.5' }]);
    expect(body.live_source).toBeUndefined();
  });

  it('keeps where it came from: scope, version, run, metrics, data, code, environment, digest, hashed', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev, runId, experiment } = await seedTrained(devName);
    await dev.post('registered-models/create', { name: `${registry}.fraud` }).expect(200);
    const tags = [{ key: 'mlflow.promotion.reason', value: 'quarterly' }];
    await dev
      .post('model-versions/create', { name: `${registry}.fraud`, source: 'models:/fraud@champion', run_id: runId, tags })
      .expect(200);
    const { body } = await provenanceOf(registry, 'fraud', '1').expect(200);
    expect(body.snapshot).toMatchObject({
      target: { registry, name: 'fraud', version: '1' },
      source: { workspace: devName, name: 'fraud', version: '1', alias: 'champion', uri: 'models:/fraud@champion', run_id: runId },
      promotion: { reason: 'quarterly', promotion_id: expect.any(String), timestamp: expect.any(Number) },
      run: {
        info: { run_id: runId, experiment_id: experiment },
        data: { params: [{ key: 'alpha', value: '0.5' }], metrics: [{ key: 'auc', value: 0.91, timestamp: 1, step: 3 }] },
      },
      experiment: { experiment_id: experiment },
      datasets: [{ name: 'claims', digest: 'd1', context: 'training', schema: '{"x": 1}' }],
      code: { git_commit: 'abc123', name: 'train.py' },
      model: {
        mlmodel: { signature: { inputs: '[]' }, flavors: { python_function: { loader_module: 'sk' } } },
        environment: { requirements: ['scikit-learn==1.7', 'pandas'] },
      },
    });
    expect(body.live_source).toEqual({ kind: 'workspace', scope: devName, name: 'fraud', version: '1' });
    expect(sha256Of(body.snapshot)).toBe(body.sha256);
    const shown = (await server.get('model-versions/get', { name: `${registry}.fraud`, version: '1' })).body.model_version;
    const shownTags = Object.fromEntries(shown.tags.map(({ key, value }: { key: string; value: string }) => [key, value]));
    expect(shownTags).toEqual({
      'mlflow.promotion.id': body.promotion_id,
      'mlflow.promotion.digest': body.snapshot.digest,
      'mlflow.promotion.source_workspace': devName,
      'mlflow.promotion.source_name': 'fraud',
      'mlflow.promotion.source_version': '1',
    });
    expect((await server.get(`/api/1.0/promotions/${body.promotion_id}`)).body).toMatchObject({
      status: 'COMPLETED',
      reason: 'quarterly',
      source: { workspace: devName, name: 'fraud' },
      target: { registry, name: 'fraud', version: '1' },
    });
  });

  it('carries tags that nobody changes', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev } = await seedTrained(devName);
    await copyModelVersion(dev, { name: 'fraud', version: '1' }, `${registry}.fraud`);
    const tag = { name: `${registry}.fraud`, version: '1', key: 'mlflow.promotion.source_workspace' };
    expect((await dev.post('model-versions/set-tag', { ...tag, value: 'x' })).status).toBe(400);
    expect((await dev.delete('model-versions/delete-tag', tag)).status).toBe(400);
    expect((await dev.post('model-versions/set-tag', { ...tag, name: 'fraud', value: 'x' })).status).toBe(200);
  });

  it('follows a source that was renamed', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev } = await seedTrained(devName);
    await copyModelVersion(dev, { name: 'fraud', version: '1' }, `${registry}.fraud`);
    await dev.post('registered-models/rename', { name: 'fraud', new_name: 'scam' }).expect(200);
    const { body } = await provenanceOf(registry, 'fraud', '1');
    expect([body.live_source.name, body.snapshot.source.name]).toEqual(['scam', 'fraud']);
  });

  it('goes on from registry to registry with the same origin', async () => {
    const [first, second, devName] = [await seedRegistry(), await seedRegistry(), await seedWorkspace()];
    const { dev, runId } = await seedTrained(devName);
    await copyModelVersion(dev, { name: 'fraud', version: '1' }, `${first}.fraud`);
    await dev.post('registered-models/alias', { name: `${first}.fraud`, alias: 'approved', version: '1' }).expect(200);
    await dev.post('model-versions/set-tag', { name: `${first}.fraud`, version: '1', key: 'risk', value: 'low' }).expect(200);
    await dev.delete('runs/delete', {});
    const reply = await copyModelVersion(from('default'), { name: `${first}.fraud`, version: '1' }, `${second}.fraud`);
    expect([reply.status, reply.body.model_version.source]).toEqual([200, `models:/${first}.fraud/1`]);
    const { body } = await provenanceOf(second, 'fraud', '1').expect(200);
    expect(body.snapshot).toMatchObject({
      source: { registry: first, name: 'fraud' },
      run: { info: { run_id: runId } },
      // As it was in the registry between, whatever is done to it later.
      source_version: { name: 'fraud', version: '1', aliases: ['approved'] },
      derived_from: { snapshot: { source: { workspace: devName }, source_version: { aliases: ['champion'] } } },
    });
    expect(body.snapshot.source_version.tags).toContainEqual({ key: 'risk', value: 'low' });
    const tags = reply.body.model_version.tags.filter(({ key }: { key: string }) => key === 'mlflow.promotion.source_workspace');
    expect(tags).toEqual([{ key: 'mlflow.promotion.source_workspace', value: first }]);
  });

  it('goes by base path too, where the source names its workspace', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    const at = (target: string) => `/registries/${registry}/api/2.0/mlflow/${target}`;
    expect((await server.get(at('model-versions/get'), { name: `${devName}.fraud`, version: '1' })).body.model_version.name).toBe(
      `${devName}.fraud`,
    );
    await server.post(at('registered-models/create'), { name: 'fraud' }).expect(200);
    const reply = await server.post(at('model-versions/create'), { name: 'fraud', source: `models:/${devName}.fraud/1` });
    expect([reply.status, reply.body.model_version?.name]).toEqual([200, 'fraud']);
    // Nobody writes into a workspace that way, and no workspace reads another's.
    expect((await server.post(at('registered-models/alias'), { name: `${devName}.fraud`, alias: 'a', version: '1' })).status).toBe(404);
    expect((await server.get('model-versions/get', { name: `${devName}.fraud`, version: '1' })).status).toBe(404);
  });

  it('copies down into a workspace as well', async () => {
    const [registry, devName, prodName] = [await seedRegistry(), await seedWorkspace(), await seedWorkspace()];
    const { dev } = await seedTrained(devName);
    await copyModelVersion(dev, { name: 'fraud', version: '1' }, `${registry}.fraud`);
    const prod = from(prodName);
    const reply = await copyModelVersion(prod, { name: `${registry}.fraud`, version: '1' }, 'fraud');
    expect([reply.status, reply.body.model_version.source]).toEqual([200, `models:/${registry}.fraud/1`]);
    const { artifact_uri } = (await prod.get('model-versions/get-download-uri', { name: 'fraud', version: '1' })).body;
    expect(await prod.text(`${artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`)).toBe(MLMODEL);
  });
});

describe('what a promotion costs', () => {
  it('is one statement that writes, and one that reads', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev } = await seedTrained(devName);
    await dev.post('registered-models/create', { name: `${registry}.fraud` }).expect(200);
    const query = vi.spyOn(server.db, 'query');
    await dev.post('model-versions/create', { name: `${registry}.fraud`, source: 'models:/fraud/1' }).expect(200);
    const names = query.mock.calls.map(([sent]) => (sent as unknown as { name?: string }).name);
    query.mockRestore();
    // What the server asks once a second is not the promotion's; what runs in a transaction is not seen here.
    const ofServer = /scope|mounts|webhook|deliver|awaited|consum/;
    expect(names.filter((name) => !ofServer.test(name ?? ''))).toEqual(['model_version_to_copy_with_origin', 'promote_model_version']);
  });

  it('is under a second and no space for a large model, which is whole after its workspace is gone', { timeout: 60_000 }, async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev, runId, root } = await seedTrained(devName);
    const size = 256 * 1024 * 1024;
    const chunk = Buffer.alloc(1024 * 1024);
    const body = Readable.from(
      (function* () {
        for (let sent = 0; sent < size; sent += chunk.length) yield chunk;
      })(),
    );
    const uploaded = await fetch(`${server.url}${ARTIFACTS}/${root}/model/weights.bin`, {
      method: 'PUT',
      headers: { 'X-MLFLOW-WORKSPACE': devName, 'Content-Type': 'application/octet-stream' },
      body: Readable.toWeb(body) as ReadableStream,
      duplex: 'half',
    } as RequestInit);
    expect(uploaded.status).toBe(200);
    await dev.post('model-versions/create', { name: 'fraud', source: `runs:/${runId}/model`, run_id: runId }).expect(200);
    await dev.post('registered-models/create', { name: `${registry}.fraud` }).expect(200);
    const stored = async () => {
      const files = await fs.readdir(server.artifactDir, { recursive: true, withFileTypes: true });
      const sizes = files.filter((file) => file.isFile()).map((file) => fs.stat(path.join(file.parentPath, file.name)));
      return (await Promise.all(sizes)).reduce((sum, file) => sum + file.size, 0);
    };
    const before = await stored();
    expect(before).toBeGreaterThan(size);
    const startedAt = performance.now();
    await dev.post('model-versions/create', { name: `${registry}.fraud`, source: 'models:/fraud/2' }).expect(200);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(await stored()).toBe(before);

    await server.delete(`/api/3.0/mlflow/workspaces/${devName}?mode=CASCADE`).expect(204);
    const { artifact_uri } = (await server.get('model-versions/get-download-uri', { name: `${registry}.fraud`, version: '1' })).body;
    const url = `${server.url}${ARTIFACTS}/${artifact_uri.replace('mlflow-artifacts:/', '')}/weights.bin`;
    const end = await fetch(url, { headers: { Range: `bytes=${size - 4}-` } });
    expect([end.status, end.headers.get('content-range')]).toEqual([206, `bytes ${size - 4}-${size - 1}/${size}`]);
    const verified = await fetch(`${server.url}/api/1.0/registries/${registry}/models/fraud/versions/1:verify`, { method: 'POST' });
    expect(JSON.parse((await verified.text()).trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ status: 'OK', damaged: [] });
    const { body: provenance } = await provenanceOf(registry, 'fraud', '1').expect(200);
    expect(provenance.snapshot).toMatchObject({ source: { workspace: devName }, run: { info: { run_id: runId } } });
  });
});

describe('registering straight into a registry', () => {
  it('freezes the files of a run of the workspace', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev, runId, root } = await seedTrained(devName);
    await dev.post('registered-models/create', { name: `${registry}.direct` }).expect(200);
    await dev.post('model-versions/create', { name: `${registry}.direct`, source: `runs:/${runId}/model`, run_id: runId }).expect(200);
    await dev.put(`${root}/model/MLmodel`, 'changed');
    const { artifact_uri } = (await server.get('model-versions/get-download-uri', { name: `${registry}.direct`, version: '1' })).body;
    expect(await from('default').text(`${artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`)).toBe(MLMODEL);
    const { digest } = (await server.get(`/api/1.0/registries/${registry}/models/direct/versions/1/manifest`)).body;
    const { snapshot, sha256 } = (await provenanceOf(registry, 'direct', '1')).body;
    expect(snapshot).toMatchObject({
      target: { registry, name: 'direct', version: '1' },
      source: { workspace: devName, run_id: runId },
      run: { info: { run_id: runId } },
      model: { environment: { requirements: ['scikit-learn==1.7', 'pandas'] } },
      digest,
    });
    expect(sha256Of(snapshot)).toBe(sha256);
  });

  it('takes an explicit number once', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev } = await seedTrained(devName);
    const name = `${registry}.fraud`;
    await dev.post('registered-models/create', { name }).expect(200);
    const create = (number?: string) =>
      dev.post('model-versions/create', {
        name,
        source: 'models:/fraud/1',
        tags: number === undefined ? [] : [{ key: 'mlflow.promotion.version', value: number }],
      });
    expect((await create('7')).body.model_version.version).toBe('7');
    const again = await create('7');
    expect([again.status, again.body.error_code]).toEqual([400, 'RESOURCE_ALREADY_EXISTS']);
    expect(again.body.message).toContain(`Version 7 of model 'fraud' already exists in registry '${registry}'`);
    expect((await create()).body.model_version.version).toBe('8');
    expect((await create('3')).body.model_version.version).toBe('3');
    expect((await create()).body.model_version.version).toBe('9');
    await dev.delete('model-versions/delete', { name, version: '3' }).expect(200);
    expect((await create('3')).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
    expect((await create('x')).status).toBe(400);
  });
});

describe('a promotion that cannot be', () => {
  const promoteFrom = async (workspace: string, registry: string, source: string, body: object = {}) => {
    const as = from(workspace);
    const name = `${registry}.${freshName()}`;
    await as.post('registered-models/create', { name }).expect(200);
    const reply = await as.post('model-versions/create', { name, source, ...body });
    const left = await as.get('registered-models/get', { name });
    return { reply, left };
  };

  it.each([
    ['models:/nothing/1', 404],
    ['models:/fraud/9', 404],
    ['models:/fraud@nobody', 400],
    ['models:/elsewhere.fraud/1', 404],
    ['runs:/00000000000000000000000000000000/model', 400],
    ['runs:/00000000000000000000000000000000/model', 404, { run_id: '0'.repeat(32) }],
    ['models:/fraud/1', 400, { tags: [{ key: 'mlflow.promotion.version', value: 'seven' }] }],
    ['', 400],
  ])('of %s leaves no model behind', async (source, status, body: object = {}) => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    const { reply, left } = await promoteFrom(devName, registry, source, body);
    expect([reply.status, left.status]).toEqual([status, 404]);
  });

  it.each(['PENDING_REGISTRATION', 'FAILED_REGISTRATION'])(
    'of a version that is %s is refused, by the stock call and by the API',
    async (status) => {
      const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
      await seedTrained(devName);
      const [{ model_id: modelId }] = (
        await server.db.query(
          `update model_versions v set status = $2 from registered_models m join scopes s on s.id = m.scope_id
         where s.name = $1 and v.model_id = m.id returning v.model_id`,
          [devName, status],
        )
      ).rows;
      const before = await rowCounts(server);
      const { reply, left } = await promoteFrom(devName, registry, 'models:/fraud@champion');
      expect([reply.status, reply.body.error_code, reply.body.message, left.status]).toEqual([
        409,
        'INVALID_STATE',
        expect.stringMatching(new RegExp(`^models:/fraud@champion is ${status}: only a version that is READY`)),
        404,
      ]);
      const source = { workspace: devName, name: 'fraud', version: '1' };
      expect((await server.post('/api/1.0/promotions', { source, target: { registry } })).status).toBe(409);
      expect(await rowCounts(server)).toEqual(before);
      await server.db.query(`update model_versions set status = 'READY' where model_id = $1`, [modelId]);
      expect((await server.post('/api/1.0/promotions', { source, target: { registry } })).status).toBe(201);
    },
  );

  it('of a version that was deleted is refused, by its number and by its alias', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev } = await seedTrained(devName);
    await dev.delete('model-versions/delete', { name: 'fraud', version: '1' }).expect(200);
    const before = await rowCounts(server);
    const byNumber = await promoteFrom(devName, registry, 'models:/fraud/1');
    const byAlias = await promoteFrom(devName, registry, 'models:/fraud@champion');
    for (const { reply, left } of [byNumber, byAlias]) {
      expectRefusal(reply);
      expect(left.status).toBe(404);
    }
    expect(await rowCounts(server)).toEqual(before);
  });

  it('of what has no files here is refused, and of a run without files', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    const { dev, runId } = await seedTrained(devName);
    await dev.post('model-versions/create', { name: 'fraud', source: 's3://b/elsewhere' }).expect(200);
    const external = await promoteFrom(devName, registry, 'models:/fraud/2');
    expect([external.reply.status, external.reply.body.message]).toEqual([400, expect.stringContaining('has no files on this server')]);
    const empty = await promoteFrom(devName, registry, `runs:/${runId}/nothing`, { run_id: runId });
    expect([empty.reply.status, empty.reply.body.message]).toEqual([400, expect.stringContaining('has no files')]);
    expect([external.left.status, empty.left.status]).toEqual([404, 404]);
  });

  it('of files that no longer match their digest is refused', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    await server.db.query(
      `delete from model_version_files where path = 'model.pkl' and model_id = (
         select m.id from registered_models m join scopes s on s.id = m.scope_id where s.name = $1)`,
      [devName],
    );
    const before = await rowCounts(server);
    const { reply, left } = await promoteFrom(devName, registry, 'models:/fraud/1');
    expect([reply.status, reply.body.message, left.status]).toEqual([400, expect.stringContaining('no longer match its digest'), 404]);
    expect(await rowCounts(server)).toEqual(before);
    // Not even a number is used up.
    const name = `${registry}.kept`;
    await server.post('registered-models/create', { name, description: 'mine' }).expect(200);
    await from(devName).post('model-versions/create', { name, source: 'models:/fraud/1' });
    const { last_version: last } = (await server.db.query(`select last_version from registered_models where name = 'kept'`)).rows[0];
    expect(last).toBe(0);
  });

  it('keeps a model that somebody has described', async () => {
    const [registry, name] = [await seedRegistry(), freshName()];
    await server.post('registered-models/create', { name: `${registry}.${name}`, description: 'mine' }).expect(200);
    await server.post('model-versions/create', { name: `${registry}.${name}`, source: 'models:/nothing/1' });
    expect((await server.get('registered-models/get', { name: `${registry}.${name}` })).status).toBe(200);
  });
});

describe('promotion by the API', () => {
  const promotionFrom = async (body: object) => server.post('/api/1.0/promotions', body as Record<string, unknown>);

  it('makes the model, the version, its aliases and the record in one go', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    const reply = await promotionFrom({
      source: { workspace: devName, asset_type: 'models', name: 'fraud', alias: 'champion' },
      target: { registry, name: 'fraud-eu', version: 5 },
      set_aliases: ['champion', 'eu'],
      reason: 'go',
    });
    expect([reply.status, reply.body]).toMatchObject([
      201,
      {
        status: 'COMPLETED',
        reason: 'go',
        digest: expect.stringMatching(/^[\da-f]{64}$/),
        source: { workspace: devName, name: 'fraud', version: '1', alias: 'champion' },
        target: { registry, name: 'fraud-eu', version: '5', aliases: ['champion', 'eu'] },
      },
    ]);
    const model = (await server.get('registered-models/get', { name: `${registry}.fraud-eu` })).body.registered_model;
    expect(model.aliases).toEqual([
      { alias: 'champion', version: '5' },
      { alias: 'eu', version: '5' },
    ]);
    expect((await server.get(`/api/1.0/promotions/${reply.body.promotion_id}`)).body).toEqual(reply.body);
    const listed = await server.get('/api/1.0/promotions', { registry, name: 'fraud-eu' });
    expect(listed.body).toEqual({ promotions: [reply.body] });
  });

  it('keeps name and number apart when they are left out, and lists page by page', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    const source = { workspace: devName, name: 'fraud', version: '1' };
    for (const version of ['1', '2', '3']) {
      expect((await promotionFrom({ source, target: { registry } })).body.target).toMatchObject({ name: 'fraud', version });
    }
    const first = (await server.get('/api/1.0/promotions', { registry, max_results: 2 })).body;
    const second = (await server.get('/api/1.0/promotions', { registry, max_results: 2, page_token: first.next_page_token })).body;
    const versions = [...first.promotions, ...second.promotions].map(({ target }: { target: { version: string } }) => target.version);
    expect([versions.toSorted(), second.next_page_token]).toEqual([['1', '2', '3'], undefined]);
    expect((await server.get('/api/1.0/promotions', { page_token: 'x' })).status).toBe(400);
  });

  it('as a dry run says what would be and changes nothing', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    const body = { source: { workspace: devName, name: 'fraud', version: '1' }, target: { registry }, dry_run: true };
    const reply = await promotionFrom(body);
    expect(reply.body).toMatchObject({ dry_run: true, target: { version: '1' } });
    expect((await server.get('registered-models/get', { name: `${registry}.fraud` })).status).toBe(404);
    expect((await server.get(`/api/1.0/promotions/${reply.body.promotion_id}`)).status).toBe(404);
  });

  it('from registry to registry is the same call', async () => {
    const [first, second, devName] = [await seedRegistry(), await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    await promotionFrom({ source: { workspace: devName, name: 'fraud', version: '1' }, target: { registry: first } });
    const reply = await promotionFrom({ source: { registry: first, name: 'fraud', version: '1' }, target: { registry: second } });
    expect([reply.status, reply.body.source]).toMatchObject([201, { registry: first, name: 'fraud', version: '1' }]);
  });

  it('of one version by many at once gives each a number of its own', async () => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    const source = { workspace: devName, name: 'fraud', version: '1' };
    const replies = await Promise.all(Array.from({ length: 10 }, () => promotionFrom({ source, target: { registry } })));
    const versions = replies.map(({ body }) => Number(body.target.version)).toSorted((a, b) => a - b);
    expect(versions).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const same = await Promise.all(Array.from({ length: 5 }, () => promotionFrom({ source, target: { registry, version: 50 } })));
    expect(same.map(({ status }) => status).toSorted()).toEqual([201, 400, 400, 400, 400]);
  });

  it.each([
    [{ source: { name: 'fraud', version: '1' } }, 400],
    [{ source: { workspace: 'WS', registry: 'x', name: 'fraud', version: '1' } }, 400],
    [{ source: { workspace: 'WS', name: 'fraud' } }, 400],
    [{ source: { workspace: 'WS', name: 'fraud', version: '1', alias: 'a' } }, 400],
    [{ source: { workspace: 'WS', name: 'fraud', version: '1' }, target: {} }, 400],
    [{ source: { workspace: 'WS', name: 'fraud', version: '1' }, target: { registry: 'nowhere-1' } }, 404],
    [{ source: { workspace: 'WS', name: 'fraud', version: '1' }, target: { registry: 'R', version: 0 } }, 400],
    [{ source: { workspace: 'WS', name: 'fraud', version: '1' }, target: { registry: 'R', name: 'a/b' } }, 400],
    [{ source: { workspace: 'WS', name: 'fraud', version: '1' }, set_aliases: ['latest'] }, 400],
    [{ source: { workspace: 'nowhere-1', name: 'fraud', version: '1' } }, 404],
    [{ source: { workspace: 'WS', name: 'fraud', version: '2' } }, 404],
  ])('of %j is refused with %i and writes nothing', async (body, status) => {
    const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
    await seedTrained(devName);
    const filled = JSON.parse(
      JSON.stringify({ target: { registry }, ...body })
        .replaceAll('"WS"', `"${devName}"`)
        .replaceAll('"R"', `"${registry}"`),
    );
    expect((await promotionFrom(filled)).status).toBe(status);
    expect((await server.get(`/api/1.0/registries/${registry}`)).body.asset_counts).toEqual({ models: 0 });
  });
});

it('a logged model that was promoted is readable from every workspace, also after its own is gone (trap T1)', async () => {
  const [registry, devName] = [await seedRegistry(), await seedWorkspace()];
  const dev = from(devName);
  const experiment = (await dev.post('experiments/create', { name: freshName('exp') }).expect(200)).body.experiment_id;
  const { info } = (
    await dev.post('logged-models', { experiment_id: experiment, name: 'net', params: [{ key: 'p', value: '1' }] }).expect(200)
  ).body.model;
  await dev.put(`${info.artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`, MLMODEL);
  await dev.post('registered-models/create', { name: `${registry}.net` }).expect(200);
  const created = await dev.post('model-versions/create', {
    name: `${registry}.net`,
    source: `models:/${info.model_id}`,
    model_id: info.model_id,
  });
  expect([created.status, created.body.message]).toEqual([200, undefined]);
  const seen = () => from('default').get(`/api/2.0/mlflow/logged-models/${info.model_id}`);
  expect((await seen()).body.model).toMatchObject({
    info: { model_id: info.model_id, name: 'net' },
    data: { params: [{ key: 'p', value: '1' }] },
  });
  await server.delete(`/api/3.0/mlflow/workspaces/${devName}?mode=CASCADE`).expect(204);
  expect((await seen()).status).toBe(200);
  expect((await from('default').get('/api/2.0/mlflow/logged-models/m-00000000000000000000000000000000')).status).toBe(404);
});
