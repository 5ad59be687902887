import { isModelVersion, oneOf, unique } from './fixture.ts';
import type { Operation } from './operations.ts';
import { makeModels, namesToGrow } from './registry-writes.ts';
import { API, call, callAll, post, putFile, type Target } from './requests.ts';

const FILES = 10;

/** What the stock client's copy_model_version sends: into a registry on ours, which has none of its own on the stock server. */
export const promotion: Operation = {
  name: 'promotion',
  gate: 20,
  enoughPerSecond: 300,
  async prepare(target) {
    const { name, version } = await makeTrainedVersion(target);
    const { run_id, description, tags } = version;
    const source = `models:/${name}/1`;
    const names = await makeModels(target, target.label.startsWith('ours') ? await namesInRegistry(target) : namesToGrow('promoted'));
    return { next: () => post(target, `${API}/model-versions/create`, { name: oneOf(names), source, run_id, description, tags }) };
  },
  isRight: (json) => isModelVersion(json),
};

async function namesInRegistry(target: Target): Promise<string[]> {
  const registry = unique('shared');
  await call(target, post(target, '/api/1.0/registries', { name: registry }));
  return namesToGrow('promoted').map((name) => `${registry}.${name}`);
}

/** A version with files, of a run with params and metrics. */
async function makeTrainedVersion(target: Target): Promise<{ name: string; version: Record<string, unknown> }> {
  const name = unique('trained');
  const { experiment_id } = await call(target, post(target, `${API}/experiments/create`, { name }));
  const { run } = await call(target, post(target, `${API}/runs/create`, { experiment_id, start_time: 1 }));
  const { run_id, artifact_uri } = (run as { info: { run_id: string; artifact_uri: string } }).info;
  const folder = `${artifact_uri.replace('mlflow-artifacts:/', '')}/model`;
  const numbers = Array.from({ length: FILES }, (_, i) => i);
  await callAll(target, [
    post(target, `${API}/runs/log-batch`, {
      run_id,
      params: numbers.map((i) => ({ key: `p${i}`, value: String(i) })),
      metrics: numbers.map((i) => ({ key: `m${i}`, value: i, timestamp: 1, step: 0 })),
    }),
    ...numbers.map((i) => putFile(target, `${folder}/${i === 0 ? 'MLmodel' : `data/${i}.bin`}`, `flavors: {}\nfile: ${i}\n`)),
    post(target, `${API}/registered-models/create`, { name }),
  ]);
  const tags = [{ key: 'framework', value: 'sklearn' }];
  const source = `${artifact_uri}/model`;
  const made = await call(target, post(target, `${API}/model-versions/create`, { name, source, run_id, description: 'good', tags }));
  return { name, version: made.model_version as Record<string, unknown> };
}
