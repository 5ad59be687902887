import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();

async function createRun(): Promise<string> {
  return (await server.post('runs/create', { experiment_id: '0' })).body.run.info.run_id;
}

const dataOf = async (runId: string) => (await server.get('runs/get', { run_id: runId })).body.run.data;

async function log(runId: string, points: [number, number, unknown][], key = 'm'): Promise<void> {
  const metrics = points.map(([step, timestamp, value]) => ({ key, step, timestamp, value }));
  expect((await server.post('runs/log-batch', { run_id: runId, metrics })).body).toEqual({});
}

describe('a metric', () => {
  it('shows the point of the greatest step, then time, then value', async () => {
    const id = await createRun();
    await log(id, [
      [1, 10, 1.5],
      [2, 5, 2],
      [0, 50, 9],
      [2, 5, 3.5],
      [2, 5, 3],
    ]);
    expect((await dataOf(id)).metrics).toEqual([{ key: 'm', value: 3.5, timestamp: 5, step: 2 }]);
    await log(id, [[1, 99, 100]]);
    expect((await dataOf(id)).metrics[0].value).toBe(3.5);
    await log(id, [[3, 0, -1]]);
    expect((await dataOf(id)).metrics[0]).toEqual({ key: 'm', value: -1, timestamp: 0, step: 3 });
  });

  it('may be NaN or infinite, and a number may come as text', async () => {
    const id = await createRun();
    for (const [key, value] of Object.entries({ nan: 'NaN', up: 'inf', down: '-Infinity', text: '1_0.1' })) {
      await server.post('runs/log-metric', { run_id: id, key, value, timestamp: '7' });
    }
    const point = { timestamp: 7, step: 0 };
    expect((await dataOf(id)).metrics).toEqual([
      { key: 'down', value: -1.7976931348623157e308, ...point },
      { key: 'nan', value: 'NaN', ...point },
      { key: 'text', value: 10.1, ...point },
      { key: 'up', value: 1.7976931348623157e308, ...point },
    ]);
  });

  it('keeps its history by time, step and value, each point once', async () => {
    const id = await createRun();
    await log(id, [
      [2, 5, 2],
      [1, 10, 1],
      [2, 5, 2],
      [2, 5, -2],
      [1, 5, 4],
      [1, 5, 'NaN'],
    ]);
    await log(id, [[1, 10, 1]]);
    const { body } = await server.get('metrics/get-history', { run_id: id, metric_key: 'm' });
    const points = body.metrics.map(({ timestamp, step, value }: Record<string, unknown>) => [timestamp, step, value]);
    expect(points).toEqual([
      [5, 1, 'NaN'],
      [5, 1, 4],
      [5, 2, -2],
      [5, 2, 2],
      [10, 1, 1],
    ]);
    expect(body.next_page_token).toBeUndefined();
  });

  it('gives its history page by page, every point once', async () => {
    const id = await createRun();
    await log(
      id,
      Array.from({ length: 25 }, (_, i) => [i, i % 3, i / 7]),
    );
    const seen: number[] = [];
    let token: string | undefined;
    do {
      const query = { run_id: id, metric_key: 'm', max_results: 4, ...(token && { page_token: token }) };
      const { body } = await server.get('metrics/get-history', query);
      expect(body.metrics.length).toBeLessThanOrEqual(4);
      seen.push(...body.metrics.map((metric: { step: number }) => metric.step));
      token = body.next_page_token;
    } while (token);
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, i) => i));
  });

  it('has no history in a run that does not exist', async () => {
    expect((await server.get('metrics/get-history', { run_uuid: 'nope', metric_key: 'm' })).body).toEqual({});
  });
});

describe('the history of several runs', () => {
  const bulk = (query: Record<string, string | number | string[]>) => server.get('/ajax-api/2.0/mlflow/metrics/get-history-bulk', query);
  const interval = (query: Record<string, string | number | string[]>) =>
    server.get('/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval', query);

  it('comes by run, with a limit over all', async () => {
    const ids = (await Promise.all([createRun(), createRun()])).toSorted();
    for (const id of ids)
      await log(id, [
        [1, 1, 1],
        [0, 2, 0],
      ]);
    const { body } = await bulk({ run_id: ids, metric_key: 'm', max_results: 3 });
    expect(body.metrics.map((metric: { run_id: string; step: number }) => [metric.run_id, metric.step])).toEqual([
      [ids[0], 1],
      [ids[0], 0],
      [ids[1], 1],
    ]);
    expect((await bulk({ run_id: 'nope', metric_key: 'm' })).body).toEqual({ metrics: [] });
  });

  it('is sampled evenly with both ends', async () => {
    const id = await createRun();
    await log(
      id,
      Array.from({ length: 20 }, (_, i) => [i, i, i / 10]),
    );
    const steps = async (query: Record<string, number | string>) =>
      (await interval({ run_ids: [id], metric_key: 'm', ...query })).body.metrics.map((metric: { step: number }) => metric.step);
    expect(await steps({})).toHaveLength(20);
    expect(await steps({ max_results: 4 })).toEqual([0, 5, 10, 19]);
    expect(await steps({ max_results: 1 })).toEqual([19]);
    expect(await steps({ max_results: 3, start_step: 3, end_step: 8 })).toEqual([3, 5, 8]);
    expect(await steps({ max_results: ' +3', start_step: ' 3', end_step: '0_8' })).toEqual([3, 5, 8]);
  });

  it('answers runs in the order asked', async () => {
    const ids = (await Promise.all([createRun(), createRun()])).toSorted().reverse();
    for (const id of ids) await log(id, [[0, 0, 1]]);
    const { body } = await interval({ run_ids: ids, metric_key: 'm' });
    expect(body.metrics.map((metric: { run_id: string }) => metric.run_id)).toEqual(ids);
  });

  it.each([
    ['get-history', { metric_key: 'm' }, "Missing value for required parameter 'run_id'."],
    ['get-history', { run_id: 'x' }, "Missing value for required parameter 'metric_key'."],
    ['get-history', { run_id: 'x', metric_key: 'm', max_results: 0 }, "Invalid value 0 for parameter 'max_results' supplied. It must be"],
    ['get-history', { run_id: 'x', metric_key: 'm', page_token: '!' }, 'Invalid page token'],
    ['get-history-bulk', { metric_key: 'm' }, 'must specify at least one run_id'],
    ['get-history-bulk', { run_id: 'x' }, 'must specify a metric_key'],
    ['get-history-bulk', { run_id: 'x', metric_key: 'm', max_results: 'x' }, 'Invalid value "x" for parameter \'max_results\''],
    ['get-history-bulk-interval', { metric_key: 'm' }, "Missing value for required parameter 'run_ids'."],
    ['get-history-bulk-interval', { run_ids: 'x', metric_key: 'm', max_results: 2501 }, 'max_results must be between 1 and 2500.'],
    ['get-history-bulk-interval', { run_ids: 'x', metric_key: 'm', start_step: 1 }, 'both must be specified'],
    [
      'get-history-bulk-interval',
      { run_ids: 'x', metric_key: 'm', start_step: 2, end_step: 1 },
      'end_step must be greater than start_step',
    ],
  ])('refuses %s %j', async (path, query, message) => {
    const reply = await server.get(`metrics/${path}`, query);
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toContain(message);
  });
});

it('names a data set by name and digest, or not at all', async () => {
  const id = await createRun();
  for (const half of [{ dataset_name: 'iris' }, { dataset_digest: 'd1' }]) {
    const reply = await server.post('runs/log-metric', { run_id: id, key: 'm', value: 1, timestamp: 1, ...half });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toBe('Both dataset_name and dataset_digest must be provided if one is provided');
  }
});

describe('a metric of a logged model', () => {
  it('is one of the run and one of the model', async () => {
    const id = await createRun();
    await server.db.query(
      "insert into logged_models (model_id, experiment_id, name, artifact_uri, status) values ('m-1', 0, 'model', 'mlflow-artifacts:/x', 'READY')",
    );
    const metric = { key: 'acc', value: 'NaN', timestamp: 1, model_id: 'm-1', dataset_name: 'iris', dataset_digest: 'd' };
    await server.post('runs/log-metric', { run_id: id, ...metric }).expect(200);
    await server
      .post('runs/log-batch', { run_id: id, metrics: [metric, { key: 'loss', value: 2, timestamp: 1, model_id: 'm-1' }] })
      .expect(200);
    const { rows } = await server.db.query('select key, value, is_nan, run_id, dataset_name from logged_model_metrics order by key');
    expect(rows).toEqual([
      { key: 'acc', value: 0, is_nan: true, run_id: id, dataset_name: 'iris' },
      { key: 'loss', value: 2, is_nan: false, run_id: id, dataset_name: '' },
    ]);
    expect((await dataOf(id)).metrics).toHaveLength(2);
  });

  it('is refused whole when there is no such model', async () => {
    const id = await createRun();
    const reply = await server.post('runs/log-metric', { run_id: id, key: 'acc', value: 1, timestamp: 1, model_id: 'm-none' });
    expect([reply.status, reply.body.message]).toEqual([404, "Logged model with ID 'm-none' not found."]);
    expect((await dataOf(id)).metrics).toBeUndefined();
  });
});
