import { describe, expect, it } from 'vitest';
import { compareSignatures } from '../src/registry/model-versions/compare-signatures.ts';
import { startTestServer } from './helpers/server.ts';
import { sharing } from './helpers/trained.ts';

const server = await startTestServer();
const { seedRegistry, seedWorkspace, from, train, promote } = sharing(server);

const compare = (scope: string, left: unknown, right: unknown) =>
  server.get(`/api/1.0/${scope}/models/fraud/versions:compare`, { left: String(left), right: String(right) });

const nothing = { added: [], removed: [], changed: [] };

describe('GET …/versions:compare', () => {
  it('tells what is different between two versions of a workspace', async () => {
    const dev = await seedWorkspace();
    await train(dev, { files: { 'old.txt': 'x', 'model.pkl': 'one' } });
    await train(dev, {
      params: { alpha: '0.7', depth: '3' },
      metrics: { auc: 0.95, f1: 0.8 },
      dataset: { name: 'claims', digest: 'd2' },
      requirements: ['scikit-learn==1.8', 'Pandas>=2', 'numpy==2.1'],
      inputs: [{ name: 'x', type: 'string', required: true }],
      files: { 'new.txt': 'y', 'model.pkl': 'two' },
    });
    const { body } = await compare(`workspaces/${dev}`, 1, 2).expect(200);
    expect(body).toMatchObject({
      left: { name: 'fraud', version: '1' },
      right: { name: 'fraud', version: '2' },
      same_files: false,
      signature: { compatibility: 'BREAKING' },
      flavors: nothing,
      params: { added: [{ name: 'depth', right: '3' }], removed: [], changed: [{ name: 'alpha', left: '0.5', right: '0.7' }] },
      metrics: { added: [{ name: 'f1', right: 0.8 }], removed: [], changed: [{ name: 'auc', left: 0.91, right: 0.95 }] },
      datasets: { added: [], removed: [], changed: [{ name: 'claims (training)', left: 'd1', right: 'd2' }] },
      requirements: {
        added: [{ name: 'numpy', right: '==2.1' }],
        removed: [],
        changed: [
          { name: 'pandas', left: '*', right: '>=2' },
          { name: 'scikit-learn', left: '==1.7', right: '==1.8' },
        ],
      },
      files: {
        added: [{ name: 'new.txt', right: { size: 1 } }],
        removed: [{ name: 'old.txt', left: { size: 1 } }],
        changed: [{ name: 'MLmodel' }, { name: 'model.pkl' }, { name: 'requirements.txt' }],
      },
    });
    expect(body.signature.changes).toMatchObject([
      { part: 'inputs', name: 'n', change: 'REMOVED', left: 'long', breaking: false },
      { part: 'inputs', name: 'x', change: 'TYPE_CHANGED', left: 'double', right: 'string', breaking: true },
    ]);
  });

  it('reads what promotions have kept, also after the workspace is gone', async () => {
    const [registry, dev] = [await seedRegistry(), await seedWorkspace()];
    await train(dev);
    await train(dev, { params: { alpha: '0.9' }, files: { 'conda.yaml': 'dependencies:\n- python=3.12.1\n- pip:\n  - pandas==1\n' } });
    for (const version of ['1', '2', '2']) await promote({ workspace: dev, name: 'fraud', version }, registry);
    await server.delete(`/api/3.0/mlflow/workspaces/${dev}?mode=CASCADE`).expect(204);
    const { body } = await compare(`registries/${registry}`, 1, 2).expect(200);
    expect(body).toMatchObject({
      signature: { compatibility: 'COMPATIBLE', changes: [] },
      params: { changed: [{ name: 'alpha', left: '0.5', right: '0.9' }] },
      requirements: { added: [{ name: 'python', right: '==3.12.1' }], removed: [], changed: [] },
      files: { added: [{ name: 'conda.yaml' }] },
    });
    const same = (await compare(`registries/${registry}`, 2, 3).expect(200)).body;
    expect(same).toMatchObject({ same_files: true, params: nothing, metrics: nothing, files: nothing, requirements: nothing });
  });

  it("compares the runs' last values, of which clients give a logged model those of step 0 only", async () => {
    const dev = await seedWorkspace();
    const as = from(dev);
    for (const last of [0.8, 0.9]) {
      const { runId, experiment } = await train(dev, { metrics: { auc: last } });
      const { info } = (await as.post('logged-models', { experiment_id: experiment, name: 'model', source_run_id: runId }).expect(200)).body
        .model;
      await as
        .post('runs/log-batch', { run_id: runId, metrics: [{ key: 'auc', value: 0.1, timestamp: 1, step: 0, model_id: info.model_id }] })
        .expect(200);
      await as.put(`${info.artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`, '{}');
      await as.post('registered-models/create', { name: 'scored' });
      await as
        .post('model-versions/create', { name: 'scored', source: `models:/${info.model_id}`, model_id: info.model_id, run_id: runId })
        .expect(200);
    }
    const { body } = await server.get(`/api/1.0/workspaces/${dev}/models/scored/versions:compare`, { left: '1', right: '2' }).expect(200);
    expect(body.metrics.changed).toEqual([{ name: 'auc', left: 0.8, right: 0.9 }]);
  });

  it('says nothing of what a version elsewhere does not have', async () => {
    await server.post('registered-models/create', { name: 'fraud' });
    for (const key of ['a', 'b']) await server.post('model-versions/create', { name: 'fraud', source: `s3://bucket/${key}` }).expect(200);
    const { body } = await compare('workspaces/default', 1, 2).expect(200);
    expect(body).toMatchObject({ same_files: false, signature: { compatibility: 'UNKNOWN', changes: [] }, files: nothing });
  });

  it('refuses a side that is missing or not there', async () => {
    const dev = await seedWorkspace();
    await train(dev);
    const missing = await compare(`workspaces/${dev}`, 1, 7);
    expect([missing.status, missing.body]).toMatchObject([
      404,
      { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'Model Version (name=fraud, version=7) not found' },
    ]);
    expect((await compare(`workspaces/${dev}`, 8, 1)).body.message).toContain('version=8');
    expect((await compare(`registries/${dev}`, 1, 1)).status).toBe(404);
    const unnamed = await server.get(`/api/1.0/workspaces/${dev}/models/fraud/versions:compare`, { left: '1' });
    expect([unnamed.status, unnamed.body.message]).toEqual([400, expect.stringContaining("'right'")]);
    expect((await compare(`workspaces/${dev}`, 'x', 1)).status).toBe(400);
  });
});

const signature = (inputs: unknown[] | null, outputs: unknown[] | null = null, params: unknown[] | null = null) => ({
  inputs: inputs && JSON.stringify(inputs),
  outputs: outputs && JSON.stringify(outputs),
  params: params && JSON.stringify(params),
});
const column = (name: string, type: string, required = true) => ({ name, type, required });
const tensor = (dtype: string, shape: number[]) => ({ type: 'tensor', 'tensor-spec': { dtype, shape } });

describe('the compatibility of signatures', () => {
  it.each([
    ['an input that is not asked for any more', [column('a', 'double'), column('b', 'double')], [column('a', 'double')], 'COMPATIBLE'],
    ['a required input more', [column('a', 'double')], [column('a', 'double'), column('b', 'double')], 'BREAKING'],
    ['an optional input more', [column('a', 'double')], [column('a', 'double'), column('b', 'double', false)], 'COMPATIBLE'],
    ['an input in another place', [column('a', 'long'), column('b', 'long')], [column('b', 'long'), column('a', 'long')], 'COMPATIBLE'],
    ['an integer that is a long now', [column('a', 'integer')], [column('a', 'long')], 'COMPATIBLE'],
    ['a long that is an integer now', [column('a', 'long')], [column('a', 'integer')], 'BREAKING'],
    ['a long that is a double now', [column('a', 'long')], [column('a', 'double')], 'BREAKING'],
    ['a required input that is optional now', [column('a', 'long')], [column('a', 'long', false)], 'COMPATIBLE'],
    ['an optional input that is required now', [column('a', 'long', false)], [column('a', 'long')], 'BREAKING'],
    ['a column without a name more', [{ type: 'long', required: true }], [{ type: 'long' }, { type: 'long' }], 'BREAKING'],
    ['a tensor of any length', [tensor('float64', [10, 3])], [tensor('float64', [-1, 3])], 'COMPATIBLE'],
    ['a tensor of another width', [tensor('float64', [-1, 3])], [tensor('float64', [-1, 4])], 'BREAKING'],
    ['a tensor of another type', [tensor('float64', [-1, 3])], [tensor('float32', [-1, 3])], 'BREAKING'],
    [
      'an array of something else',
      [{ name: 'a', type: 'array', items: { type: 'long' } }],
      [{ name: 'a', type: 'array', items: { type: 'string' } }],
      'BREAKING',
    ],
    ['inputs that nobody checks any more', [column('a', 'double')], null, 'COMPATIBLE'],
  ])('with %s', (_, left, right, compatibility) => {
    expect(compareSignatures(signature(left), signature(right)).compatibility).toBe(compatibility);
  });

  it.each([
    ['an output less', [column('p', 'double')], [column('q', 'double')], 'BREAKING'],
    ['an output more', [column('p', 'double')], [column('p', 'double'), column('q', 'double')], 'COMPATIBLE'],
    ['an output of a wider type', [column('p', 'integer')], [column('p', 'long')], 'BREAKING'],
    ['an output that is optional now', [column('p', 'long')], [column('p', 'long', false)], 'BREAKING'],
    ['an output that is required now', [column('p', 'long', false)], [column('p', 'long')], 'COMPATIBLE'],
  ])('with %s', (_, left, right, compatibility) => {
    expect(compareSignatures(signature([], left), signature([], right)).compatibility).toBe(compatibility);
  });

  it('tells of parameters and their defaults', () => {
    const [left, right] = [
      [{ name: 'top', type: 'long', default: 3, shape: null }],
      [
        { name: 'top', type: 'long', default: 5, shape: null },
        { name: 'seed', type: 'long', default: 0, shape: null },
      ],
    ];
    expect(compareSignatures(signature([], [], left), signature([], [], right))).toMatchObject({
      compatibility: 'COMPATIBLE',
      changes: [
        { part: 'params', name: 'top', change: 'DEFAULT_CHANGED', left: 3, right: 5, breaking: false },
        { part: 'params', name: 'seed', change: 'ADDED' },
      ],
    });
  });

  it('is unknown when one has no signature, or one that cannot be read', () => {
    expect(compareSignatures(undefined, signature([]))).toEqual({ compatibility: 'UNKNOWN', changes: [] });
    expect(compareSignatures({ inputs: '{not json' }, { inputs: '[]' }).compatibility).toBe('UNKNOWN');
  });
});
