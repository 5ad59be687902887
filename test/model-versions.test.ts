import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';

const putFile = async (target: string, text: string) =>
  expect((await fetch(`${server.url}${ARTIFACTS}/${target}`, { method: 'PUT', body: text })).status).toBe(200);
const fileText = async (uri: string, file: string) =>
  (await fetch(`${server.url}${ARTIFACTS}/${uri.replace('mlflow-artifacts:/', '')}/${file}`)).text();
const create = (name: string, body: Record<string, unknown> = {}) =>
  server.post('model-versions/create', { name, source: 's3://bucket/model', ...body });
const downloadUri = async (name: string, version: string) =>
  (await server.get('model-versions/get-download-uri', { name, version })).body.artifact_uri as string;

/** A run with a logged model folder `model/`; gives the run's id and artifact root. */
async function seedRun(): Promise<{ runId: string; root: string }> {
  const { run } = (await server.post('runs/create', { experiment_id: '0', start_time: 1 }).expect(200)).body;
  const root = String(run.info.artifact_uri).replace('mlflow-artifacts:/', '');
  await putFile(`${root}/model/MLmodel`, 'flavors: {}');
  await putFile(`${root}/model/data/model.pkl`, 'weights');
  return { runId: run.info.run_id, root };
}

describe('model-versions/create', () => {
  it('answers version 1 with the empty fields the stock server shows', async () => {
    const name = await seedModel(server);
    const { creation_timestamp: created, ...version } = (await create(name)).body.model_version;
    expect(version).toEqual({
      name,
      version: '1',
      last_updated_timestamp: created,
      current_stage: 'None',
      description: '',
      source: 's3://bucket/model',
      run_id: '',
      status: 'READY',
      run_link: '',
    });
  });

  it('counts up without gap or repeat when sixteen write at once', async () => {
    const name = await seedModel(server);
    const replies = await Promise.all(Array.from({ length: 64 }, () => create(name)));
    const numbers = replies.map(({ body }) => Number(body.model_version.version)).toSorted((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 64 }, (_, i) => i + 1));
  });

  it('goes on to the lock of its model after a second, however many are before it', async () => {
    const name = await seedModel(server);
    const atTheLock = async () =>
      (await server.db.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).rowCount;
    const client = await server.db.connect();
    await client.query('begin');
    await client.query('select from registered_models where name = $1 for update', [name]);
    const made = Promise.all(Array.from({ length: 5 }, () => create(name)));
    await vi.waitFor(async () => expect(await atTheLock()).toBe(2));
    await vi.waitFor(async () => expect(await atTheLock()).toBe(5), { timeout: 10_000 });
    await client.query('commit');
    client.release();
    const versions = (await made).map(({ body }) => Number(body.model_version.version));
    expect(versions.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });

  it('never gives a number again, also not after the newest was deleted', async () => {
    const name = await seedModel(server, 2);
    await server.delete('model-versions/delete', { name, version: '2' }).expect(200);
    expect((await create(name)).body.model_version.version).toBe('3');
  });

  it('answers 404 for a model that is not there', async () => {
    const reply = await create('nobody');
    expect([reply.status, reply.body.message]).toEqual([404, 'Registered Model with name=nobody not found']);
  });

  it.each([
    ['/etc/passwd', 'To use a local path as a model version source'],
    ['file:///etc/passwd', 'To use a local path as a model version source'],
    ['relative/path', 'To use a local path as a model version source'],
    ['http://169.254.169.254/x', "'source' cannot use the 'http' scheme"],
    ['mlflow-artifacts://host/x', "'source' cannot use the 'mlflow-artifacts' scheme"],
    ['s3://b/../x', 'an absolute path must be provided'],
    ['s3://b/a/%252e%252e/x', 'an absolute path must be provided'],
    ['s3://b', 'an absolute path must be provided'],
    ['javascript:alert(1)', 'an absolute path must be provided'],
    ['runs:/nobody/model', 'The run_id request parameter must identify the resource that contains the source.'],
    ['mlflow-artifacts:/0/x', 'The run_id request parameter must identify the resource that contains the source.'],
    ['models://host/x/1', 'Registered model sources must use the active model registry.'],
    ['models:/m-1234', 'The model_id request parameter must identify the resource that contains the source.'],
  ])('refuses the source %s', async (source, sentence) => {
    const name = await seedModel(server);
    const reply = await create(name, { source });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toContain(sentence);
    expect((await server.get('model-versions/search', { filter: `name='${name}'` })).body).toEqual({});
  });

  it.each(['s3://b/a//b', 's3://b/a/', 's3:/b/a', 'dbfs:/a', 'C:/model', 'gs://b/x'])(
    'keeps the source %s as it was given',
    async (source) => {
      const name = await seedModel(server);
      expect((await create(name, { source })).body.model_version.source).toBe(source);
      expect(await downloadUri(name, '1')).toBe(source);
    },
  );
});

describe('a version of a run’s model', () => {
  it('is frozen: neither rewriting nor deleting the run’s files changes what it loads', async () => {
    const [{ runId, root }, name] = [await seedRun(), await seedModel(server)];
    await create(name, { source: `runs:/${runId}/model`, run_id: runId }).expect(200);
    const uri = await downloadUri(name, '1');
    await putFile(`${root}/model/data/model.pkl`, 'other weights');
    await server.delete(`${ARTIFACTS}/${root}`).expect(200);
    expect(await fileText(uri, 'data/model.pkl')).toBe('weights');
    expect(
      (await server.get(ARTIFACTS, { path: uri.replace('mlflow-artifacts:/', '') })).body.files.map(({ path }: { path: string }) => path),
    ).toEqual(['MLmodel', 'data']);
    expect((await server.get('/model-versions/get-artifact', { name, version: '1', path: 'MLmodel' })).status).toBe(200);
    expect((await server.get('//model-versions/get-artifact', { name, version: '1', path: 'MLmodel' })).status).toBe(200);
  });

  it('cannot be written to', async () => {
    const [{ runId }, name] = [await seedRun(), await seedModel(server)];
    await create(name, { source: `runs:/${runId}/model`, run_id: runId });
    const folder = (await downloadUri(name, '1')).replace('mlflow-artifacts:/', '');
    expect((await fetch(`${server.url}${ARTIFACTS}/${folder}/MLmodel`, { method: 'PUT', body: 'x' })).status).toBe(403);
    expect((await server.delete(`${ARTIFACTS}/${folder}`)).status).toBe(403);
  });

  it('has the digest that sha256sum gives for its files', async () => {
    const [{ runId }, name] = [await seedRun(), await seedModel(server)];
    await create(name, { source: `runs:/${runId}/model`, run_id: runId });
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    const { rows } = await server.db.query(
      'select digest from model_versions v join registered_models m on m.id = v.model_id where m.name = $1',
      [name],
    );
    expect(rows).toEqual([{ digest: sha256(`${sha256('flavors: {}')}  MLmodel\n${sha256('weights')}  data/model.pkl\n`) }]);
  });

  it('is shared by a copy, which names the version it came from and inherits its run', async () => {
    const [{ runId }, name, copy] = [await seedRun(), await seedModel(server), await seedModel(server)];
    await create(name, { source: `runs:/${runId}/model`, run_id: runId });
    await server.post('registered-models/alias', { name, alias: 'champion', version: '1' });
    const reply = await create(copy, { source: `models:/${name}@champion` });
    expect(reply.body.model_version).toMatchObject({ source: `models:/${name}/1`, run_id: runId });
    await server.delete('registered-models/delete', { name });
    expect(await fileText(await downloadUri(copy, '1'), 'data/model.pkl')).toBe('weights');
  });

  it('stays a live reference while the source has no files', async () => {
    const name = await seedModel(server);
    const { run } = (await server.post('runs/create', { experiment_id: '0' })).body;
    await create(name, { source: `runs:/${run.info.run_id}/later`, run_id: run.info.run_id }).expect(200);
    expect(await downloadUri(name, '1')).toBe(`runs:/${run.info.run_id}/later`);
  });

  it('must lie in the run it names', async () => {
    const [mine, other, name] = [await seedRun(), await seedRun(), await seedModel(server)];
    for (const source of [
      `runs:/${other.runId}/model`,
      `mlflow-artifacts:/${other.root}/model`,
      `mlflow-artifacts:/${mine.root}/%2e%2e/x`,
    ]) {
      expect((await create(name, { source, run_id: mine.runId })).status).toBe(400);
    }
    expect((await create(name, { source: `mlflow-artifacts:/${mine.root}/model`, run_id: mine.runId })).status).toBe(200);
  });
});

describe('stages', () => {
  it('move in any case, archive the others and touch version and model', async () => {
    const name = await seedModel(server, 3);
    for (const version of ['1', '2']) await server.post('model-versions/transition-stage', { name, version, stage: 'Production' });
    const reply = await server.post('model-versions/transition-stage', {
      name,
      version: '3',
      stage: 'pRoduction',
      archive_existing_versions: true,
    });
    expect(reply.body.model_version.current_stage).toBe('Production');
    const { model_versions: found } = (
      await server.get('model-versions/search', { filter: `name='${name}'`, order_by: ['version_number'] })
    ).body;
    expect(found.map((version: Record<string, unknown>) => version.current_stage)).toEqual(['Archived', 'Archived', 'Production']);
    expect(new Set(found.map((version: Record<string, unknown>) => version.last_updated_timestamp)).size).toBe(1);
  });

  it('are asked for by POST and by GET with repeated arguments', async () => {
    const name = await seedModel(server, 2);
    await server.post('model-versions/transition-stage', { name, version: '1', stage: 'Staging' });
    const posted = await server.post('registered-models/get-latest-versions', { name, stages: ['staging'] });
    const got = await server.get(`registered-models/get-latest-versions?name=${name}&stages=Staging&stages=Production`);
    for (const { body } of [posted, got]) expect(body.model_versions).toMatchObject([{ version: '1', current_stage: 'Staging' }]);
  });

  it.each([
    [{ stage: 'Nope' }, 'Invalid Model Version stage: Nope. Value must be one of None, Staging, Production, Archived.'],
    [{ stage: 'Archived', archive_existing_versions: true }, "because 'Archived' is not an Active stage"],
    [{ stage: 'Staging', archive_existing_versions: 'true' }, "Value was of type 'str'"],
  ])('refuse %j', async (body, sentence) => {
    const reply = await server.post('model-versions/transition-stage', { name: await seedModel(server, 1), version: '1', ...body });
    expect(reply.status).toBe(400);
    expect(reply.body.message).toContain(sentence);
  });
});

describe('a version', () => {
  it('loses its description when an update leaves it out, and keeps an empty one', async () => {
    const name = await seedModel(server, 1);
    const update = async (body: object) =>
      (await server.patch('model-versions/update', { name, version: '1', ...body })).body.model_version;
    expect((await update({ description: 'good' })).description).toBe('good');
    expect((await update({ description: '' })).description).toBe('');
    expect(await update({})).not.toHaveProperty('description');
  });

  it.each(['05', ' 5 ', '+5', '٥'])('number %j is read as Python reads it', async (version) => {
    const name = await seedModel(server, 5);
    expect((await server.get('model-versions/get', { name, version })).body.model_version.version).toBe('5');
  });

  it.each(['1.0', '0x1', 'abc', 'true', '1e0'])('number %j is a 400', async (version) => {
    const reply = await server.get('model-versions/get', { name: 'any', version });
    expect([reply.status, reply.body.message]).toEqual([400, `Parameter 'version' must be an integer, got '${version}'.`]);
  });

  it('that is not there is a 404, however large its number', async () => {
    const name = await seedModel(server, 1);
    for (const version of ['77', '0', '-1', '99999999999', '9'.repeat(400)]) {
      expect((await server.get('model-versions/get', { name, version })).status).toBe(404);
    }
  });

  it('takes its tags and aliases along when it is deleted', async () => {
    const name = await seedModel(server, 2);
    await server.post('model-versions/set-tag', { name, version: '2', key: 'k', value: 'v' }).expect(200);
    await server.post('registered-models/alias', { name, alias: 'live', version: '2' });
    expect((await server.delete('model-versions/delete', { name, version: '2' })).body).toEqual({});
    expect((await server.delete('model-versions/delete', { name, version: '2' })).status).toBe(404);
    expect((await server.get('registered-models/alias', { name, alias: 'live' })).status).toBe(400);
  });

  it('keeps long tags and refuses longer ones', async () => {
    const name = await seedModel(server, 1);
    const setTag = (value: string) => server.post('model-versions/set-tag', { name, version: '1', key: 'k', value });
    expect((await setTag('x'.repeat(100_000))).status).toBe(200);
    expect((await setTag('x'.repeat(100_001))).body.message).toBe("'value' exceeds the maximum length of 100000 characters");
  });

  it('is unknown to another name', async () => {
    await seedModel(server, 1);
    expect((await server.get('model-versions/get', { name: freshName(), version: '1' })).status).toBe(404);
  });
});
