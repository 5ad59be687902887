import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();

async function createRun(): Promise<string> {
  return (await server.post('runs/create', { experiment_id: '0', run_name: 'run' })).body.run.info.run_id;
}

const getRun = async (runId: string) => (await server.get('runs/get', { run_id: runId })).body.run;
const numbered = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => ({ key: `${prefix}${i}`, value: `${i}` }));
const point = (key: string, value: unknown, step = 0) => ({ key, value, step, timestamp: 1 });

describe('runs/log-batch', () => {
  it('logs metrics, params and tags; the name tag renames the run', async () => {
    const id = await createRun();
    const reply = await server.post('runs/log-batch', {
      run_id: id,
      metrics: [point('a', 1), point('b', 2)],
      params: [{ key: 'p', value: 'x'.repeat(6001) }, { key: 'q' }],
      tags: [
        { key: 't', value: '1' },
        { key: 't', value: '2' },
        { key: 'mlflow.runName', value: 'renamed' },
      ],
    });
    expect(reply.body).toEqual({});
    const { info, data } = await getRun(id);
    expect(info.run_name).toBe('renamed');
    expect(data.metrics.map((metric: { key: string }) => metric.key)).toEqual(['a', 'b']);
    expect(data.params).toEqual([
      { key: 'p', value: 'x'.repeat(6000) },
      { key: 'q', value: '' },
    ]);
    expect(data.tags).toEqual([
      { key: 'mlflow.runName', value: 'renamed' },
      { key: 't', value: '2' },
    ]);
  });

  it('takes 800 metrics, 100 params and 100 tags of long values at once', async () => {
    const id = await createRun();
    const long = (entry: { key: string }) => ({ ...entry, value: '漢'.repeat(5000) });
    const metrics = Array.from({ length: 800 }, (_, i) => point('loss', i / 10, i));
    const body = { run_id: id, metrics, params: numbered(100, 'p').map(long), tags: numbered(100, 't').map(long) };
    await server.post('runs/log-batch', body).expect(200);
    const { data } = await getRun(id);
    expect([data.params.length, data.tags.length, data.metrics[0].value]).toEqual([100, 101, 79.9]);
  });

  it('keeps nothing when a param would change', async () => {
    const id = await createRun();
    await server.post('runs/log-batch', { run_id: id, params: [{ key: 'x', value: '1' }] });
    const reply = await server.post('runs/log-batch', {
      run_id: id,
      metrics: [point('m', 1)],
      params: [
        { key: 'new', value: '1' },
        { key: 'x', value: "it's" },
      ],
      tags: [{ key: 't', value: '1' }],
    });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toBe(
      `Changing param values is not allowed. Params were already logged='[{'key': 'x', 'old_value': '1', 'new_value': "it's"}]' for run ID='${id}'.`,
    );
    const { data } = await getRun(id);
    expect(data).toEqual({ params: [{ key: 'x', value: '1' }], tags: [{ key: 'mlflow.runName', value: 'run' }] });
  });

  it('says of a single param what it was', async () => {
    const id = await createRun();
    const logParam = (value: string) => server.post('runs/log-parameter', { run_id: id, key: 'p', value });
    await logParam('1').expect(200);
    await logParam('1').expect(200);
    expect((await logParam('2')).body.message).toBe(
      `Changing param values is not allowed. Param with key='p' was already logged with value='1' for run ID='${id}'. Attempted logging new value '2'.`,
    );
  });

  it('keeps every batch of twenty that come at once on one run', async () => {
    const id = await createRun();
    const batches = Array.from({ length: 20 }, (_, i) => ({
      run_id: id,
      metrics: Array.from({ length: 20 }, (_, j) => point('loss', i, i * 20 + j)),
      params: [...numbered(5, `p${i}-`), { key: 'same', value: 'x' }].toSorted(() => (i % 2 ? 1 : -1)),
      tags: [
        { key: `t${i}`, value: '1' },
        { key: 'mlflow.runName', value: `name ${i}` },
      ],
    }));
    const replies = await Promise.all(batches.map((batch) => server.post('runs/log-batch', batch)));
    expect(replies.map((reply) => reply.status)).toEqual(Array(20).fill(200));
    const { info, data } = await getRun(id);
    expect([data.params.length, data.tags.length]).toEqual([101, 21]);
    expect(data.metrics).toEqual([point('loss', 19, 399)].map(({ key, value, timestamp, step }) => ({ key, value, timestamp, step })));
    expect(data.tags.find((tag: { key: string }) => tag.key === 'mlflow.runName').value).toBe(info.run_name);
    const history = await server.get('metrics/get-history', { run_id: id, metric_key: 'loss' });
    expect(history.body.metrics).toHaveLength(400);
  });

  it('lets one of eight writers win who log different values of a param at once', async () => {
    for (let round = 0; round < 5; round++) {
      const id = await createRun();
      const writers = Array.from({ length: 8 }, (_, i) =>
        server.post('runs/log-batch', { run_id: id, params: [{ key: 'p', value: `${i}` }], tags: [{ key: 'winner', value: `${i}` }] }),
      );
      const replies = await Promise.all(writers);
      expect(replies.map((reply) => reply.status).toSorted()).toEqual([200, ...Array(7).fill(400)]);
      const winner = String(replies.findIndex((reply) => reply.status === 200));
      const { data } = await getRun(id);
      expect(data.params).toEqual([{ key: 'p', value: winner }]);
      expect(data.tags).toContainEqual({ key: 'winner', value: winner });
    }
  });

  it('keeps all or nothing of a batch that races with the deletion of its run', async () => {
    const id = await createRun();
    const [logged] = await Promise.all([
      server.post('runs/log-batch', { run_id: id, metrics: [point('m', 1)], params: [{ key: 'p', value: '1' }] }),
      server.post('runs/delete', { run_id: id }),
    ]);
    const { data } = await getRun(id);
    const kept = logged.status === 200;
    expect([data.metrics !== undefined, data.params !== undefined]).toEqual([kept, kept]);
  });
});

describe('what a batch cannot be', () => {
  it.each([
    [{ metrics: [{ key: 'm', timestamp: 1 }] }, "Missing value for required parameter 'metrics[0].value'."],
    [{ metrics: [{ value: 1, timestamp: 1 }] }, "Missing value for required parameter 'metrics[0].key'."],
    [{ metrics: [{ key: 'm', value: 1 }] }, "Missing value for required parameter 'metrics[0].timestamp'."],
    [{ metrics: [{ key: 'm', value: [1], timestamp: 1 }] }, "Invalid value [1] for parameter 'metrics[0].value' supplied:"],
    [
      { metrics: [point('ok', 1), point('a%', 1)] },
      'Invalid value "a%" for parameter \'metrics[1].name\' supplied: Names may only contain',
    ],
    [
      { metrics: [{ key: 'm', value: 1, timestamp: -1 }] },
      "Invalid value -1 for parameter 'metrics[0].timestamp' supplied: metric 'm' (value=1.0). Timestamp must be a nonnegative long (64-bit integer) ",
    ],
    [{ metrics: 'all' }, 'Invalid value "all" for parameter \'metrics\' supplied:'],
    [{ metrics: [5] }, "Invalid value 5 for parameter 'metrics[0]' supplied:"],
    [{ params: [{ value: '1' }] }, "Missing value for required parameter 'params[0].key'."],
    [{ params: [{ key: 'p', value: 5 }] }, "Invalid value 5 for parameter 'params[0].value' supplied:"],
    [
      {
        params: [
          { key: 'p', value: '1' },
          { key: 'p', value: '1' },
        ],
      },
      "Duplicate parameter keys have been submitted: ['p'].",
    ],
    [{ tags: [{ key: '/a', value: '1' }] }, 'Invalid value "/a" for parameter \'tags[0].key\' supplied: Names may be treated as files'],
    [{ run_id: undefined }, "Missing value for required parameter 'run_id'."],
    [{ run_id: 'a b' }, 'Invalid value "a b" for parameter \'run_id\' supplied.'],
  ])('%j', async (body, message) => {
    const reply = await server.post('runs/log-batch', { run_id: 'x', ...body });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toContain(message);
  });

  it('has its limits', async () => {
    const metrics = Array.from({ length: 1001 }, (_, i) => point('m', i));
    for (const [body, message] of [
      [{ metrics }, 'at most 1000 metrics. Got 1001 metrics.'],
      [{ params: numbered(101, 'p') }, 'at most 100 params. Got 101 params.'],
      [{ tags: numbered(101, 't') }, 'at most 100 tags. Got 101 tags.'],
      [{ metrics: metrics.slice(1), tags: numbered(1, 't') }, 'at most 1000 metrics, params, and tags. Got 1001'],
      [{ metrics: [point('m'.repeat(251), 1)] }, "'Metric name' exceeds the maximum length of 250 characters"],
      [{ params: [{ key: 'p'.repeat(251), value: '' }] }, "'Param key' exceeds the maximum length of 250 characters"],
      [{ tags: [{ key: 't'.repeat(251), value: '' }] }, "'tags[0].key' exceeds the maximum length of 250 characters"],
      [{ tags: [{ key: 'mlflow.runName', value: 'n'.repeat(251) }] }, "'run_name' exceeds the maximum length of 250 characters"],
    ] as const) {
      const reply = await server.post('runs/log-batch', { run_id: 'x', ...body });
      expect(reply.status).toBe(400);
      expect(reply.body.message).toContain(message);
    }
  });

  it('is not found', async () => {
    const reply = await server.post('runs/log-batch', { run_id: 'nope' });
    expect([reply.status, reply.body.message]).toEqual([404, 'Run with id=nope not found']);
  });
});
