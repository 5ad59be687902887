import request from 'supertest';
import { freshName } from './seed.ts';
import type { TestServer } from './server.ts';

const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';

const COLUMNS = [
  { name: 'x', type: 'double', required: true },
  { name: 'n', type: 'long', required: false },
];

type Training = {
  params?: Record<string, string>;
  metrics?: Record<string, number>;
  dataset?: { name: string; digest: string; source_type?: string; source?: string; schema?: string };
  inputs?: object[];
  outputs?: object[];
  signature?: boolean;
  requirements?: string[];
  files?: Record<string, string>;
  tags?: Record<string, string>;
};

/** Workspaces, registries and trained models on a test's server. */
export function sharing(server: TestServer) {
  async function seedRegistry(): Promise<string> {
    const name = freshName('reg');
    await server.post('/api/1.0/registries', { name }).expect(201);
    return name;
  }

  async function seedWorkspace(): Promise<string> {
    const name = freshName('ws');
    await server.post('/api/3.0/mlflow/workspaces', { name }).expect(201);
    return name;
  }

  /** The API as a client in a workspace sees it. */
  function from(workspace: string, client = 'mlflow-python-client/3.17.2') {
    const header = { 'X-MLFLOW-WORKSPACE': workspace, 'User-Agent': client };
    return {
      get: (target: string, query = {}) => server.get(target, query).set(header),
      post: (target: string, body: object) => server.post(target, body as Record<string, unknown>).set(header),
      delete: (target: string, body: object) => server.delete(target, body as Record<string, unknown>).set(header),
      put: (path: string, text: string) => request(server.url).put(`${ARTIFACTS}/${path}`).set(header).send(Buffer.from(text)).expect(200),
      download: (path: string) => request(server.url).get(`${ARTIFACTS}/${path}`).set(header),
    };
  }

  /** Adds a version of `fraud` to a workspace, with a run, an experiment, data, code and an environment of its own. */
  async function train(workspace: string, training: Training = {}) {
    const as = from(workspace);
    const experimentName = freshName('exp');
    const experiment = (await as.post('experiments/create', { name: experimentName }).expect(200)).body.experiment_id as string;
    const tags = { 'mlflow.source.git.commit': 'abc123', 'mlflow.source.name': 'train.py', 'mlflow.user': 'ada', ...training.tags };
    const { info } = (
      await as
        .post('runs/create', {
          experiment_id: experiment,
          start_time: 1_700_000_000_000,
          tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
        })
        .expect(200)
    ).body.run;
    await as
      .post('runs/log-batch', {
        run_id: info.run_id,
        params: Object.entries(training.params ?? { alpha: '0.5' }).map(([key, value]) => ({ key, value })),
        metrics: Object.entries(training.metrics ?? { auc: 0.91 }).map(([key, value]) => ({ key, value, timestamp: 1, step: 3 })),
      })
      .expect(200);
    const dataset = { source_type: 's3', source: '{"uri": "s3://claims/2026.parquet"}', schema: '{"x": 1}', ...training.dataset };
    await as
      .post('runs/log-inputs', {
        run_id: info.run_id,
        datasets: [{ tags: [{ key: 'mlflow.data.context', value: 'training' }], dataset: { name: 'claims', digest: 'd1', ...dataset } }],
      })
      .expect(200);
    await as.post('runs/update', { run_id: info.run_id, status: 'FINISHED', end_time: 1_700_000_060_000 }).expect(200);
    const { inputs = COLUMNS, outputs = [{ type: 'double', required: true }], requirements = ['scikit-learn==1.7', 'pandas'] } = training;
    const signature = { inputs: JSON.stringify(inputs), outputs: JSON.stringify(outputs), params: null };
    const mlmodel = {
      flavors: { python_function: { loader_module: 'mlflow.sklearn', python_version: '3.12.1' }, sklearn: { sklearn_version: '1.7' } },
      ...(training.signature !== false && { signature }),
    };
    const files = {
      MLmodel: JSON.stringify(mlmodel),
      'requirements.txt': `${requirements.join('\n')}\n`,
      'model.pkl': experimentName,
      ...training.files,
    };
    const root = info.artifact_uri.replace('mlflow-artifacts:/', '');
    for (const [path, text] of Object.entries(files)) await as.put(`${root}/model/${path}`, text);
    await as.post('registered-models/create', { name: 'fraud' });
    const { version } = (
      await as.post('model-versions/create', { name: 'fraud', source: `runs:/${info.run_id}/model`, run_id: info.run_id }).expect(200)
    ).body.model_version;
    return { runId: info.run_id as string, experiment, experimentName, version: version as string };
  }

  /** Promotes a version by the API; gives the promotion. */
  async function promote(source: object, registry: string, more: object = {}) {
    return (await server.post('/api/1.0/promotions', { source, target: { registry }, ...more }).expect(201)).body;
  }

  return { seedRegistry, seedWorkspace, from, train, promote };
}
