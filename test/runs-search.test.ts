import { beforeAll, describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();

type Seed = {
  start: number;
  end?: number;
  status?: string;
  metrics?: Record<string, unknown>;
  params?: Record<string, string>;
  tags?: Record<string, string>;
};

const SEEDS: Record<string, Seed> = {
  r0: { start: 110, metrics: { m: 1, 'val/loss': 5 }, params: { p: '1', lr: '0.1' }, tags: { t: 'x', 'mlflow.user': 'Bob' } },
  r1: { start: 100, metrics: { m: 2 }, params: { p: '2' }, tags: { t: 'y' } },
  r2: { start: 300, metrics: { m: 'NaN' }, params: { p: '10' }, tags: { T: 'y' }, status: 'FINISHED', end: 900 },
  R3: { start: 200, params: { q: '1' }, status: 'FAILED', end: 800 },
  r4: { start: 50, metrics: { m: -3.5 }, params: { p: "it's" }, tags: { t: 'x%y', 'dash-key': 'v' } },
};
const ids: Record<string, string> = {};
let experimentId = '';

const entries = (of: Record<string, string> = {}) => Object.entries(of).map(([key, value]) => ({ key, value }));

beforeAll(async () => {
  experimentId = (await server.post('experiments/create', { name: 'searched' })).body.experiment_id;
  for (const [name, seed] of Object.entries(SEEDS)) {
    const body = { experiment_id: experimentId, run_name: name, start_time: seed.start, tags: entries(seed.tags) };
    const id: string = (await server.post('runs/create', body)).body.run.info.run_id;
    ids[name] = id;
    const metrics = Object.entries(seed.metrics ?? {}).map(([key, value]) => ({ key, value, timestamp: 1 }));
    await server.post('runs/log-batch', { run_id: id, metrics, params: entries(seed.params) }).expect(200);
    if (seed.status) await server.post('runs/update', { run_id: id, status: seed.status, end_time: seed.end }).expect(200);
  }
  const dataset = (name: string, context?: string) => ({
    dataset: { name, digest: `digest-${name}`, source_type: 's', source: 's' },
    tags: context ? [{ key: 'mlflow.data.context', value: context }] : [],
  });
  await server.post('runs/log-inputs', { run_id: ids.r0, datasets: [dataset('iris', 'train'), dataset('wine', 'eval')] }).expect(200);
  await server.post('runs/log-inputs', { run_id: ids.r1, datasets: [dataset('iris')], models: [{ model_id: 'm-1' }] }).expect(200);
  await server.post('runs/outputs', { run_id: ids.r1, models: [{ model_id: 'm-2', step: 1 }] }).expect(200);
});

const search = (body: Record<string, unknown> = {}) => server.post('runs/search', { experiment_ids: [experimentId], ...body });

async function names(body: Record<string, unknown> = {}): Promise<string> {
  const reply = await search(body);
  expect(reply.status, reply.text).toBe(200);
  return (reply.body.runs ?? []).map((run: { info: { run_name: string } }) => run.info.run_name).join(' ');
}

describe('runs/search', () => {
  it('finds all active runs, the latest first', async () => {
    expect(await names()).toBe('r2 R3 r0 r1 r4');
    expect(await names({ experiment_ids: ['0', experimentId, '9999'] })).toBe('r2 R3 r0 r1 r4');
    expect((await search({ experiment_ids: [] })).body).toEqual({});
  });

  it('shows a run with its data, data sets and models made, as the stock server does', async () => {
    const { body } = await search({ filter: "attributes.run_name = 'r1'" });
    const got = (await server.get('runs/get', { run_id: ids.r1 ?? '' })).body.run;
    const { model_inputs: _, ...inputs } = got.inputs;
    expect(body).toEqual({ runs: [{ ...got, inputs }] });
    expect(inputs.dataset_inputs[0].dataset.name).toBe('iris');
    expect(got.outputs).toEqual({ model_outputs: [{ model_id: 'm-2', step: 1 }] });
  });

  it.each([
    ['metrics.m > 1', 'r1'],
    ['metrics.m >= 1 and metrics.m < 2', 'r0'],
    ['metrics.m != 2', 'r2 r0 r4'],
    ['metrics.m = 0', ''],
    ['metric.m > -4', 'r0 r1 r4'],
    ['metrics.`val/loss` = 5', 'r0'],
    ['metrics."val/loss" = 5.0', 'r0'],
    ["params.p = '1'", 'r0'],
    // As the stock server's parser: without AND all before IS NULL is the name of a tag, which no run has.
    ["tags.t = 'x' params.p IS NULL", 'r2 R3 r0 r1 r4'],
    ["params.p = '1\\'", ''],
    ['params.from IS NULL AND metrics.m = 2', 'r1'],
    ["parameters.p != '1'", 'r2 r1 r4'],
    ["param.p LIKE '1%'", 'r2 r0'],
    ['params.p = "it\'s"', 'r4'],
    ['params.p IS NULL', 'R3'],
    ['params.p is not null and tags.t is null', 'r2'],
    ["tags.t = 'x'", 'r0'],
    ["tag.t ILIKE 'X%'", 'r0 r4'],
    ["tags.T = 'y'", 'r2'],
    ["tags.`dash-key` = 'v'", 'r4'],
    ["tags.mlflow.user = 'Bob'", 'r0'],
    ["attributes.status = 'FINISHED'", 'r2'],
    ["status LIKE 'F%'", 'r2 R3'],
    ["run.run_name LIKE 'r%'", 'r2 r0 r1 r4'],
    ["attr.`Run name` = 'R3'", 'R3'],
    ['start_time >= 110', 'r2 R3 r0'],
    ['attributes.Created < 100.5', 'r1 r4'],
    ['end_time > 0', 'r2 R3'],
    ['start_time > 99999999999999999999', ''],
    ["datasets.name = 'iris'", 'r0 r1'],
    ["dataset.name = 'iris' and dataset.digest = 'digest-wine'", 'r0'],
    ["dataset.context IN ('train', 'test')", 'r0'],
    ["dataset.name NOT IN ('iris')", 'r0'],
    ["metrics.m > 0 AND params.p = '2' AND tags.t='y'", 'r1'],
    ["AND metrics.m > 1 params.p = '2' and", 'r1'],
  ])('%s', async (filter, expected) => {
    expect(await names({ filter })).toBe(expected);
  });

  it('finds runs by their ids', async () => {
    expect(await names({ filter: `run_id IN ('${ids.r0}', '${ids.r4}')` })).toBe('r0 r4');
    expect(await names({ filter: `attributes.run_id NOT IN ('${ids.r0}')` })).toBe('r2 R3 r1 r4');
  });

  it.each([
    [['metrics.m'], 'r4 r0 r1 r2 R3'],
    [['metrics.m DESC'], 'r1 r0 r4 r2 R3'],
    [['params.p ASC'], 'r0 r2 r1 r4 R3'],
    [['params.p DESC'], 'r4 r1 r2 r0 R3'],
    [['tags.`t`'], 'r0 r4 r1 r2 R3'],
    [['start_time ASC'], 'r4 r1 r0 R3 r2'],
    [['end_time'], 'R3 r2 r0 r1 r4'],
    [['end_time DESC'], 'r2 R3 r0 r1 r4'],
    [['attributes.run_name desc'], 'r4 r2 r1 r0 R3'],
    [['status', 'created'], 'R3 r2 r4 r1 r0'],
    [['metrics.none'], 'r2 R3 r0 r1 r4'],
    [['metrics.`not there` DESC'], 'r2 R3 r0 r1 r4'],
    [['metrics."val/loss"  asc'], 'r0 r2 R3 r1 r4'],
  ])('orders by %j', async (order, expected) => {
    expect(await names({ order_by: order })).toBe(expected);
  });

  it('answers deleted runs when asked to', async () => {
    await server.post('runs/delete', { run_id: ids.R3 });
    expect(await names()).toBe('r2 r0 r1 r4');
    expect(await names({ run_view_type: 'DELETED_ONLY' })).toBe('R3');
    expect(await names({ run_view_type: 3 })).toBe('r2 R3 r0 r1 r4');
    await server.post('runs/restore', { run_id: ids.R3 });
  });
});

describe('pages of runs/search', () => {
  it.each([[[]], [['metrics.m DESC']], [['params.p']], [['end_time', 'tags.t DESC']], [['attributes.run_id']], [['metrics.m', 'status']]])(
    'show every run once, ordered by %j',
    async (order) => {
      const seen: string[] = [];
      let token: string | undefined;
      do {
        const { body } = await search({ order_by: order, max_results: 2, page_token: token });
        seen.push(...body.runs.map((run: { info: { run_name: string } }) => run.info.run_name));
        token = body.next_page_token;
      } while (token);
      expect(seen.join(' ')).toBe(await names({ order_by: order }));
    },
  );

  it('do not repeat or lose a run when others come in between', async () => {
    const { experiment_id: id } = (await server.post('experiments/create', { name: 'moving' })).body;
    const create = (start: number) => server.post('runs/create', { experiment_id: id, run_name: `s${start}`, start_time: start });
    for (const start of [1, 2, 3, 4]) await create(start);
    const first = await search({ experiment_ids: [id], max_results: 2 });
    await create(5);
    const rest = await names({ experiment_ids: [id], max_results: 2, page_token: first.body.next_page_token });
    expect(rest).toBe('s2 s1');
  });

  it('belong to one search', async () => {
    const { body } = await search({ max_results: 1 });
    const reply = await search({ max_results: 1, filter: 'metrics.m > 0', page_token: body.next_page_token });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
  });
});

describe('what runs/search refuses', () => {
  it.each([
    [{ filter: "metrics.m = 'x'" }, "Expected numeric value type for metric. Found 'x'"],
    [{ filter: 'metrics.m LIKE 2' }, "Invalid comparator 'LIKE' not one of"],
    [{ filter: 'metrics.m == 2' }, "Invalid comparator '==' not one of"],
    [{ filter: 'metrics.m IS NULL' }, "IS NULL / IS NOT NULL is only supported for tags and params, not for 'metric' 'm'"],
    [{ filter: 'params.p = 1' }, "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 1"],
    [{ filter: 'params.p = x' }, 'Parameter value is either not quoted or unidentified quote types used for string value x.'],
    [{ filter: "params.p > '1'" }, "Invalid comparator '>' not one of"],
    [{ filter: "tags.t IN ('x')" }, "Expected a quoted string value for tag (e.g. 'my-value'). Got value ('x')"],
    [{ filter: "status IN ('x')" }, "Only ['run_id'] attributes support comparison with a list of quoted string values."],
    [{ filter: "run_id = ('x')" }, "Invalid comparator '=' not one of"],
    [{ filter: "start_time > '1'" }, "Expected numeric value type for numeric attribute: start_time. Found '1'"],
    [{ filter: "foo.bar = 'x'" }, "Invalid entity type 'foo'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"],
    [{ filter: "lifecycle_stage = 'active'" }, "Invalid attribute key 'lifecycle_stage' specified."],
    [{ filter: "dataset.source = 'x'" }, "Invalid dataset key 'source' specified."],
    [{ filter: 'metrics.m > 1 OR metrics.m < 0' }, "Invalid clause(s) in filter string: 'OR'"],
    [{ filter: "tags.t = 'x' params.p IS NULL AND foo" }, "Invalid clause(s) in filter string: 'foo'"],
    [{ filter: 'metrics.m > 1 - 2' }, 'Expected numeric value type for metric. Found 1 - 2'],
    [{ filter: "tags.t = 'x' AND tags.t IS  NOT  NULL" }, "Invalid clause(s) in filter string: 'tags.t', 'IS', 'NOT  NULL'"],
    [{ filter: ' ' }, "Invalid filter ' '. Could not be parsed."],
    [{ filter: "tags.t = 'x'; delete from runs" }, 'Search filter contained multiple expression'],
    [{ filter: "tags.t LIKE '%\\'" }, "Invalid pattern '%\\' for LIKE: it ends with a backslash"],
    [{ filter: "created > 'x'" }, "Expected numeric value type for numeric attribute: created. Found 'x'"],
    [{ filter: 5 }, "Invalid value 5 for parameter 'filter' supplied:"],
    [{ order_by: [' start_time'] }, "Invalid order_by clause ' start_time'. Could not be parsed."],
    [{ order_by: ['metrics.val/loss'] }, "Invalid order_by clause 'metrics.val/loss'. Could not be parsed."],
    [{ order_by: ['attributes.`run name`'] }, "Invalid attribute key 'run name' specified."],
    [{ max_results: '' }, 'Invalid value "" for parameter \'max_results\' supplied:'],
    [{ order_by: ['foo'] }, "Invalid attribute key 'foo' specified."],
    [{ order_by: ['metrics.m foo'] }, "Invalid ordering key in order_by clause 'metrics.m foo'."],
    [{ order_by: ['metrics.m, params.p'] }, "Invalid order_by clause 'metrics.m, params.p'. Could not be parsed."],
    [{ order_by: ['start_time', 'created'] }, "`order_by` contains duplicate fields: ['start_time', 'created']"],
    [{ order_by: ['datasets.name'] }, "Invalid identifier type 'dataset'"],
    [{ max_results: 50001 }, "Invalid value 50001 for parameter 'max_results' supplied:  Hint: Value was of type 'int'."],
    [{ max_results: 0 }, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"],
    [{ run_view_type: 'NOPE' }, 'Invalid value "NOPE" for parameter \'run_view_type\' supplied:'],
    [{ experiment_ids: ['x'] }, "Invalid experiment ID 'x'. Experiment ID must be a valid integer."],
    [{ page_token: 'bm90IG91cnM' }, 'Invalid page token'],
  ])('%j', async (body, message) => {
    const reply = await search(body);
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toContain(message);
  });
});
