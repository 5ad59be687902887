import { describe, expect, it } from 'vitest';
import { freshName, seedModel } from '../helpers/seed.ts';
import { startTestServer } from '../helpers/server.ts';
import { BASES, refused } from './attack.ts';

// The rows of "Locations and sources", B1 to B12.

const server = await startTestServer();
const name = await seedModel(server);
const run = (await server.post('runs/create', { experiment_id: '0' }).expect(200)).body.run.info;
const other = (await server.post('runs/create', { experiment_id: '0' }).expect(200)).body.run.info;

describe('an experiment', () => {
  it.each([
    ['B1', 'http:///#/../../etc'],
    ['B1', 'http:///?x=/../..'],
    ['B2', 'ftp://host/x'],
    ['B2', 'http://169.254.169.254/latest/meta-data'],
    ['B3', '/etc'],
    ['B3', 'file:///etc'],
    ['B3', 'relative/folder'],
    ['B3', 'FILE:/etc'],
    ['B4', 's3://b/../../x'],
    ['B4', 's3://b/%2e%2e/x'],
    ['B5', 'javascript:alert(1)'],
    ['B5', 'gopher://host/x'],
    ['B6', 'mlflow-artifacts:/../../etc'],
    ['B6', 'mlflow-artifacts:/%2e%2e/etc'],
  ])('%s: cannot be at %s', async (_, artifact_location) => {
    for (const base of BASES) {
      await refused(server, { method: 'POST', path: `${base}/experiments/create`, body: { name: freshName(), artifact_location } }, 400);
    }
  });

  it('B5: at dbfs:/x is refused only where its files are asked for here, with a 400', async () => {
    const { experiment_id } = (await server.post('experiments/create', { name: freshName(), artifact_location: 'dbfs:/x' }).expect(200))
      .body;
    const { run_id } = (await server.post('runs/create', { experiment_id }).expect(200)).body.run.info;
    for (const base of BASES) await refused(server, { method: 'GET', path: `${base}/artifacts/list?run_id=${run_id}` }, 400);
    await refused(server, { method: 'GET', path: `/get-artifact?path=x&run_uuid=${run_id}` }, 400);
  });
});

describe('a version', () => {
  it.each([
    ['B7', 'file:///etc'],
    ['B7', '/etc/passwd'],
    ['B7', '//proc/self/root'],
    ['B7', 'file://localhost/etc'],
    ['B7', 'file://otherhost/etc'],
    ['B8', 'http://127.0.0.1:5432/'],
    ['B8', 'http://169.254.169.254/latest'],
    ['B8', 'ftp://host/x'],
    ['B8', 'hdfs://host/x'],
    ['B8', 'sftp://host/x'],
    ['B9', 's3://b/../x'],
    ['B9', 's3://b/%2e%2e/x'],
    ['B9', 's3://b/%252e%252e/x'],
    ['B9', 's3://b/x?a=/../y'],
    ['B9', `runs:/${run.run_id}/../../x`],
    ['B10', `${other.artifact_uri}/model`],
    ['B10', 'models:/other/1'],
    ['B11', 'http://[::1'],
    ['B11', 's3://[::1'],
    ['B12', `s3://b/${'x'.repeat(3000)}`],
    ['B12', 's3://b/a\0b'],
    ['B12', ''],
    ['B12', null],
    ['B12', 5],
    ['B12', { a: 1 }],
    ['B12', ['s3://b/x']],
  ])('%s: cannot come from %j', async (row, source) => {
    for (const base of BASES) {
      for (const more of [{}, { run_id: run.run_id }]) {
        const body = { name, source, ...more };
        const message = await refused(
          server,
          { method: 'POST', path: `${base}/model-versions/create`, body },
          400,
          ...(source === 'models:/other/1' ? [404] : []),
        );
        if (row === 'B12' && typeof source !== 'string') expect(message).toContain('source');
        expect(message.length).toBeLessThan(1000);
      }
    }
    expect((await server.get('model-versions/search', { filter: `name = '${name}'` })).body).toEqual({});
  });
});
