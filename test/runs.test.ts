import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();

type Answer = { run: { info: Record<string, unknown> & { run_id: string }; data: Record<string, unknown> } };

async function createRun(body: Record<string, unknown> = {}): Promise<Answer['run']> {
  const reply = await server.post('runs/create', { experiment_id: '0', ...body });
  expect(reply.status, reply.text).toBe(200);
  return reply.body.run;
}

const getRun = async (runId: string) => (await server.get('runs/get', { run_id: runId })).body.run;

describe('runs/create', () => {
  it('answers the run as the stock server does', async () => {
    const run = await createRun({ run_name: 'one', user_id: 'ada', start_time: 1700000000000, tags: [{ key: 'a%b', value: '1' }] });
    const { run_id: id } = run.info;
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(run).toEqual({
      info: {
        run_id: id,
        run_uuid: id,
        run_name: 'one',
        experiment_id: '0',
        user_id: 'ada',
        status: 'RUNNING',
        start_time: 1700000000000,
        artifact_uri: `mlflow-artifacts:/0/${id}/artifacts`,
        lifecycle_stage: 'active',
      },
      data: {
        tags: [
          { key: 'a%b', value: '1' },
          { key: 'mlflow.runName', value: 'one' },
        ],
      },
      inputs: {},
    });
    expect(await getRun(id)).toEqual({ ...run, outputs: {} });
  });

  it('makes up a name, which the tag repeats, and starts at 0 when no time is given', async () => {
    const { info, data } = await createRun();
    expect(info.run_name).toMatch(/^[a-z]+-[a-z]+-\d+$|^.{20}$/);
    expect(info).toMatchObject({ start_time: 0, user_id: '' });
    expect(data.tags).toEqual([{ key: 'mlflow.runName', value: info.run_name }]);
  });

  it('takes the name from the tag, and refuses two different ones', async () => {
    const tags = [{ key: 'mlflow.runName', value: 'tagged' }];
    expect((await createRun({ tags })).info.run_name).toBe('tagged');
    const reply = await server.post('runs/create', { experiment_id: '0', run_name: 'other', tags });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toContain("(run_name='other', mlflow.runName='tagged')");
  });

  it('puts the artifacts below the experiment, in front of a query', async () => {
    const { body } = await server.post('experiments/create', { name: 'far away', artifact_location: 's3://bucket/p/?region=eu' });
    const { info } = await createRun({ experiment_id: body.experiment_id });
    expect(info.artifact_uri).toBe(`s3://bucket/p/${info.run_id}/artifacts?region=eu`);
  });

  it('writes the scheme of the artifacts in lower case', async () => {
    const { body } = await server.post('experiments/create', { name: 'loud', artifact_location: 'S3://Bucket/P' });
    const { info } = await createRun({ experiment_id: body.experiment_id });
    expect(info.artifact_uri).toBe(`s3://Bucket/P/${info.run_id}/artifacts`);
  });

  it('makes sixteen runs of sixteen requests at once', async () => {
    const runs = await Promise.all(Array.from({ length: 16 }, (_, i) => createRun({ run_name: `at once ${i}` })));
    expect(new Set(runs.map((run) => run.info.run_id)).size).toBe(16);
  });
});

describe('runs/update', () => {
  it('changes status, end time and name; a name goes into the tag too', async () => {
    const { info } = await createRun({ run_name: 'before' });
    const change = { run_uuid: info.run_id, status: 3, end_time: '1700000005000', run_name: 'after' };
    const reply = await server.post('runs/update', change);
    expect(reply.body.run_info).toEqual({ ...info, run_name: 'after', status: 'FINISHED', end_time: 1700000005000 });
    expect((await getRun(info.run_id)).data.tags).toEqual([{ key: 'mlflow.runName', value: 'after' }]);
  });

  it('changes nothing that is not given', async () => {
    const { info } = await createRun({ run_name: 'same' });
    await server.post('runs/update', { run_id: info.run_id, status: 'KILLED', end_time: 5 });
    const reply = await server.post('runs/update', { run_id: info.run_id, run_name: '' });
    expect(reply.body.run_info).toMatchObject({ run_name: 'same', status: 'KILLED', end_time: 5 });
  });
});

describe('runs/set-tag and delete-tag', () => {
  it('sets, changes and deletes', async () => {
    const { info } = await createRun({ run_name: 'n' });
    const id = info.run_id;
    await server.post('runs/set-tag', { run_id: id, key: 'k', value: 'a' });
    await server.post('runs/set-tag', { run_uuid: id, key: 'k', value: 'é'.repeat(8001) });
    expect((await getRun(id)).data.tags[0]).toEqual({ key: 'k', value: 'é'.repeat(8000) });
    expect((await server.post('runs/delete-tag', { run_id: id, key: 'k' })).body).toEqual({});
    const again = await server.post('runs/delete-tag', { run_id: id, key: 'k' });
    expect([again.status, again.body.message]).toEqual([404, `No tag with name: k in run with id ${id}`]);
  });

  it('renames the run by its name tag', async () => {
    const { info } = await createRun({ run_name: 'n' });
    await server.post('runs/set-tag', { run_id: info.run_id, key: 'mlflow.runName', value: 'by tag' });
    await server.post('runs/set-tag', { run_id: info.run_id, key: 'mlflow.runName', value: '' });
    expect((await getRun(info.run_id)).info.run_name).toBe('by tag');
  });
});

describe('runs/delete and restore', () => {
  it('refuses every write to a deleted run, and takes them again when it is back', async () => {
    const { info } = await createRun();
    const id = info.run_id;
    expect((await server.post('runs/delete', { run_id: id })).body).toEqual({});
    expect((await server.post('runs/delete', { run_id: id })).status).toBe(200);
    const model = JSON.stringify({ artifact_path: 'm', flavors: {}, utc_time_created: '', run_id: id });
    const writes: [string, Record<string, unknown>][] = [
      ['runs/update', { status: 'FAILED' }],
      ['runs/log-metric', { key: 'm', value: 1, timestamp: 1 }],
      ['runs/log-parameter', { key: 'p', value: '1' }],
      ['runs/set-tag', { key: 't', value: '1' }],
      ['runs/delete-tag', { key: 't' }],
      ['runs/log-batch', {}],
      ['runs/log-inputs', {}],
      ['runs/outputs', { models: [] }],
      ['runs/log-model', { model_json: model }],
    ];
    for (const [path, body] of writes) {
      const reply = await server.post(path, { run_id: id, ...body });
      expect([path, reply.status, reply.body.message]).toEqual([
        path,
        400,
        `The run ${id} must be in the 'active' state. Current state is deleted.`,
      ]);
    }
    expect((await getRun(id)).info.lifecycle_stage).toBe('deleted');
    expect((await server.post('runs/restore', { run_id: id })).body).toEqual({});
    expect((await server.post('runs/log-parameter', { run_id: id, key: 'p', value: '1' })).status).toBe(200);
  });
});

describe('inputs and outputs', () => {
  const iris = { name: 'iris', digest: 'd1', source_type: 'local', source: '{"uri": "x"}' };

  it('keeps data sets, models used and models made', async () => {
    const { info } = await createRun();
    const id = info.run_id;
    const tags = [{ key: 'mlflow.data.context', value: 'training' }];
    await server.post('runs/log-inputs', {
      run_id: id,
      datasets: [
        { tags, dataset: { ...iris, schema: '{}', profile: '[]' } },
        { dataset: { ...iris, digest: 'd2', sourceType: undefined } },
      ],
      models: [{ model_id: 'm-1' }],
    });
    await server.post('runs/log-inputs', {
      run_id: id,
      datasets: [{ dataset: { ...iris, schema: 'other' } }],
      models: [{ model_id: 'm-1' }],
    });
    await server.post('runs/outputs', { run_id: id, models: [{ model_id: 'm-2', step: 3 }, { model_id: 'm-3' }] });
    expect((await server.post('runs/outputs', { run_id: id, models: [{ model_id: 'm-2', step: 4 }] })).status).toBe(200);
    const { inputs, outputs } = await getRun(id);
    expect(inputs).toEqual({
      dataset_inputs: [{ tags, dataset: { ...iris, schema: '{}', profile: '[]' } }, { dataset: { ...iris, digest: 'd2' } }],
      model_inputs: [{ model_id: 'm-1' }],
    });
    expect(outputs).toEqual({
      model_outputs: [
        { model_id: 'm-3', step: 0 },
        { model_id: 'm-2', step: 4 },
      ],
    });
  });

  it('lists the data sets of an experiment once for each context', async () => {
    const { experiment_id: experimentId } = (await server.post('experiments/create', { name: 'data' })).body;
    const runs = await Promise.all([1, 2, 3].map(() => createRun({ experiment_id: experimentId })));
    const datasets = ['b', 'a'].map((name) => ({ tags: [{ key: 'mlflow.data.context', value: 'eval' }], dataset: { ...iris, name } }));
    const logged = await Promise.all(runs.map(({ info }) => server.post('runs/log-inputs', { run_id: info.run_id, datasets })));
    expect(logged.map((reply) => reply.status)).toEqual([200, 200, 200]);
    const { body } = await server.post('/ajax-api/2.0/mlflow/experiments/search-datasets', { experiment_ids: [experimentId] });
    const summary = { experiment_id: experimentId, digest: 'd1', context: 'eval' };
    expect(body).toEqual({
      dataset_summaries: [
        { ...summary, name: 'a' },
        { ...summary, name: 'b' },
      ],
    });
  });

  it('says which text of a data set is too long', async () => {
    const { info } = await createRun();
    for (const [field, length] of Object.entries({ name: 501, digest: 37, source: 65_536, schema: 1_048_576 })) {
      const datasets = [{ dataset: { ...iris, [field]: 'x'.repeat(length) } }];
      const reply = await server.post('runs/log-inputs', { run_id: info.run_id, datasets });
      expect([reply.status, reply.body.message]).toEqual([400, `'${field}' exceeds the maximum length of ${length - 1} characters`]);
    }
  });
});

describe('runs/log-model', () => {
  it('adds to the history tag, also when two come at once', async () => {
    const { info } = await createRun();
    const flavors = { python_function: { config: { secret: 1 }, env: 'conda.yaml' } };
    const model = { artifact_path: 'model', flavors, utc_time_created: '2020', run_id: info.run_id, signature: {} };
    const json = (path: string) => JSON.stringify({ ...model, artifact_path: path });
    await Promise.all(['a', 'b', 'c'].map((path) => server.post('runs/log-model', { run_id: info.run_id, model_json: json(path) })));
    const { data } = await getRun(info.run_id);
    const history = JSON.parse(data.tags.find((tag: { key: string }) => tag.key === 'mlflow.log-model.history').value);
    expect(history.map((entry: { artifact_path: string }) => entry.artifact_path).toSorted()).toEqual(['a', 'b', 'c']);
    expect(history[0]).toMatchObject({ model_uuid: null, flavors: { python_function: { env: 'conda.yaml' } } });
    expect(history[0].flavors.python_function.config).toBeUndefined();
  });

  it('writes the history as Python does', async () => {
    const { info } = await createRun();
    const model = { artifact_path: 'é', flavors: { a: [1, 'x'] }, utc_time_created: '2020', run_id: 'r' };
    await server.post('runs/log-model', { run_id: info.run_id, model_json: JSON.stringify(model) });
    const { data } = await getRun(info.run_id);
    expect(data.tags.find((tag: { key: string }) => tag.key === 'mlflow.log-model.history').value).toBe(
      '[{"run_id": "r", "artifact_path": "\\u00e9", "utc_time_created": "2020", "model_uuid": null, "flavors": {"a": [1, "x"]}}]',
    );
  });
});

describe('what a run cannot be asked', () => {
  it.each([
    ['runs/create', {}, 400, "Missing value for required parameter 'experiment_id'."],
    ['runs/create', { experiment_id: 'x' }, 400, "Invalid experiment ID 'x'."],
    ['runs/create', { experiment_id: '12345' }, 404, 'No Experiment with id=12345 exists'],
    ['runs/create', { experiment_id: '0', start_time: 1.5 }, 400, "Invalid value 1.5 for parameter 'start_time' supplied:"],
    ['runs/create', { experiment_id: '0', tags: [{ key: 'k', value: 5 }] }, 400, "Invalid value 5 for parameter 'tags[0].value' supplied:"],
    ['runs/update', { run_id: 'nope' }, 404, 'Run with id=nope not found'],
    ['runs/update', {}, 400, "Missing value for required parameter 'run_id'."],
    ['runs/update', { run_id: 'x', status: 'NOPE' }, 400, 'Invalid value "NOPE" for parameter \'status\' supplied:'],
    ['runs/update', { run_id: 'x', status: 99 }, 400, "Invalid value 99 for parameter 'status' supplied:"],
    ['runs/delete', { run_id: 'nope' }, 404, 'Run with id=nope not found'],
    ['runs/restore', {}, 400, "Missing value for required parameter 'run_id'."],
    ['runs/set-tag', {}, 400, "Missing value for required parameter 'run_id'."],
    ['runs/log-metric', { run_uuid: '', key: 'm' }, 400, "Missing value for required parameter 'run_id'."],
    ['runs/set-tag', { run_id: 'x', value: 'v' }, 400, "Missing value for required parameter 'key'."],
    ['runs/set-tag', { run_id: 'x', key: '../x', value: 'v' }, 400, 'Names may be treated as files'],
    ['runs/log-inputs', { run_id: 'a b' }, 400, 'Invalid value "a b" for parameter \'run_id\' supplied.'],
    ['runs/log-inputs', { run_id: 'x', datasets: 'all' }, 400, 'Invalid value "all" for parameter \'datasets\' supplied:'],
    ['runs/outputs', { run_id: 'x' }, 400, "Missing value for required parameter 'models'."],
    ['runs/log-model', { run_id: 'x', model_json: 'no' }, 400, 'is not a valid JSON'],
    ['runs/log-model', { run_id: 'x', model_json: '[]' }, 400, 'It must be a JSON object.'],
    ['runs/log-model', { run_id: 'x', model_json: '{"flavors": {}}' }, 400, "Model json is missing mandatory fields: {'artifact_path'"],
  ])('%s %j', async (path, body, status, message) => {
    const reply = await server.post(path, body);
    expect(reply.status).toBe(status);
    expect(reply.body.error_code).toBe(status === 404 ? 'RESOURCE_DOES_NOT_EXIST' : 'INVALID_PARAMETER_VALUE');
    expect(reply.body.message).toContain(message);
  });
});

describe('a run of another scope', () => {
  it('is not found by any call', async () => {
    await server.db.query("insert into scopes (kind, name) values ('workspace', 'team-b')");
    const there = (path: string, body: Record<string, unknown>) => server.post(path, body).set('X-MLFLOW-WORKSPACE', 'team-b');
    const { experiment_id: experimentId } = (await there('experiments/create', { name: 'theirs' })).body;
    const { info } = (await there('runs/create', { experiment_id: experimentId })).body.run;
    await there('runs/log-metric', { run_id: info.run_id, key: 'm', value: 1, timestamp: 1 });
    for (const [path, body] of [
      ['runs/update', { status: 'FAILED' }],
      ['runs/delete', {}],
      ['runs/restore', {}],
      ['runs/log-batch', {}],
      ['runs/log-inputs', {}],
      ['runs/delete-tag', { key: 'k' }],
    ] as const) {
      const reply = await server.post(path, { run_id: info.run_id, ...body });
      expect([path, reply.status, reply.body.message]).toEqual([path, 404, `Run with id=${info.run_id} not found`]);
    }
    expect((await server.get('runs/get', { run_id: info.run_id })).status).toBe(404);
    expect((await server.get('metrics/get-history', { run_id: info.run_id, metric_key: 'm' })).body).toEqual({});
    expect((await server.post('runs/search', { experiment_ids: [experimentId] })).body).toEqual({});
    expect((await there('runs/search', { experiment_ids: [experimentId] })).body.runs).toHaveLength(1);
  });
});
