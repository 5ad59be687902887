import { type Group, get, lines, listed, post, type Step } from '../case.ts';

const DROPPED = 'the stock server drops or mangles the field without a word';
const BUG_500 = 'a 500 on the stock server';

const experiment = (name: string, id: string): Step =>
  post('experiments/create', { name: `{{n}}${name}` }, { save: { [id]: 'experiment_id' } });
const pairs = (values: Record<string, string>) => Object.entries(values).map(([key, value]) => ({ key, value }));
type Seed = {
  start: number;
  of?: string;
  user?: string;
  status?: string;
  end?: number;
  metrics?: Record<string, unknown>;
  params?: Record<string, string>;
  tags?: Record<string, string>;
};
const run = (id: string, { start, of = 'e', user, status, end, metrics = {}, params = {}, tags = {} }: Seed): Step[] => [
  post(
    'runs/create',
    { experiment_id: `{{${of}}}`, run_name: id, start_time: start, ...(user && { user_id: user }) },
    { save: { [id]: 'run.info.run_id' } },
  ),
  post('runs/log-batch', {
    run_id: `{{${id}}}`,
    metrics: Object.entries(metrics).map(([key, value]) => ({ key, value, timestamp: 1 })),
    params: pairs(params),
    tags: pairs(tags),
  }),
  ...(status ? [post('runs/update', { run_id: `{{${id}}}`, status, end_time: end })] : []),
];
const dataset = (name: string, digest: string, context?: string) => ({
  dataset: { name, digest, source_type: 'l', source: 's' },
  ...(context && { tags: pairs({ 'mlflow.data.context': context, other: 'x' }) }),
});

const world: Step[] = [
  experiment('', 'e'),
  experiment('-other', 'f'),
  ...run('r0', { start: 100, metrics: { m: 1, 'a b': 5 }, params: { p: '1', lr: '0.1' }, tags: { t: 'x', 'mlflow.user': 'Bob' } }),
  ...run('r1', { start: 110, metrics: { m: 2 }, params: { p: '2' }, tags: { t: 'y' } }),
  ...run('r2', { start: 300, metrics: { m: 'NaN', 'a b': -1 }, params: { p: '10' }, tags: { T: 'y' }, status: 'FINISHED', end: 900 }),
  ...run('R3', { start: 200, params: { q: '1', 'a b': 'c' }, status: 'FAILED', end: 800 }),
  ...run('r4', {
    start: 50,
    user: 'me',
    metrics: { m: -3.5, 'val/loss': 0.1 },
    params: { p: "it's" },
    tags: { t: 'x%y', 'dash-key': 'v' },
  }),
  ...run('r5', { start: 60, metrics: { m: 'Infinity', key: 1 }, params: { p: '', e: 'x\\y' }, tags: { t: 'XY', 'a b': 'Z', name: 'v' } }),
  ...run('r6', { start: 400, of: 'f', metrics: { m: 2.5 }, tags: { t: 'z' }, status: 'FINISHED', end: 950 }),
  ...run('r7', { start: 500, metrics: { m: 3 }, tags: { t: 'x' } }),
  post('runs/delete', { run_id: '{{r7}}' }),
  post('runs/log-inputs', { run_id: '{{r0}}', datasets: [dataset('iris', 'd1', 'train'), dataset('wine', 'd2', 'eval')] }),
  post('runs/log-inputs', { run_id: '{{r1}}', datasets: [dataset('iris', 'd1')], models: [{ model_id: 'm-1' }] }),
  post('runs/log-inputs', { run_id: '{{r2}}', datasets: [dataset('Iris', 'd3', 'Train')] }),
  post('runs/outputs', { run_id: '{{r1}}', models: [{ model_id: 'm-2', step: 1 }] }),
];
const search = (more: object = {}, extra: Partial<Step> = {}) =>
  post('runs/search', { experiment_ids: ['{{e}}'], ...more }, { unordered: ['dataset_inputs'], ...extra });

const filters = lines(`
  metrics.m > 1
  metrics.m >= 2
  metrics.m = 2
  metrics.m = 2.0
  metrics.m != 2
  metrics.m < 0
  metrics.m <= 1.0
  metric.m > -4
  metrics.m = 0
  metrics.m != 0
  metrics.m >= 0
  metrics.m > 1e0
  metrics.m > -1e-2
  metrics.m > 1.
  metrics.m > .5
  metrics.m > -.5
  metrics.m > 1e308
  metrics.m > 999999999999999999999999
  metrics.\`a b\` = 5
  metrics."a b" = 5
  metrics.\`val/loss\` < 1
  metrics."val/loss" < 1
  metrics.\`m\` > 1
  metrics.key = 1
  metrics.nope > 1
  metrics.m>1 and metrics.m<3
  metrics.m = '2'
  metrics.m = NaN
  metrics.m IN (1)
  metrics.m IS NULL
  metrics.m IS NOT NULL
  metrics.m = x
  metrics.m BETWEEN 1 AND 2
  metrics.m LIKE 2
  metrics.m == 2
  metrics.m <> 2
  tags.t RLIKE 'x'
  tags.t > 'x'
  start_time LIKE 100
  end_time == 100
  dataset.name > 'x'
  dataset.context RLIKE 'x'
  metrics.5m > 1
  params.p > '1' AND foo = 'x'
  params.p = '1'
  param.p = "1"
  parameter.p != '1'
  parameters.p LIKE '1%'
  params.p LIKE '%'
  params.p ILIKE '%T%'
  params.p like '1%'
  params.p ilike '%T%'
  params.p = ''
  params.p != ''
  params.e = 'x\\y'
  params.e LIKE 'x%y'
  params.p = "it's"
  params.p = 'it''s'
  params.\`a b\` = 'c'
  params."a b" = 'c'
  params."p" = '2'
  params.p IS NULL
  params.p IS NOT NULL
  params.p is null and tags.t is not null
  params.q IS NOT NULL AND params.p IS NULL
  params.p = 1
  params.p > '1'
  params.p IN ('1')
  params.p NOT IN ('1')
  params.p = \`1\`
  params.p = abc
  params.p RLIKE '1'
  params.p NOT LIKE '1'
  Params.p = '1'
  tags.t = 'x'
  tag.t != 'x'
  tags.t LIKE 'x%'
  tags.t LIKE '_'
  tags.t LIKE 'x\\%%'
  tags.t LIKE '%\\%%'
  tags.t ilike 'X'
  tags.t ILIKE 'x%'
  tags.T = 'y'
  tags.\`dash-key\` = 'v'
  tags."dash-key" = 'v'
  tags.\`a b\` ILIKE 'z'
  tags.mlflow.user = 'Bob'
  tags.\`mlflow.user\` = 'Bob'
  tags.mlflow.runName = 'r0'
  tags.\`mlflow.parentRunId\` IS NULL
  tags.name = 'v'
  tags.t = 5
  tags.t IN ('x')
  tags.t NOT IN ('x')
  tags.t = x.y
  tags.t = ''
  tags.\`t\` = "x"
  tags.t = 'x' AND tags.t != 'y'
  attributes.status = 'RUNNING'
  attribute.status != 'RUNNING'
  status = 'FINISHED'
  status = 'finished'
  status = 'NOPE'
  attr.status LIKE 'F%'
  run.status ILIKE 'f%'
  status IN ('FINISHED')
  status = 5
  status IS NULL
  attributes.status = RUNNING
  run_id = '{{r1}}'
  run_id IN ('{{r0}}','{{r2}}')
  run_id IN ("{{r0}}")
  run_id IN ('{{r0}}',)
  run_id in ('{{r0}}', '{{r6}}')
  run_id NOT IN ('{{r0}}')
  run_id not in ('{{r0}}', '{{r1}}') and start_time > 0
  attributes.run_id != '{{r1}}'
  run_id LIKE '%'
  run_id IN ()
  run_id IN '{{r0}}'
  run_id IN (1, 2)
  run_id IS NOT NULL
  start_time > 100
  attributes.start_time >= 100
  start_time = 100
  start_time != 100
  start_time > 100.5
  start_time < 1e2
  start_time = '100'
  start_time = x
  start_time IN (100)
  created > 100
  created = 'x'
  attributes.\`Created\` = x
  attributes.\`run name\` IS NULL
  params.e LIKE '%\\\\%'
  params.p = 'x\\'
  params.p = 'x\\\\'
  params.p != 'it\\'s'
  tags.ключ = 'x'
  params.été != 'x'
  metrics.m	>	1
  tags.t = '-- x'
  tags.t = 'a AND b'
  tags.t = '; drop'
  attributes.Created < 300
  attributes.created = 100
  end_time < 850
  end_time > 0
  end_time != 800
  end_time = 0
  end_time >= 900
  end_time IS NULL
  run_name = 'r0'
  attributes.run_name LIKE 'r%'
  attributes.run_name ILIKE 'r%'
  attributes.run_name IN ('r0')
  attributes.\`run name\` = 'r0'
  attributes.\`Run name\` = 'r1'
  attributes."Run Name" = 'r1'
  attributes.run_name != 'r0'
  user_id = 'me'
  user_id = ''
  attributes.user_id != 'me'
  artifact_uri LIKE 'mlflow-artifacts%'
  artifact_uri ILIKE '%{{r0}}%'
  experiment_id = '1'
  lifecycle_stage = 'active'
  attributes.foo = 'x'
  datasets.name = 'iris'
  dataset.name = 'iris' and dataset.digest = 'd2'
  dataset.name = 'iris' and dataset.context = 'eval'
  dataset.name IN ('wine','x')
  dataset.name NOT IN ('wine')
  dataset.name LIKE 'i%'
  dataset.name ILIKE 'i%'
  dataset.name != 'iris'
  dataset.digest != 'd1'
  dataset.digest IN ('d1', 'd3')
  dataset.context = 'train'
  dataset.context != 'train'
  dataset.context IN ('train','eval')
  dataset.context NOT IN ('train')
  dataset.context LIKE 'ev%'
  dataset.context ILIKE 'TR%'
  datasets.\`name\` = 'iris'
  dataset.foo = 'x'
  dataset.name = 5
  dataset.name = x
  dataset.name IS NULL
  dataset.name IN ()
  foo.bar = 'x'
  foo = 'x'
  metrics.m > 1 AND params.p = '2'
  metrics.m > 1 and params.p = '2' AND tags.t='y'
  status='RUNNING'and start_time>60
  metrics.m > 1 AND
  AND metrics.m > 1
  metrics.m > 1 params.p = '2'
  metrics.m > 1 OR metrics.m < 0
  (metrics.m > 1)
  metrics.m > 1;
  metrics.m > 1; params.p = '1'
  metrics.m
  metrics.m >
  > 1
  NOT metrics.m > 1
  1 < metrics.m
  metrics.m > 1,params.p='2'
  name = 'x'
  tags.key = 'v'
  params.type = 'a'
  metrics.count > 1
  tags.order = '1'
  params.group = 'g'
  tags.select = 'x'
  tags.timestamp = 'x'
  tags.user = 'x'
  params.max = '1'
  metrics.f1 > 0.5
  metrics.f1_score > 0.5
  metrics._x > 0.5
  metrics.m > 1 and tags.mlflow.source.type = 'LOCAL'
  params.learning_rate = '0.01' and metrics.accuracy >= 0.9
  \`metrics\`.m > 1
`);
/** Parts of a name that start with a digit, and slashes: only in quotes on the stock server. */
const barer = lines(`
  params.model.layers.0 = 'x'
  tags.in = 'x'
  tags.0 = 'x'
  params.layer.0.weight = 'x'
  metrics.a$ > 1
  metrics.m@1 > 2
  metrics.a#b > 1
`);
const badTokens = lines(`
  metrics.m > 1 -- c
  params.p = 'x"
  params.p = '1
  metrics. > 1
  metrics.m > 0x1
  metrics.m > +1
  run_id IN (1)
  tags.t = NULL
  params.p = 'x\\' AND tags.t = 'x'
  tags.t = true
  metrics.m = true
  tags.t IS NULL, params.p = '1'
  (tags.t = 'x'; params.p = '1')
`);
/** A keyword of SQL, and what only the database of the stock server finds out. */
const refusedOtherwise = lines(`
  tags.dash-key = 'v'
  timestamp > 1
  run_id = ('{{r0}}')
  dataset.name = ('iris')
  tags.t LIKE '%\\'
  tags.t ILIKE 'x\\\\\\'
  params.p LIKE 'x\\'
`);
const orders: unknown[] = [
  ...lines(`
    metrics.m
    metrics.m ASC
    metrics.m DESC
    metric.m desc
    metrics.\`m\` desc
    metrics."m" asc
    metrics.\`a b\` ASC
    metrics.\`a b\`
    metrics."a b" DESC
    metrics.\`val/loss\`
    metrics.nope
    params.p
    params.p DESC
    params.\`a b\` DESC
    param.p asc
    tags.t ASC
    tags.t DESC
    tags.\`dash-key\`
    tags.mlflow.user
    tags.\`mlflow.user\` DESC
    tags.mlflow.runName
    start_time
    attributes.start_time ASC
    start_time DESC
    end_time
    end_time DESC
    run_name
    attributes.run_name DESC
    status
    status DESC
    user_id DESC
    created DESC
    Created
    attr.status
    run.run_name
    foo
    foo.bar
    attributes.foo
    experiment_id
    metrics.m foo
    metrics.m, params.p
    metrics.m DESC ASC
    run name
    dataset.name
    metrics.
    5
    metrics.m;
    metrics.val/loss
    attributes.\`run name\`
  `).map((clause) => [clause]),
  ['metrics.m DESC', 'start_time ASC', 'run_name DESC'],
  ['status', 'run_name'],
  ['tags.t', 'metrics.m DESC'],
  [''],
  [' '],
  [],
  null,
  'x',
  {},
];

export const runsSearch: Group = {
  group: 'runs-search',
  cases: [
    {
      name: 'filters',
      steps: [
        ...world,
        ...filters.map((filter) => search({ filter })),
        ...filters.slice(0, 60).map((filter) => search({ filter, run_view_type: 'ALL', experiment_ids: ['{{e}}', '{{f}}'] })),
      ],
    },
    {
      name: 'names without quotes',
      steps: [
        ...world,
        ...listed(
          'a name with such parts needs no quotes',
          barer.map((filter) => search({ filter })),
          { status: 200, body: {} },
        ),
        ...listed('numbers may be written as Python prints them', [search({ filter: 'metrics.m > 1e+20' })], {
          status: 200,
          has: { 'runs.0.info.run_name': 'r5' },
        }),
        ...listed('a name with such parts needs no quotes', [search({ filter: 'params.from IS NULL' })], {
          status: 200,
          has: { 'runs.0.info.run_name': 'r2' },
        }),
      ],
    },
    {
      name: 'bad tokens',
      steps: [
        ...world,
        ...badTokens.map((filter) => search({ filter })),
        ...listed(
          'another sentence about a bad token',
          refusedOtherwise.map((filter) => search({ filter })),
        ),
      ],
    },
    {
      name: 'order',
      steps: [
        ...world,
        ...orders.map((order_by) => search({ order_by })),
        ...orders.slice(0, 30).map((order_by) => search({ order_by, experiment_ids: ['{{f}}', '{{e}}'], run_view_type: 'ALL' })),
        ...listed(BUG_500, [search({ order_by: ['metrics.m', 'metrics.m DESC'] }), search({ order_by: ['start_time', 'created'] })]),
        search({ order_by: [5] }),
      ],
    },
    {
      name: 'pages',
      steps: [
        ...world,
        ...['metrics.m DESC', 'params.p', 'tags.t DESC', 'end_time', 'start_time', 'run_name', 'metrics.`a b`'].flatMap((clause) => [
          search({ max_results: 2, order_by: [clause] }, { save: { token: 'next_page_token' } }),
          search({ max_results: 2, order_by: [clause], page_token: '{{token}}' }, { save: { next: 'next_page_token' } }),
          search({ max_results: 2, order_by: [clause], page_token: '{{next}}' }),
          search({ max_results: 5, order_by: [clause], page_token: '{{token}}' }),
        ]),
        ...[1, 5, 6, 7, '3', 50_000, 50_001, '50001', 0, -1, 'x', '', 1e3, 2.0].map((max_results) => search({ max_results })),
        ...['', null].map((page_token) => search({ page_token })),
        ...listed('a page token is that of one search', [
          search({ page_token: 'abc' }),
          search({ page_token: '!!' }),
          search({ page_token: 'e30=' }),
          search({ page_token: '{{token}}', filter: 'metrics.m > 1' }),
        ]),
        ...listed(DROPPED, [search({ max_results: 1.5 }), search({ max_results: true }), search({ page_token: 5 })]),
        ...listed(BUG_500, [search({ max_results: [] }), search({ max_results: {} })]),
        ...listed(BUG_500, [search({ max_results: null })], { status: 200, has: { 'runs.0.info.run_name': 'r2' } }),
      ],
    },
    {
      name: 'experiments and lifecycle',
      steps: [
        ...world,
        ...[
          [],
          null,
          ['{{e}}', '{{f}}'],
          ['{{f}}', '{{e}}'],
          ['{{e}}', '{{e}}'],
          ['999999999'],
          [' {{e}}'],
          ['{{e}}', '999999999'],
          ['abc'],
          [''],
          'x',
          {},
          5,
        ].map((experiment_ids) => search({ experiment_ids })),
        post('runs/search'),
        post('runs/search', { filter: 'nope' }),
        post('runs/search', { experiment_ids: [], filter: 'foo.x = 1' }),
        post('runs/search', { experiment_ids: [], order_by: ['foo'] }),
        post('runs/search', { experiment_ids: [], max_results: 50_001 }),
        post('/ajax-api/2.0/mlflow/runs/search', { experiment_ids: ['{{e}}'], runViewType: 'ALL', maxResults: 1, orderBy: ['run_name'] }),
        ...['ALL', 'ACTIVE_ONLY', 'DELETED_ONLY', 1, 2, 3, '3', null].map((run_view_type) => search({ run_view_type })),
        ...listed(
          DROPPED,
          ['NOPE', 'all', 9, 0, true, ''].map((run_view_type) => search({ run_view_type })),
        ),
        ...listed(
          BUG_500,
          [[], {}].map((run_view_type) => search({ run_view_type })),
        ),
        ...[5, [], {}, true, ' ', '', null].map((filter) => search({ filter })),
        ...listed(DROPPED, [search({ experiment_ids: ['{{e}}', 5] })]),
        post('experiments/delete', { experiment_id: '{{f}}' }),
        search({ experiment_ids: ['{{f}}'] }),
        search({ experiment_ids: ['{{f}}'], run_view_type: 'DELETED_ONLY' }),
        search({ experiment_ids: ['{{e}}', '{{f}}'], run_view_type: 'ALL' }),
        get('runs/get', { run_id: '{{r6}}' }),
      ],
    },
  ],
};
