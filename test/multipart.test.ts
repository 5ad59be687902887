import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const MPU = '/api/2.0/mlflow-artifacts/mpu';
const NO_RUN = '0'.repeat(32);

const post = (path: string, body: object) => request(server.url).post(path).send(body);
const seedRunId = async (experimentId = '0'): Promise<string> =>
  (await server.post('runs/create', { experiment_id: experimentId }).expect(200)).body.run.info.run_id;

describe('uploads and downloads in parts', () => {
  const part = { part_number: 1, etag: 'e', url: '' };

  // The Python client compares the sentence, and sends the file whole on no other answer.
  it.each([
    ['create', { path: 'model.pkl', num_parts: 3 }],
    ['complete', { path: 'model.pkl', upload_id: 'u', parts: [part] }],
    ['abort', { path: 'model.pkl', upload_id: 'u' }],
  ])('%s is told to be unsupported in the words that clients fall back on', async (step, body) => {
    const reply = await post(`${MPU}/${step}/0/run/artifacts`, body);
    expect(reply.status).toBe(501);
    expect(reply.body).toEqual({
      error_code: 'NOT_IMPLEMENTED',
      message: 'Multipart upload is not supported for the current artifact repository',
    });
  });

  it('has no address to download from without this server', async () => {
    const reply = await request(server.url).get('/ajax-api/2.0/mlflow-artifacts/presigned/0/run/artifacts/model.pkl');
    expect([reply.status, reply.body.message]).toEqual([501, 'Multipart download is not supported for the current artifact repository']);
  });

  it('refuses paths that lead elsewhere, and what is missing, before that', async () => {
    expect((await post(`${MPU}/create/..%2fx`, { path: 'a', num_parts: 1 })).body.message).toBe('Invalid path');
    expect((await request(server.url).get('/api/2.0/mlflow-artifacts/presigned/%252e%252e/x')).status).toBe(400);
    expect((await post(`${MPU}/complete/a`, { path: 'a' })).body.message).toContain("required parameter 'parts'");
  });
});

describe('presigned addresses of a run or logged model', () => {
  it('are not given for artifacts that this server keeps itself', async () => {
    const run = await seedRunId();
    const model = (await server.post('logged-models', { experiment_id: '0' })).body.model.info.model_id;
    for (const owner of [{ run_id: run }, { model_id: model }]) {
      const reply = await server.post('artifacts/presigned-upload-url', { ...owner, path: 'a' });
      expect([reply.status, reply.body.message]).toEqual([
        400,
        'Presigned upload is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts). ' +
          'This endpoint requires a direct cloud storage artifact URI.',
      ]);
    }
    const reply = await server.post('artifacts/presigned-download-url', { run_id: run, path: 'a' });
    expect(reply.body.message).toContain('Presigned download is not supported for runs with proxied artifact storage');
  });

  it('are unsupported for artifacts that are elsewhere', async () => {
    const made = await server.post('experiments/create', { name: 'elsewhere', artifact_location: 's3://bucket/root' }).expect(200);
    const reply = await server.post('artifacts/presigned-download-url', { run_id: await seedRunId(made.body.experiment_id), path: 'a' });
    expect([reply.status, reply.body.message]).toEqual([501, 'Presigned download is not supported for the current artifact repository']);
  });

  it.each([
    ['upload', { path: 'a' }, 400],
    ['upload', { run_id: NO_RUN, model_id: 'm', path: 'a' }, 400],
    ['upload', { run_id: NO_RUN, path: '../a' }, 400],
    ['upload', { run_id: NO_RUN, path: 'a' }, 404],
    ['download', { run_id: NO_RUN, path: 'a' }, 404],
    ['download', { run_id: NO_RUN, path: 'a', expiration: 604_801 }, 400],
  ])('%s of %j is refused with %i', async (kind, body, status) => {
    expect((await server.post(`artifacts/presigned-${kind}-url`, body)).status).toBe(status);
  });
});
