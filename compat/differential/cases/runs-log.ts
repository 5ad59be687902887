import { eachAfter, eachValue, type Group, get, listed, post } from '../case.ts';
import { BUG_500, batch, create, DROPPED, dataset, keys, metric, model, of, SQL_TEXT, shown, started, wrongTypes } from './run-steps.ts';

const many = <Item>(count: number, item: (i: number) => Item) => Array.from({ length: count }, (_, i) => item(i));

export const runsLog: Group = {
  group: 'runs-log',
  cases: [
    ...keys.flatMap((key, i) => [
      { name: `set-tag key ${i}`, steps: [...started, of('set-tag', { key, value: 'v' }), shown, of('delete-tag', { key })] },
      { name: `param key ${i}`, steps: [...started, of('log-parameter', { key, value: 'v' }), shown] },
      { name: `metric key ${i}`, steps: [...started, of('log-metric', metric({ key })), shown] },
      {
        name: `batch key ${i}`,
        steps: [
          ...started,
          batch({ tags: [{ key, value: '1' }] }),
          batch({ params: [{ key, value: '1' }] }),
          batch({ metrics: [metric({ key })] }),
        ],
      },
    ]),
    ...eachAfter(
      'key of a wrong type',
      started,
      ['set-tag', 'delete-tag', 'log-parameter', 'log-metric'].flatMap((path) =>
        eachValue(`runs/${path}`, { run_id: '{{r}}', value: path === 'log-metric' ? 1 : 'v', timestamp: 1 }, 'key', wrongTypes),
      ),
    ),
    ...['set-tag', 'log-parameter'].flatMap((path) =>
      [...wrongTypes, ' ', '# md', 'x'.repeat(6000), 'x'.repeat(6001), 'x'.repeat(8000), 'x'.repeat(8001), '😀'.repeat(3000)].map(
        (value, i) => ({
          name: `${path} value ${i}`,
          steps: [...started, of(path, { key: 'k', value }), shown],
        }),
      ),
    ),
    {
      name: 'tags',
      steps: [
        ...started,
        of('set-tag', { key: 'k', value: '1' }),
        of('set-tag', { key: 'k', value: '2' }),
        of('set-tag', { key: 'l' }),
        of('set-tag', { key: 'mlflow.runName', value: 'renamed' }),
        shown,
        of('set-tag', { key: 'mlflow.runName', value: '' }),
        of('set-tag', { key: 'mlflow.user', value: 'Bob' }),
        shown,
        of('delete-tag', { key: 'k' }),
        of('delete-tag', { key: 'k' }),
        of('delete-tag', { key: 'mlflow.runName' }),
        shown,
        of('update', { run_name: 'again' }),
        shown,
      ],
    },
    {
      name: 'params',
      steps: [
        ...started,
        of('log-parameter', { key: 'p', value: '1' }),
        of('log-parameter', { key: 'p', value: '1' }),
        of('log-parameter', { key: 'p', value: '2' }),
        of('log-parameter', { key: 'q', value: "it's" }),
        of('log-parameter', { key: 'q', value: 'other "q"' }),
        of('log-parameter', { key: 'e' }),
        of('log-parameter', { key: 'e', value: '' }),
        of('log-parameter', { key: 'long', value: 'x'.repeat(6001) }),
        of('log-parameter', { key: 'long', value: 'x'.repeat(6005) }),
        of('log-parameter', { key: 'p', value: 'x'.repeat(50) }),
        batch({
          params: [
            { key: 'p', value: '1' },
            { key: 'new', value: '1' },
          ],
        }),
        batch({ params: [{ key: 'p', value: '2' }] }),
        batch({
          params: [
            { key: 'p', value: '9' },
            { key: 'q', value: "i'm" },
          ],
        }),
        batch({ params: [{ key: 'p', value: 'a\nb"c' }] }),
        shown,
      ],
    },
    ...[
      {},
      { metrics: [], params: [], tags: [] },
      {
        metrics: many(20, (i) => metric({ value: i / 10, timestamp: i, step: i })),
        params: [{ key: 'a', value: '1' }, { key: 'b', value: '' }, { key: 'c' }],
        tags: [
          { key: 'x', value: '1' },
          { key: 'x', value: '2' },
          { key: 'mlflow.runName', value: 'zwei' },
        ],
      },
      {
        tags: [
          { key: 'mlflow.runName', value: 'a' },
          { key: 'mlflow.runName', value: 'b' },
        ],
      },
      { tags: [{ key: 'mlflow.runName', value: '' }] },
      { metrics: many(1000, (i) => metric({ key: `m${i % 7}`, value: i, timestamp: i })) },
      { params: many(100, (i) => ({ key: `p${i}`, value: `${i}` })), tags: many(100, (i) => ({ key: `t${i}`, value: `${i}` })) },
      {
        metrics: many(800, (i) => metric({ timestamp: i })),
        params: many(100, (i) => ({ key: `p${i}` })),
        tags: many(100, (i) => ({ key: `t${i}` })),
      },
      {
        metrics: [
          metric({ value: 'NaN' }),
          metric({ key: 'i', value: 'Infinity' }),
          metric({ key: 'j', value: '-Infinity' }),
          metric({ key: 's', value: '2.5' }),
        ],
      },
      { metrics: [metric({ timestamp: '5', step: '7' }), metric({ step: -3 }), metric({ step: null })] },
      {
        metrics: [
          metric({ step: 1, timestamp: 9 }),
          metric({ step: 2, timestamp: 1 }),
          metric({ step: 2, timestamp: 1, value: 7 }),
          metric({ step: 0, timestamp: 99 }),
        ],
      },
      { metrics: [metric({ value: 2 }), metric({ value: 'NaN' }), metric({ value: -1 })] },
      { metrics: [metric({ extra: 1 })], tags: [{ key: 'k', value: 'v', extra: 1 }] },
      { tags: [{ key: 'big', value: 'x'.repeat(8010) }], params: [{ key: 'big', value: 'x'.repeat(6010) }] },
    ].map((more, i) => ({ name: `batch ${i}`, steps: [...started, batch(more), shown] })),
    ...[
      { metrics: many(1001, () => metric()) },
      { params: many(101, (i) => ({ key: `p${i}`, value: '1' })) },
      { tags: many(101, (i) => ({ key: `t${i}`, value: '1' })) },
      { metrics: many(1000, () => metric()), tags: [{ key: 'q', value: '1' }] },
      { metrics: many(901, () => metric()), params: many(100, (i) => ({ key: `p${i}`, value: '1' })) },
      {
        params: [
          { key: 'a', value: '1' },
          { key: 'a', value: '1' },
        ],
      },
      {
        params: [
          { key: 'a', value: '1' },
          { key: 'b', value: '1' },
          { key: 'b', value: '2' },
          { key: 'a', value: '3' },
          { key: 'a', value: '3' },
        ],
      },
      { metrics: [{ key: 'm', timestamp: 1 }] },
      { metrics: [{ value: 1, timestamp: 1 }] },
      { metrics: [{ key: 'm', value: 1 }] },
      { metrics: [{ key: '', value: 1, timestamp: 1 }] },
      { metrics: [metric(), { key: 'm' }] },
      { metrics: [metric({ value: null })] },
      { metrics: [metric({ timestamp: null })] },
      { metrics: [metric({ key: null })] },
      { metrics: [metric({ value: '' })] },
      { metrics: [{}] },
      { metrics: [metric({ timestamp: -1 })] },
      { metrics: [metric(), metric({ key: 'n', value: 1.25, timestamp: -7 })] },
      { metrics: [metric({ value: 'NaN', timestamp: -1 })] },
      { metrics: [metric({ value: 1e300, timestamp: -1 })] },
      { metrics: [metric({ key: 'a%', timestamp: -1 })] },
      { params: [{ value: '1' }] },
      { params: [{ key: '', value: '1' }] },
      { params: [{}] },
      { tags: [{ value: '1' }] },
      {
        tags: [
          { key: 'ok', value: '1' },
          { key: null, value: '1' },
        ],
      },
      { tags: [{ key: 'k'.repeat(251), value: '1' }] },
      { params: [{ key: 'ok' }, { key: 'k'.repeat(251), value: '1' }] },
      { metrics: [metric({ key: 'k'.repeat(251) })] },
      { metrics: 'x' },
      { metrics: '' },
      { params: '' },
      { metrics: [metric(), metric({ dataset_name: 'd' })] },
      { params: 'x' },
      { tags: 5 },
      { metrics: {} },
      { tags: [{ key: 'mlflow.runName', value: 'x'.repeat(250) }] },
    ].map((more, i) => ({ name: `bad batch ${i}`, steps: [...started, batch(more), shown] })),
    {
      name: 'a batch is kept as a whole or not at all',
      steps: [
        ...started,
        of('log-parameter', { key: 'p', value: '1' }),
        batch({ metrics: [metric()], tags: [{ key: 't', value: '1' }], params: [{ key: 'p', value: '2' }] }),
        shown,
        ...listed(SQL_TEXT, [batch({ metrics: [metric(), metric({ model_id: 'm-nope' })], params: [{ key: 'q', value: '2' }] })]),
        ...listed('the stock server keeps params and metrics of a refused batch', [shown], {
          status: 200,
          has: { 'run.data.params': [{ key: 'p', value: '1' }], 'run.data.metrics': undefined },
        }),
      ],
    },
    ...eachAfter('batch that ours refuses', started, [
      ...listed(BUG_500, [{ metrics: [5] }, { metrics: ['x'] }, { metrics: [null] }, { params: [5] }, { tags: ['x'] }].map(batch)),
      ...listed(
        DROPPED,
        [
          { metrics: [metric({ value: 'x' })] },
          { metrics: [metric({ value: [1] })] },
          { metrics: [metric({ value: true })] },
          { metrics: [metric({ timestamp: 1.5 })] },
          { metrics: [metric({ timestamp: 'x' })] },
          { metrics: [metric({ step: 'x' })] },
          { metrics: [metric({ key: 5 })] },
          { params: [{ key: 'v', value: 5 }] },
          { params: [{ key: 5, value: '5' }] },
          { tags: [{ key: 'v', value: true }] },
        ].map(batch),
      ),
      ...listed(SQL_TEXT, [batch({ tags: [{ key: 'mlflow.runName', value: 'x'.repeat(251) }] })]),
    ]),
    {
      name: 'null lists',
      steps: [
        ...started,
        ...listed(
          BUG_500,
          ['metrics', 'params', 'tags'].map((list) => batch({ [list]: null })),
          { status: 200, body: {} },
        ),
      ],
    },
    ...[
      {
        datasets: [dataset({ schema: '{"a":1}', profile: '{}' }, [{ key: 'mlflow.data.context', value: 'train' }]), dataset({ name: 'B' })],
      },
      { datasets: [dataset(), dataset()] },
      { datasets: [dataset({}, [{ key: 'a', value: '1' }, { key: 'b', value: '' }, { key: 'c' }])] },
      { datasets: [dataset({}, []), dataset({ digest: 'd2' }, null)] },
      { datasets: [{}] },
      { datasets: [{ dataset: {} }] },
      { datasets: [{ dataset: { name: 'x' } }] },
      { datasets: [{ dataset: null, tags: [{ key: 'k', value: 'v' }] }] },
      { datasets: [] },
      { datasets: null },
      { datasets: [dataset({ name: 'x'.repeat(500), digest: 'd'.repeat(36), source_type: 'x'.repeat(36), schema: '', profile: '' })] },
      { datasets: [{ dataset: { name: 'a', digest: 'b', sourceType: 'camel', source: 's' } }] },
      { models: [{ model_id: 'm-1' }] },
      { models: [{ modelId: 'm-2' }, { model_id: 'm-3' }] },
      { models: [{ model_id: 'm-1' }], datasets: [dataset()] },
      { models: [] },
      {},
    ].map((more, i) => ({ name: `inputs ${i}`, steps: [...started, of('log-inputs', more), shown, of('log-inputs', more), shown] })),
    ...eachAfter('bad inputs', started, [
      ...[
        { datasets: 'x' },
        { datasets: {} },
        { models: 'x' },
        { datasets: [dataset({ name: 'n'.repeat(501) })] },
        { datasets: [dataset({ digest: 'd'.repeat(37) })] },
        { datasets: [dataset({ source: 'd'.repeat(65_536) })] },
        { datasets: [dataset({ schema: 'd'.repeat(1_048_576) })] },
        { datasets: [dataset({}, [{ key: 'k'.repeat(256), value: '1' }])] },
        { datasets: [dataset({}, [{ key: 'k', value: '1'.repeat(501) }])] },
      ].map((more) => of('log-inputs', more)),
      ...listed(
        DROPPED,
        [
          { datasets: [dataset({ name: 5 })] },
          { datasets: [{ dataset: 5 }] },
          { datasets: ['x'] },
          { datasets: [dataset({}, [{ key: 5 }])] },
          { models: [{}] },
          { models: [5] },
        ].map((more) => of('log-inputs', more)),
      ),
    ]),
    {
      name: 'inputs of two runs',
      steps: [
        ...started,
        create({ run_name: 'two' }, 's'),
        of('log-inputs', { datasets: [dataset({ source: 'first' }, [{ key: 'mlflow.data.context', value: 'train' }])] }),
        of('log-inputs', { datasets: [dataset({ source: 'second' }, [{ key: 'mlflow.data.context', value: 'eval' }])] }, '{{s}}'),
        of('log-inputs', { datasets: [dataset({ source: 'third' }, [{ key: 'mlflow.data.context', value: 'test' }])] }),
        shown,
        get('runs/get', { run_id: '{{s}}' }),
        post('runs/search', { experiment_ids: ['{{e}}'], order_by: ['run_name'] }),
      ],
    },
    {
      name: 'outputs',
      steps: [
        ...started,
        of('outputs', { models: [{ model_id: 'm-2', step: 3 }, { model_id: 'm-3' }] }),
        shown,
        of('outputs', { models: [] }),
        of('outputs', { models: [{ model_id: 'm-4', step: '5' }] }),
        of('outputs', { models: [{ modelId: 'm-5', step: -1 }] }),
        shown,
        { ...post('runs/search', { experiment_ids: ['{{e}}'] }), unordered: ['model_outputs'] },
        ...listed('logging an output again is fine', [of('outputs', { models: [{ model_id: 'm-2', step: 4 }] })], {
          status: 200,
          body: {},
        }),
      ],
    },
    ...eachAfter('bad outputs', started, [
      of('outputs'),
      ...[null, 'x', {}, '', 5].map((models) => of('outputs', { models })),
      ...listed(
        DROPPED,
        [[5], ['x'], [{}], [{ model_id: 5 }], [{ model_id: 'm', step: 'x' }]].map((models) => of('outputs', { models })),
      ),
    ]),
    {
      name: 'log-model',
      steps: [
        ...started,
        of('log-model', { model_json: JSON.stringify(model) }),
        shown,
        of('log-model', { model_json: JSON.stringify({ ...model, artifact_path: 'ünï', model_uuid: 'u', extra: 1 }) }),
        shown,
      ],
    },
    ...eachAfter('bad log-model', started, [
      ...['x', '{}', '', JSON.stringify({ ...model, flavors: undefined }), null, 5, [], {}].map((model_json) =>
        of('log-model', { model_json }),
      ),
      ...listed(
        BUG_500,
        ['[]', '5', 'null', JSON.stringify({ ...model, flavors: 'x' })].map((model_json) => of('log-model', { model_json })),
      ),
    ]),
  ],
};
