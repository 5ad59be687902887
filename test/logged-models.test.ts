import { describe, expect, it } from 'vitest';
import { findLoggedModel, recordModelVersionTag } from '../src/tracking/logged-models/store.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
await server.db.query(`insert into scopes (kind, name) values ('workspace', 'elsewhere')`);

type Body = Record<string, unknown>;
type Metric = { key: string; value: number | 'NaN'; step?: number; dataset?: string; digest?: string };

const DEFAULT_SCOPE = 1;
const NO_MODEL = `m-${'0'.repeat(32)}`;

const create = (body: Body = {}) => server.post('logged-models', { experiment_id: '0', ...body });
const get = (modelId: string, query: Record<string, boolean> = {}) => server.get(`logged-models/${modelId}`, query);
const search = (body: Body) => server.post('logged-models/search', body);
const seedExperiment = async (): Promise<string> =>
  (await server.post('experiments/create', { name: freshName('experiment') }).expect(200)).body.experiment_id;
const seedModelId = async (body: Body = {}): Promise<string> => (await create(body).expect(200)).body.model.info.model_id;
const seedRunId = async (): Promise<string> => (await server.post('runs/create', { experiment_id: '0' }).expect(200)).body.run.info.run_id;

async function logMetrics(modelId: string, metrics: Metric[]): Promise<string> {
  const runId = await seedRunId();
  await server
    .post('runs/log-batch', {
      run_id: runId,
      metrics: metrics.map(({ key, value, step = 0, dataset = '', digest = '' }) => ({
        key,
        value,
        step,
        timestamp: 1000 + step,
        model_id: modelId,
        dataset_name: dataset,
        dataset_digest: digest,
      })),
    })
    .expect(200);
  return runId;
}

/** The names of the models of an experiment that a search finds. */
async function found(experimentId: string, body: Body): Promise<string[]> {
  const reply = await search({ experiment_ids: [experimentId], ...body }).expect(200);
  return (reply.body.models ?? []).map((model: { info: { name: string } }) => model.info.name);
}

describe('logged-models create', () => {
  it('answers a pending model with the empty fields the stock server shows', async () => {
    const { model } = (await create({ name: 'classifier' }).expect(200)).body;
    const { model_id: id, creation_timestamp_ms: created } = model.info;
    expect(id).toMatch(/^m-[0-9a-f]{32}$/);
    expect(created).toBeGreaterThan(Date.now() - 60_000);
    expect(model).toEqual({
      info: {
        model_id: id,
        experiment_id: '0',
        name: 'classifier',
        creation_timestamp_ms: created,
        last_updated_timestamp_ms: created,
        artifact_uri: `mlflow-artifacts:/0/models/${id}/artifacts`,
        status: 'LOGGED_MODEL_PENDING',
        model_type: '',
        source_run_id: '',
      },
      data: {},
    });
  });

  it('keeps type, run, params and tags', async () => {
    const pairs = [
      { key: 'a b%', value: '1' },
      { key: 'z/y', value: '' },
    ];
    const id = await seedModelId({ name: 'm', model_type: 'Agent', source_run_id: 'r1', params: pairs, tags: pairs.toReversed() });
    const { info, data } = (await get(id)).body.model;
    expect(info).toMatchObject({ model_type: 'Agent', source_run_id: 'r1', tags: pairs });
    expect(data).toEqual({ params: pairs });
  });

  it('makes up a name of adjective, noun and number when there is none', async () => {
    for (const body of [{}, { name: '' }]) {
      expect((await create(body)).body.model.info.name).toMatch(/^[a-z]+-[a-z]+-\d*$/);
    }
  });

  it('puts the artifacts below the location of the experiment, before its query string', async () => {
    const { body } = await server.post('experiments/create', { name: freshName(), artifact_location: 's3://bucket/root/?region=eu' });
    const { info } = (await create({ experiment_id: body.experiment_id })).body.model;
    expect(info.artifact_uri).toBe(`s3://bucket/root/models/${info.model_id}/artifacts?region=eu`);
  });

  it('refuses an experiment that is unknown or deleted', async () => {
    const experimentId = await seedExperiment();
    await server.post('experiments/delete', { experiment_id: experimentId }).expect(200);
    const deleted = await create({ experiment_id: experimentId });
    expect([deleted.status, deleted.body.message]).toEqual([
      400,
      `The experiment ${experimentId} must be in the 'active' state. Current state is deleted.`,
    ]);
    const unknown = await create({ experiment_id: '999999' });
    expect([unknown.status, unknown.body.message]).toEqual([404, 'No Experiment with id=999999 exists']);
  });
});

describe('logged-models get', () => {
  it('shows every metric with its run and data set, and NaN as text', async () => {
    const id = await seedModelId();
    const runId = await logMetrics(id, [
      { key: 'loss', value: 'NaN' },
      { key: 'acc', value: 0.9, step: 2, dataset: 'iris', digest: 'd1' },
      { key: 'acc', value: 0.5, step: 1 },
    ]);
    const of = { model_id: id, run_id: runId };
    expect((await get(id)).body.model.data.metrics).toEqual([
      { key: 'acc', value: 0.5, timestamp: 1001, step: 1, ...of },
      { key: 'acc', value: 0.9, timestamp: 1002, step: 2, dataset_name: 'iris', dataset_digest: 'd1', ...of },
      { key: 'loss', value: 'NaN', timestamp: 1000, step: 0, ...of },
    ]);
  });

  it('finds a deleted model only when told so', async () => {
    const id = await seedModelId();
    await server.delete(`logged-models/${id}`).expect(200, {});
    await server.delete(`logged-models/${id}`).expect(200, {});
    const reply = await get(id);
    expect([reply.status, reply.body.message]).toEqual([404, `Logged model with ID '${id}' not found.`]);
    expect((await get(id, { allow_deleted: true }).expect(200)).body.model.info.model_id).toBe(id);
  });
});

describe('logged-models finalize', () => {
  it.each([
    [2, 'LOGGED_MODEL_READY'],
    ['LOGGED_MODEL_UPLOAD_FAILED', 'LOGGED_MODEL_UPLOAD_FAILED'],
    [0, 'LOGGED_MODEL_STATUS_UNSPECIFIED'],
  ])('takes status %s, by number or name, and touches the model', async (status, shown) => {
    const id = await seedModelId();
    await server.db.query('update logged_models set last_updated_timestamp_ms = 5 where model_id = $1', [id]);
    const { info } = (await server.patch(`logged-models/${id}`, { model_id: id, status }).expect(200)).body.model;
    expect(info.status).toBe(shown);
    expect(info.last_updated_timestamp_ms).toBeGreaterThan(5);
  });
});

describe('logged-models params', () => {
  it('are added, and may be sent again with the same value', async () => {
    const id = await seedModelId({ params: [{ key: 'lr', value: '1' }] });
    const body = {
      model_id: id,
      params: [
        { key: 'lr', value: '1' },
        { key: 'depth', value: '3' },
      ],
    };
    await server.post(`logged-models/${id}/params`, body).expect(200, {});
    await server.post(`logged-models/${id}/params`, body).expect(200, {});
    expect((await get(id)).body.model.data.params).toEqual(body.params.toReversed());
  });

  it('keep their values: a call with a changed one does nothing', async () => {
    const id = await seedModelId({ params: [{ key: 'lr', value: '1' }] });
    const params = [
      { key: 'depth', value: '3' },
      { key: 'lr', value: '2' },
    ];
    const reply = await server.post(`logged-models/${id}/params`, { params });
    expect(reply.status).toBe(400);
    expect(reply.body.message).toBe(
      `Changing param values is not allowed. Param with key='lr' was already logged with value='1' for model ID='${id}'. Attempted logging new value '2'.`,
    );
    expect((await get(id)).body.model.data.params).toEqual([{ key: 'lr', value: '1' }]);
  });

  it('get one value when twenty write at once', async () => {
    const id = await seedModelId();
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) => server.post(`logged-models/${id}/params`, { params: [{ key: 'seed', value: String(i) }] })),
    );
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(replies.filter(({ status }) => status === 400)).toHaveLength(19);
  });
});

describe('logged-models tags', () => {
  it('are set and replaced, the last of a repeated key, without touching the model', async () => {
    const id = await seedModelId({ tags: [{ key: 'team', value: 'a' }] });
    const before = (await get(id)).body.model.info.last_updated_timestamp_ms;
    const tags = [{ key: 'team', value: 'b' }, { key: 'x', value: '1' }, { key: 'team', value: 'c' }, { key: 'empty' }];
    await server.patch(`logged-models/${id}/tags`, { tags }).expect(200, {});
    const { info } = (await get(id)).body.model;
    expect(info.last_updated_timestamp_ms).toBe(before);
    expect(info.tags).toEqual([
      { key: 'empty', value: '' },
      { key: 'team', value: 'c' },
      { key: 'x', value: '1' },
    ]);
  });

  it.each(['plain', 'a/b', 'a b%', 'ü:'])('named %j can be deleted', async (key) => {
    const id = await seedModelId({ tags: [{ key, value: '1' }] });
    const path = `logged-models/${id}/tags/${key.split('/').map(encodeURIComponent).join('/')}`;
    await server.delete(path).expect(200, {});
    const again = await server.delete(path);
    expect([again.status, again.body.message]).toEqual([404, `No tag with key '${key}' found for model with ID '${id}'.`]);
  });

  it('never deadlock, whatever the order of the keys', async () => {
    const id = await seedModelId();
    const keys = Array.from({ length: 30 }, (_, i) => ({ key: `k${i}`, value: 'v' }));
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) => server.patch(`logged-models/${id}/tags`, { tags: i % 2 ? keys : keys.toReversed() })),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(200));
  });
});

describe('a logged model of another workspace', () => {
  it('is not found by anybody here, and neither is its experiment', async () => {
    const theirs = { 'X-MLFLOW-WORKSPACE': 'elsewhere' };
    const { experiment_id } = (await server.post('experiments/create', { name: 'theirs' }).set(theirs).expect(200)).body;
    const id = (await server.post('logged-models', { experiment_id, name: 'm' }).set(theirs).expect(200)).body.model.info.model_id;
    await server.get(`logged-models/${id}`).set(theirs).expect(200);
    const replies = await Promise.all([
      get(id),
      server.patch(`logged-models/${id}`, { status: 2 }),
      server.delete(`logged-models/${id}`),
      server.post(`logged-models/${id}/params`, { params: [{ key: 'a', value: '1' }] }),
      server.patch(`logged-models/${id}/tags`, { tags: [{ key: 'a', value: '1' }] }),
      server.delete(`logged-models/${id}/tags/a`),
      server.get(`logged-models/${id}/artifacts/directories`),
      create({ experiment_id }),
    ]);
    expect(replies.map(({ status }) => status)).toEqual(Array(8).fill(404));
    expect(await found(experiment_id, {})).toEqual([]);
    expect(await findLoggedModel(server.db, DEFAULT_SCOPE, id)).toBeNull();
    expect((await server.get(`logged-models/${id}`).set(theirs)).body.model.info.status).toBe('LOGGED_MODEL_PENDING');
  });
});

describe('logged-models artifacts', () => {
  const put = (path: string) =>
    fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}`, { method: 'PUT', body: 'flavors: {}' }).then(({ status }) => status);

  it('are listed folder by folder and read one by one', async () => {
    const id = await seedModelId();
    const root = `0/models/${id}/artifacts`;
    expect([await put(`${root}/MLmodel`), await put(`${root}/data/model.pkl`)]).toEqual([200, 200]);
    const list = async (query: Record<string, string>) =>
      (await server.get(`logged-models/${id}/artifacts/directories`, query).expect(200)).body;
    expect(await list({})).toEqual({
      root_uri: `mlflow-artifacts:/${root}`,
      files: [
        { path: 'MLmodel', is_dir: false, file_size: 11 },
        { path: 'data', is_dir: true },
      ],
    });
    expect((await list({ artifact_directory_path: 'data' })).files).toEqual([{ path: 'data/model.pkl', is_dir: false, file_size: 11 }]);
    expect(await list({ artifact_directory_path: 'nope' })).toEqual({ root_uri: `mlflow-artifacts:/${root}` });
    const file = await fetch(`${server.url}/ajax-api/2.0/mlflow/logged-models/${id}/artifacts/files?artifact_file_path=MLmodel`);
    expect(await file.text()).toBe('flavors: {}');
  });

  it('cannot be reached outside the model, or when it is deleted', async () => {
    const id = await seedModelId();
    const directories = `logged-models/${id}/artifacts/directories`;
    await server.get(directories, { artifact_directory_path: '../..' }).expect(400);
    await server.get(`/ajax-api/2.0/mlflow/logged-models/${id}/artifacts/files`, { artifact_file_path: '../x' }).expect(400);
    await server.get(`/ajax-api/2.0/mlflow/logged-models/${id}/artifacts/files`).expect(400);
    await server.delete(`logged-models/${id}`).expect(200);
    await server.get(directories).expect(404);
  });
});

describe('logged-models search', () => {
  it('answers {} for no models, and the newest first for some', async () => {
    const experimentId = await seedExperiment();
    expect((await search({ experiment_ids: [experimentId] })).body).toEqual({});
    for (const name of ['one', 'two', 'three']) await seedModelId({ experiment_id: experimentId, name });
    await server.delete(`logged-models/${await seedModelId({ experiment_id: experimentId, name: 'gone' })}`).expect(200);
    expect(await found(experimentId, {})).toEqual(['three', 'two', 'one']);
  });

  it.each([
    ["name = 'a' OR name = 'b'", "Invalid filter string: \"name = 'a' OR name = 'b'\". Expected a list of comparisons separated by 'AND'"],
    ["name = 'a'; name = 'b'", "Invalid filter string: \"name = 'a'; name = 'b'\". Expected a single SQL expression."],
    [' ', "Invalid filter string: ' '. Expected a single SQL expression."],
  ])('names the whole filter when it cannot be read: %s', async (filter, sentence) => {
    const reply = await search({ experiment_ids: ['0'], filter });
    expect([reply.status, reply.body.message.slice(0, sentence.length)]).toEqual([400, sentence]);
  });

  it('has an error class of its own for a field there is not to order by', async () => {
    const reply = await search({ experiment_ids: ['0'], order_by: [{ field_name: 'nope' }] });
    expect(reply.body).toEqual({
      error_code: 'INVALID_PARAMETER_VALUE',
      message: 'Invalid order by field name: nope',
      sqlstate: 'KAM04',
      error_class: 'ATTRIBUTE_NOT_FOUND',
    });
  });

  it('tells a list of texts whole when an item is none', async () => {
    expect((await search({ experiment_ids: [5] })).body.message).toContain("Invalid value [5] for parameter 'experiment_ids' supplied");
  });

  it('finds by attributes, params, tags and metrics', async () => {
    const experimentId = await seedExperiment();
    const seed = (name: string, body: Body) => seedModelId({ experiment_id: experimentId, name, ...body });
    const one = await seed('one', { params: [{ key: 'lr', value: '0.01' }], tags: [{ key: 'a b', value: 'x' }], model_type: 'Agent' });
    await seed('two', { params: [{ key: 'lr', value: '0.1' }], source_run_id: 'r2' });
    await logMetrics(one, [
      { key: 'acc', value: 0.5 },
      { key: 'acc', value: 0.9, step: 1 },
      { key: 'odd', value: 'NaN' },
    ]);
    await server.patch(`logged-models/${one}`, { status: 2 }).expect(200);
    const cases: [string, string[]][] = [
      [`name = 'one'`, ['one']],
      [`name ILIKE 'T%' AND attributes.model_type != 'Agent'`, ['two']],
      [`name IN ('one', 'nobody')`, ['one']],
      [`name NOT IN ('one')`, ['two']],
      [`params.lr = 0.01`, ['one']],
      [`params.lr != '0.01'`, ['two']],
      [`params.depth != '1'`, []],
      ["tags.`a b` = 'x'", ['one']],
      ['metrics.acc > 0.6 and metrics.acc < 0.6', ['one']],
      ['metrics.acc > 1', []],
      ['metrics.odd = 0', []],
      [`model_id = '${one}'`, ['one']],
      [`experiment_id = '${experimentId}'`, ['two', 'one']],
      [`source_run_id = 'r2'`, ['two']],
      [`artifact_location LIKE '%/models/%'`, ['two', 'one']],
      ['creation_time > 1.5', ['two', 'one']],
      ['attributes.last_updated_timestamp < 5', []],
      ['status = 2', ['one']],
      [`status != 'READY'`, ['two']],
      [`status IN ('LOGGED_MODEL_PENDING', '3')`, ['two']],
    ];
    for (const [filter, names] of cases) expect([filter, await found(experimentId, { filter })]).toEqual([filter, names]);
  });

  it('looks only at metrics of the data sets it is given', async () => {
    const experimentId = await seedExperiment();
    const one = await seedModelId({ experiment_id: experimentId, name: 'one' });
    const two = await seedModelId({ experiment_id: experimentId, name: 'two' });
    await seedModelId({ experiment_id: experimentId, name: 'three' });
    await logMetrics(one, [
      { key: 'acc', value: 0.5, dataset: 'train', digest: 'd1' },
      { key: 'acc', value: 0.9, step: 1, dataset: 'test', digest: 'd2' },
    ]);
    await logMetrics(two, [{ key: 'acc', value: 0.8, dataset: 'train', digest: 'd9' }]);
    const train = { dataset_name: 'train' };
    expect(await found(experimentId, { datasets: [train] })).toEqual(['two', 'one']);
    expect(await found(experimentId, { datasets: [{ ...train, dataset_digest: 'd1' }] })).toEqual(['one']);
    expect(await found(experimentId, { datasets: [train], filter: 'metrics.acc > 0.7' })).toEqual(['two']);
    expect(await found(experimentId, { datasets: [train, { dataset_name: 'test' }], filter: 'metrics.acc > 0.85' })).toEqual(['one']);
    const best = { field_name: 'metrics.acc', ascending: false };
    expect(await found(experimentId, { order_by: [best] })).toEqual(['one', 'two', 'three']);
    expect(await found(experimentId, { order_by: [{ ...best, ...train }] })).toEqual(['two', 'one', 'three']);
  });

  it('sorts by attributes, upwards unless told otherwise', async () => {
    const experimentId = await seedExperiment();
    const ids = [];
    for (const name of ['b', 'c', 'a']) ids.push(await seedModelId({ experiment_id: experimentId, name }));
    await server.patch(`logged-models/${ids[0]}`, { status: 3 }).expect(200);
    const by = (...order_by: Body[]) => found(experimentId, { order_by });
    expect(await by({ field_name: 'name' })).toEqual(['a', 'b', 'c']);
    expect(await by({ field_name: 'name', ascending: false })).toEqual(['c', 'b', 'a']);
    expect(await by({ field_name: 'creation_time' })).toEqual(['b', 'c', 'a']);
    expect(await by({ field_name: 'status', ascending: false })).toEqual(['b', 'a', 'c']);
    expect(await by({ field_name: 'status_message' }, { field_name: 'name', ascending: true })).toEqual(['a', 'b', 'c']);
  });

  it('sorts by the latest value of a metric; NaN and none come last either way', async () => {
    const experimentId = await seedExperiment();
    const values: Record<string, Metric[]> = {
      low: [
        { key: 'acc', value: 9 },
        { key: 'acc', value: 1, step: 5 },
      ],
      nan: [{ key: 'acc', value: 'NaN' }],
      none: [],
      high: [{ key: 'acc', value: 2 }],
    };
    for (const [name, metrics] of Object.entries(values))
      await logMetrics(await seedModelId({ experiment_id: experimentId, name }), metrics);
    const by = (ascending: boolean) => found(experimentId, { order_by: [{ field_name: 'metrics.acc', ascending }] });
    expect(await by(true)).toEqual(['low', 'high', 'nan', 'none']);
    expect(await by(false)).toEqual(['high', 'low', 'nan', 'none']);
  });

  it.each([
    [[]],
    [[{ field_name: 'metrics.acc', ascending: false }]],
    [[{ field_name: 'status_message' }, { field_name: 'experiment_id' }]],
  ])('visits every model once over pages, sorted by %j', async (orderBy) => {
    const experiments = [await seedExperiment(), await seedExperiment()];
    const ids = [];
    for (let i = 0; i < 11; i++) {
      const id = await seedModelId({ experiment_id: experiments[i % 2] });
      if (i % 3 > 0) await logMetrics(id, [{ key: 'acc', value: i % 3 === 1 ? 'NaN' : 0.1 + 0.2 * (i % 4) }]);
      ids.push(id);
    }
    const seen: string[] = [];
    let page_token: string | undefined;
    do {
      const { body } = await search({ experiment_ids: experiments, order_by: orderBy, max_results: 2, page_token }).expect(200);
      expect(body.models.length).toBeLessThanOrEqual(2);
      seen.push(...body.models.map((model: { info: { model_id: string } }) => model.info.model_id));
      page_token = body.next_page_token;
    } while (page_token);
    expect(seen).toHaveLength(11);
    expect(new Set(seen)).toEqual(new Set(ids));
  });

  it('gives 50 models unless told otherwise', async () => {
    const experimentId = await seedExperiment();
    await server.db.query(
      `insert into logged_models (model_id, experiment_id, name, artifact_uri, status)
       select 'm-page-' || i, $1, 'm' || i, 'mlflow-artifacts:/x', 'LOGGED_MODEL_READY' from generate_series(1, 51) i`,
      [experimentId],
    );
    const { body } = await search({ experiment_ids: [experimentId] }).expect(200);
    expect([body.models.length, typeof body.next_page_token]).toEqual([50, 'string']);
    expect((await search({ experiment_ids: [experimentId], max_results: 51 })).body.next_page_token).toBeUndefined();
  });

  it('answers a filter of hundreds of clauses without delay', async () => {
    const filter = Array.from({ length: 300 }, (_, i) => `metrics.m${i} > 0`).join(' AND ');
    await search({ experiment_ids: ['0'], filter })
      .timeout(10_000)
      .expect(200, {});
  });

  it('refuses a page token of another search', async () => {
    const experimentId = await seedExperiment();
    for (const name of ['a', 'b']) await seedModelId({ experiment_id: experimentId, name });
    const { next_page_token: page_token } = (await search({ experiment_ids: [experimentId], max_results: 1 })).body;
    const reply = await search({ experiment_ids: [experimentId], filter: `name = 'a'`, page_token });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
  });
});

const model = await seedModelId();

describe('bad input for logged models', () => {
  const inSearch = (body: Body) => ['post', 'logged-models/search', { experiment_ids: ['0'], ...body }] as const;
  const ordered = (entry: unknown) => inSearch({ order_by: [entry] });

  it.each([
    ['post', 'logged-models', {}],
    ['post', 'logged-models', { experiment_id: 0 }],
    ['post', 'logged-models', { experiment_id: 'abc' }],
    ['post', 'logged-models', { experiment_id: '0', name: 'a/b' }],
    ['post', 'logged-models', { experiment_id: '0', name: "it's" }],
    ['post', 'logged-models', { experiment_id: '0', name: 'x'.repeat(501) }],
    ['post', 'logged-models', { experiment_id: '0', name: 'a\0b' }],
    ['post', 'logged-models', { experiment_id: '0', model_type: 'x'.repeat(501) }],
    ['post', 'logged-models', { experiment_id: '0', source_run_id: 'x'.repeat(33) }],
    ['post', 'logged-models', { experiment_id: '0', tags: ['x'] }],
    ['post', 'logged-models', { experiment_id: '0', tags: [{ key: 'a', value: 5 }] }],
    ['post', 'logged-models', { experiment_id: '0', tags: [{ key: 'x'.repeat(256) }] }],
    ['post', 'logged-models', { experiment_id: '0', tags: [{ key: 'a' }, { key: 'a' }] }],
    ['post', 'logged-models', { experiment_id: '0', params: [{ key: 'a' }, { key: 'a' }] }],
    ['patch', `logged-models/${model}`, {}],
    ['patch', `logged-models/${model}`, { status: 'READY' }],
    ['patch', `logged-models/${model}`, { status: 99 }],
    ['patch', `logged-models/${NO_MODEL}`, { status: 2 }],
    ['delete', `logged-models/${NO_MODEL}`, {}],
    ['delete', `logged-models/${NO_MODEL}/tags/a`, {}],
    ['delete', `logged-models/${model}/tags/%00`, {}],
    ['post', `logged-models/${model}/params`, { params: 'x' }],
    ['post', `logged-models/${NO_MODEL}/params`, { params: [] }],
    ['patch', `logged-models/${model}/tags`, { tags: 'x' }],
    ['patch', `logged-models/${NO_MODEL}/tags`, {}],
    ['post', 'logged-models/search', {}],
    ['post', 'logged-models/search', { experiment_ids: ['abc'] }],
    inSearch({ max_results: 0 }),
    inSearch({ max_results: -1 }),
    inSearch({ max_results: 50_001 }),
    inSearch({ datasets: [{ dataset_digest: 'd' }] }),
    inSearch({ page_token: 'x' }),
    inSearch({ filter: 5 }),
    inSearch({ filter: 'name' }),
    inSearch({ filter: `nope = 'x'` }),
    inSearch({ filter: `foo.bar = 'x'` }),
    inSearch({ filter: `name = 'a' OR name = 'b'` }),
    inSearch({ filter: 'name IS NULL' }),
    inSearch({ filter: `name IN 'a'` }),
    inSearch({ filter: `name = ('a')` }),
    inSearch({ filter: `params.lr > '1'` }),
    inSearch({ filter: `metrics.acc > 'x'` }),
    inSearch({ filter: `metrics.acc LIKE '1'` }),
    inSearch({ filter: `creation_time = 'today'` }),
    inSearch({ filter: `status = 'BROKEN'` }),
    ordered('name'),
    ordered({}),
    ordered({ field_name: 'tags' }),
    ordered({ field_name: '__tablename__' }),
    ordered({ field_name: 'params.lr' }),
    inSearch({ order_by: Array(51).fill({ field_name: 'name' }) }),
  ] as ['post' | 'patch' | 'delete', string, Body][])('%s %s %j is a 4xx in MLflow’s shape', async (method, path, body) => {
    const reply = await server[method](path, body);
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.status).toBeLessThan(500);
    expect(reply.body).toMatchObject({ error_code: expect.any(String), message: expect.any(String) });
    expect(reply.body.message).not.toMatch(/select |insert into|logged_models|logged_model_/);
  });
});

describe('what the registry asks of logged models', () => {
  it('is where one lies and which run made it', async () => {
    const id = await seedModelId({ source_run_id: 'r1' });
    const location = { artifact_uri: `mlflow-artifacts:/0/models/${id}/artifacts`, source_run_id: 'r1' };
    expect(await findLoggedModel(server.db, DEFAULT_SCOPE, id)).toEqual(location);
    await server.delete(`logged-models/${id}`).expect(200);
    expect(await findLoggedModel(server.db, DEFAULT_SCOPE, id)).toBeNull();
  });

  const versionsTag = async (id: string) =>
    (await get(id)).body.model.info.tags.find(({ key }: { key: string }) => key === 'mlflow.modelVersions').value;

  it('is to note the versions made from one, each once, as Python prints the list', async () => {
    const id = await seedModelId();
    for (const [name, version] of [['a', 1] as const, ['é"', 2] as const, ['a', 1] as const]) {
      await recordModelVersionTag(server.db, { scope: DEFAULT_SCOPE, modelId: id }, name, version);
    }
    expect(await versionsTag(id)).toBe('[{"name": "a", "version": 1}, {"name": "\\u00e9\\"", "version": 2}]');
  });

  it.each(['', '[]', ' [ ] \n', 'not a list'])('is to start the list anew when the tag is %j', async (value) => {
    const id = await seedModelId({ tags: [{ key: 'mlflow.modelVersions', value }] });
    await recordModelVersionTag(server.db, { scope: DEFAULT_SCOPE, modelId: id }, 'a', 1);
    expect(await versionsTag(id)).toBe('[{"name": "a", "version": 1}]');
  });

  it('loses no version when twenty are made at once', async () => {
    const id = await seedModelId();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => recordModelVersionTag(server.db, { scope: DEFAULT_SCOPE, modelId: id }, 'a', i)),
    );
    expect(JSON.parse(await versionsTag(id))).toHaveLength(20);
  });
});
