import { eachAfter, type Group, get, listed, post, type Step } from '../case.ts';

const DROPPED = 'the stock server drops or mangles the field without a word';
const BUG_500 = 'a 500 on the stock server';
const BARE_NAN = 'a NaN is the text "NaN": a bare NaN is no JSON';

const made = post('experiments/create', { name: '{{n}}' }, { save: { e: 'experiment_id' } });
const create = (id: string): Step => post('runs/create', { experiment_id: '{{e}}', run_name: id }, { save: { [id]: 'run.info.run_id' } });
const started = [made, create('r')];
const log = (more: object = {}): Step => post('runs/log-metric', { run_id: '{{r}}', key: 'm', value: 1, timestamp: 1, ...more });
const points = (run: string, count: number, more: (i: number) => object = () => ({})): Step =>
  post('runs/log-batch', {
    run_id: `{{${run}}}`,
    metrics: Array.from({ length: count }, (_, i) => ({ key: 'm', value: i / 10, timestamp: 1000 + i, step: i, ...more(i) })),
  });
const shown = get('runs/get', { run_id: '{{r}}' });
const history = (more: Record<string, string | string[]> = {}, extra: Partial<Step> = {}) =>
  get('metrics/get-history', { run_id: '{{r}}', metric_key: 'm', ...more }, { ordered: ['metrics'], ...extra });
const bulk = (more: Record<string, string | string[]> = {}) =>
  get('/ajax-api/2.0/mlflow/metrics/get-history-bulk', { run_id: '{{r}}', metric_key: 'm', ...more }, { ordered: ['metrics'] });
const interval = (more: Record<string, string | string[]> = {}) =>
  get('/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval', { run_ids: '{{r}}', metric_key: 'm', ...more }, { ordered: ['metrics'] });
const without = (step: Step, name: string): Step => ({
  ...step,
  query: Object.fromEntries(Object.entries(step.query ?? {}).filter(([key]) => key !== name)),
});

const world: Step[] = [
  made,
  ...['r', 's', 't'].map(create),
  points('r', 20),
  points('s', 7, (i) => ({ step: 10 - i, value: -i })),
  log({ key: 'nan', value: 'NaN' }),
  log({ key: 'nan', value: 2, timestamp: 0 }),
  log({ key: 'inf', value: 'Infinity' }),
  log({ key: 'inf', value: '-Infinity', timestamp: 2 }),
  log({ key: 'same', value: 1, step: 1 }),
  log({ key: 'same', value: 2, step: 1 }),
  log({ key: 'same', value: 3, step: 1, timestamp: 0 }),
  log({ key: 'a b/c', value: 3, step: -5, timestamp: 0 }),
];

export const metrics: Group = {
  group: 'metrics',
  cases: [
    ...[
      {},
      { value: 0 },
      { value: -0 },
      { value: -3.25 },
      { value: 1e-7 },
      { value: 1e21 },
      { value: 1.7976931348623157e308 },
      { value: 5e-324 },
      { value: '3.5' },
      { value: '1e3' },
      { value: ' 7 ' },
      { value: '-Infinity' },
      { value: 'Infinity' },
      { value: 'NaN' },
      { value: 'NAN' },
      { value: '-nan' },
      { value: 'inf' },
      { value: '-iNf' },
      { value: '1_0' },
      { value: '1.' },
      { value: '.5e1' },
      { timestamp: '1_0', step: '+3' },
      { timestamp: 0 },
      { timestamp: '5', step: '6' },
      { timestamp: 5.0, step: 6.0 },
      { timestamp: 9_000_000_000_000_000 },
      { step: -3 },
      { step: 0 },
      { step: null },
      { step: '-4' },
      { step: 2_147_483_648 },
      { model_id: '' },
      { model_id: null },
      { dataset_name: 'd', dataset_digest: 'x' },
      { datasetName: 'd', datasetDigest: 'x', modelId: '' },
      { extra: 1 },
    ].map((more, i) => ({ name: `log ${i}`, steps: [...started, log(more), shown, history()] })),
    ...eachAfter('bad log', started, [
      ...['key', 'value', 'timestamp', 'run_id'].map((name) => log({ [name]: undefined })),
      ...['key', 'value', 'timestamp', 'run_id'].map((name) => log({ [name]: '' })),
      ...['key', 'value', 'timestamp', 'run_id'].map((name) => log({ [name]: null })),
      log({ timestamp: -1 }),
      log({ timestamp: -1, value: 1.25 }),
      log({ timestamp: -1, value: 'NaN' }),
      log({ timestamp: -1, value: 'Infinity' }),
      log({ timestamp: -1, value: 1e16 }),
      log({ timestamp: -1, value: 1e15 }),
      log({ timestamp: -1, value: 1e-7 }),
      log({ timestamp: -1, value: 0.0001 }),
      log({ timestamp: '-1' }),
      log({ timestamp: 'x' }),
      log({ step: 'x' }),
      log({ step: '' }),
      log({ value: 'x' }),
      log({ value: '1,5' }),
      log({ value: '0x10' }),
      log({ value: '' }),
      log({ run_id: 'nope' }),
      log({ run_id: 5 }),
      log({ model_id: 5 }),
      log({ dataset_name: [] }),
      log({ dataset_name: 'd' }),
      log({ dataset_digest: 'x' }),
      log({ dataset_name: 'd', dataset_digest: '', key: 'a%' }),
    ]),
    ...eachAfter('log that ours refuses', started, [
      ...listed(DROPPED, [
        log({ value: true }),
        log({ value: 'nan' }),
        log({ timestamp: 1.5 }),
        log({ timestamp: true }),
        log({ step: 1.5 }),
        log({ step: '1.0' }),
      ]),
      ...listed(BUG_500, [log({ value: [1] }), log({ value: {} }), log({ timestamp: [] }), log({ timestamp: {} }), log({ step: [1] })]),
      ...listed('the stock server answers with SQL in the text', [log({ model_id: 'm-nope' })], { status: 404 }),
      ...listed('a number out of range', [
        log({ step: '9223372036854775808' }),
        log({ timestamp: '99999999999999999999' }),
        log({ step: 1e30 }),
      ]),
    ]),
    {
      name: 'latest',
      steps: [
        ...started,
        ...[
          { value: 1.5, timestamp: 10, step: 1 },
          { value: 2, timestamp: 5, step: 2 },
          { value: 9, timestamp: 50, step: 0 },
          { value: 3.5, timestamp: 5, step: 2 },
          { value: 3.5, timestamp: 5, step: 2 },
          { value: 'NaN', timestamp: 5, step: 2 },
          { value: -1, timestamp: 5, step: 2 },
          { value: 'NaN', timestamp: 6, step: 2 },
          { value: 1, timestamp: 6, step: 2 },
          { value: -1, timestamp: 6, step: 3 },
          { value: 'NaN', timestamp: 6, step: 3 },
        ].flatMap((more) => [log(more), shown]),
        history(),
      ],
    },
    {
      name: 'of a deleted run',
      steps: [...started, log(), post('runs/delete', { run_id: '{{r}}' }), log({ value: 2 }), history(), interval(), bulk()],
    },
    {
      name: 'history',
      steps: [
        ...world,
        ...['m', 'inf', 'same', 'a b/c', 'nope', ' '].flatMap((metric_key) => [
          history({ metric_key }),
          interval({ metric_key }),
          bulk({ metric_key }),
        ]),
        history({ metric_key: 'nan' }),
        interval({ metric_key: 'nan' }),
        ...listed(BARE_NAN, [bulk({ metric_key: 'nan' })], { status: 200 }),
        get('/ajax-api/2.0/mlflow/metrics/get-history', { run_id: '{{r}}', metric_key: 'm' }),
        get('metrics/get-history', { run_uuid: '{{r}}', metric_key: 'm' }),
        get('metrics/get-history', { run_id: 'nope', metric_key: 'm' }),
        get('metrics/get-history'),
        without(history(), 'run_id'),
        without(history(), 'metric_key'),
        history({ metric_key: '' }),
        history({ run_id: '' }),
        ...['1', '5', '19', '20', '21', '25000', '0', '-1'].map((max_results) => history({ max_results })),
        history({ max_results: '7' }, { save: { token: 'next_page_token' } }),
        history({ max_results: '7', page_token: '{{token}}' }, { save: { next: 'next_page_token' } }),
        history({ max_results: '7', page_token: '{{next}}' }),
        history({ max_results: '20', page_token: '{{token}}' }),
        history({ page_token: '' }),
        history({ page_token: '{{token}}' }),
        ...listed('a page token is that of one search', [
          history({ page_token: 'abc' }),
          history({ page_token: '!!' }),
          history({ page_token: 'e30=' }),
          history({ metric_key: 'same', page_token: '{{token}}', max_results: '1' }),
        ]),
        ...listed(DROPPED, [history({ max_results: 'x' }), history({ max_results: '1.5' }), history({ max_results: '' })]),
      ],
    },
    {
      name: 'history in bulk',
      steps: [
        ...world,
        { ...bulk({ run_id: ['{{r}}', '{{s}}'] }), ordered: [] },
        bulk({ run_id: ['{{s}}', 'nope', '{{t}}'] }),
        bulk({ run_id: ['{{r}}', '{{r}}'] }),
        ...['1', '2', '25000', '25001', '0', '19', ' 3 ', '+3', '1_0'].map((max_results) => bulk({ max_results })),
        bulk({ run_id: 'nope' }),
        bulk({ run_id: '' }),
        bulk({ metric_key: '' }),
        without(bulk(), 'run_id'),
        without(bulk(), 'metric_key'),
        bulk({ run_id: Array.from({ length: 100 }, () => 'x') }),
        bulk({ run_id: Array.from({ length: 101 }, () => 'x') }),
        ...listed(
          BUG_500,
          ['x', '', '1.5'].map((max_results) => bulk({ max_results })),
        ),
        ...listed('no point can be left out by a negative number', [bulk({ max_results: '-1' })]),
      ],
    },
    {
      name: 'sampled history',
      steps: [
        ...world,
        ...['1', '2', '3', '4', '6', '7', '9', '10', '13', '19', '20', '21', '100', '2500'].map((max_results) => interval({ max_results })),
        ...['1', '2', '3', '5', '7'].map((max_results) => interval({ run_ids: ['{{s}}', '{{r}}'], max_results })),
        interval({ run_ids: ['{{s}}', 'nope', '{{t}}'] }),
        interval({ run_ids: 'nope' }),
        ...listed('a run named twice is answered once', [interval({ run_ids: ['{{r}}', '{{r}}'], max_results: '3' })], { status: 200 }),
        ...[
          ['3', '8'],
          ['0', '0'],
          ['3', '3'],
          ['-5', '100'],
          ['100', '200'],
          ['8', '3'],
          [' 3', '+8'],
        ].flatMap(([start_step = '', end_step = '']) => [
          interval({ start_step, end_step }),
          interval({ start_step, end_step, max_results: '2' }),
          interval({ start_step, end_step, max_results: '3', run_ids: ['{{r}}', '{{s}}'] }),
        ]),
        interval({ start_step: '3' }),
        interval({ end_step: '3' }),
        ...['0', '-1', '2501', 'x'].map((max_results) => interval({ max_results })),
        interval({ start_step: 'x', end_step: '5' }),
        interval({ start_step: '1', end_step: 'y' }),
        interval({ metric_key: '' }),
        interval({ run_ids: '' }),
        without(interval(), 'run_ids'),
        without(interval(), 'metric_key'),
        get('/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval'),
        get('metrics/get-history-bulk-interval', { run_ids: '{{r}}', metric_key: 'm' }),
        interval({ run_ids: Array.from({ length: 100 }, () => 'x') }),
        interval({ run_ids: Array.from({ length: 101 }, () => 'x') }),
      ],
    },
    ...['m', 'key with a space'].flatMap((key) =>
      [
        { name: `many points ${key}`, step: (i: number) => ({ key, step: i % 5, timestamp: 1000 + ((i * 7) % 50) }) },
        { name: `equal steps ${key}`, step: (i: number) => ({ key, step: 1, timestamp: 5, value: (i * 13) % 50 }) },
        { name: `gaps ${key}`, step: (i: number) => ({ key, step: i * i, timestamp: i }) },
      ].map(({ name, step }) => ({
        name,
        steps: [
          ...started,
          points('r', 50, step),
          shown,
          history({ metric_key: key }),
          bulk({ metric_key: key }),
          ...['1', '2', '5', '10', '49'].map((max_results) => interval({ metric_key: key, max_results })),
          interval({ metric_key: key, max_results: '3', start_step: '1', end_step: '3' }),
        ],
      })),
    ),
  ],
};
