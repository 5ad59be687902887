import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { foundIn, pythonPattern } from '../src/platform/python-pattern.ts';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const withSettings = (env: Record<string, string>) => startTestServer(undefined, undefined, readConfig([], env).locations);

const plain = await startTestServer();
const allowing = await withSettings({ MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES: ' hdfs, HTTPS,mlflow-artifacts' });
const matching = await withSettings({
  MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX: '(?i)team\\-[ab]/(?P<m>\\w)+\\Z',
  MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH: '20',
});

describe('MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES', () => {
  const makers = (server: typeof plain, uri: string) => [
    async () => server.post('model-versions/create', { name: await seedModel(server), source: uri }),
    () => server.post('experiments/create', { name: freshName(), artifact_location: uri }),
    () => server.post('/api/3.0/mlflow/workspaces', { name: freshName('ws'), default_artifact_root: uri }),
  ];

  it.each(['hdfs://namenode/models', 'https://host:8443/models'])(
    'lets %s be a source, an artifact location and an artifact root',
    async (uri) => {
      for (const make of makers(plain, uri)) {
        const { status, body } = await make();
        expect(status).toBe(400);
        expect(body.message).toContain(
          'Set the MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES environment variable on the server to allow it.',
        );
      }
      for (const make of makers(allowing, uri)) expect((await make()).status).toBeLessThan(202);
    },
  );

  it('lets no other scheme pass', async () => {
    for (const make of makers(allowing, 'http://host/models')) expect((await make()).status).toBe(400);
  });

  it('keeps what another MLflow server hands out to the run it belongs to', async () => {
    const root = 'https://host/api/2.0/mlflow-artifacts/artifacts/0';
    const experiment = await allowing.post('experiments/create', { name: freshName(), artifact_location: root }).expect(200);
    const run = await allowing.post('runs/create', { experiment_id: experiment.body.experiment_id }).expect(200);
    const { run_id: runId, artifact_uri: uri } = run.body.run.info;
    expect(uri).toBe(`${root}/${runId}/artifacts`);
    const name = await seedModel(allowing);
    await allowing.post('model-versions/create', { name, source: `${uri}/model`, run_id: runId }).expect(200);
    const foreign = await allowing.post('model-versions/create', { name, source: `${root}/other/model`, run_id: runId });
    expect(foreign).toMatchObject({
      status: 400,
      body: { message: expect.stringMatching(/The run_id request parameter must identify the resource that contains the source\.$/) },
    });
  });

  it('never takes the artifacts of another server for ours', async () => {
    const name = freshName('ws');
    const made = await allowing.post('/api/3.0/mlflow/workspaces', { name, default_artifact_root: 'mlflow-artifacts://host/team' });
    expect(made.status).toBe(201);
    const experiment = await allowing.post('experiments/create', { name: freshName() }).set('X-MLFLOW-WORKSPACE', name).expect(200);
    const got = await allowing.get('experiments/get', { experiment_id: experiment.body.experiment_id }).set('X-MLFLOW-WORKSPACE', name);
    expect(got.body.experiment.artifact_location).toMatch(/^mlflow-artifacts:\/\/host\/team\/\d+$/);
  });
});

describe('MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX', () => {
  it.each([
    ['s3://bucket/team-a/m', 200],
    ['S3://bucket/TEAM-B/x_1', 200],
    ['s3://bucket/team-c/m', 400],
    ['s3://bucket/team-a/m/', 400],
  ])('answers %s with %d', async (source, status) => {
    const reply = await matching.post('model-versions/create', { name: await seedModel(matching), source });
    expect(reply.status).toBe(status);
    if (status === 400) expect(reply.body.message).toBe(`Invalid model version source: '${source}'.`);
  });

  it('is asked before anything else about the source, for prompts too', async () => {
    const name = await seedModel(matching);
    const tags = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }];
    const reply = await matching.post('model-versions/create', { name, source: 'dummy-source', tags });
    expect(reply.body.message).toBe("Invalid model version source: 'dummy-source'.");
  });
});

describe('MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH', () => {
  it('is the longest artifact location', async () => {
    await matching.post('experiments/create', { name: freshName(), artifact_location: `s3://bucket/${'x'.repeat(8)}` }).expect(200);
    const reply = await matching.post('experiments/create', { name: freshName(), artifact_location: `s3://bucket/${'x'.repeat(9)}` });
    expect(reply.body.message).toBe(
      'Invalid artifact path length. The length of the artifact path cannot be greater than 20 characters. To configure this limit, please set the' +
        ' MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH environment variable.',
    );
  });
});

describe("a regular expression of Python's", () => {
  it.each([
    ['^s3://', 's3://x', 'as3://x'],
    ['bucket/', 's3://bucket/x', 's3://bucketx'],
    ['^s3:\\/\\/my\\-bucket\\/', 's3://my-bucket/', 's3://mybucket/'],
    ['\\As3\\Z', 's3', 's3\n'],
    ['^(?P<c>.)(?P=c)$', 'aa', 'ab'],
    ['(?is)^A.b$', 'a\nB', 'a\nc'],
    ['^[^/\\]\\-]+$', 'a', 'a-'],
    ['^.$', '\u{1f600}', 'ab'],
  ])('%s is found in %j and not in %j', (text, yes, no) => {
    expect([yes, no].map((sample) => foundIn(sample, pythonPattern(text)))).toEqual([true, false]);
  });

  it.each(['(', '(?x) a', '\\N{DASH}', '(?P>x)', 'a++', '(?>a)'])('%s is refused', (text) => {
    expect(() => pythonPattern(text)).toThrow(SyntaxError);
  });

  it('that goes on and on finds nothing', () => {
    const began = performance.now();
    expect(foundIn(`${'a'.repeat(60)}!`, pythonPattern('^(a+)+$'))).toBe(false);
    expect(performance.now() - began).toBeLessThan(1000);
  });
});
