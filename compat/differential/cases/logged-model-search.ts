import { del, type Group, get, lines, listed, patch, post, type Step } from '../case.ts';

const DROPPED = 'the stock server drops or mangles the field without a word, or answers 500';
const BROKEN = 'a 500 on the stock server';
const FOUND = 'double quotes and aliases work as in the other searches; the stock server finds nothing, or breaks';
const TOKEN = 'the token is our own; the sentence says the same';
const EMPTY_LIST = 'an empty list finds nothing, whatever there is';

/** Four models of an experiment with params, tags and metrics; the run `run` made the first. */
const world: Step[] = [
  post('experiments/create', { name: '{{n}}' }, { save: { exp: 'experiment_id' } }),
  post('runs/create', { experiment_id: '{{exp}}', run_name: 'r', start_time: 1 }, { save: { run: 'run.info.run_id' } }),
  ...[
    {
      name: 'alpha',
      model_type: 'Agent',
      source_run_id: '{{run}}',
      params: { lr: '0.1', kind: 'tree', 'a b': 'x y' },
      tags: { stage: 'dev', 'k.dot': '1', 'it"s': 'q' },
    },
    { name: 'beta', model_type: 'agent', params: { lr: '0.01', kind: 'linear' }, tags: { stage: 'prod' } },
    { name: 'alphabet', model_type: '', params: { lr: 'abc' }, tags: { stage: 'Dev', empty: '' } },
    { name: 'Gamma_100', params: {}, tags: {} },
  ].map(
    ({ params, tags, ...model }, i): Step => ({
      ...post('logged-models', { experiment_id: '{{exp}}', ...model, params: pairs(params), tags: pairs(tags) }),
      save: { [`m${i}`]: 'model.info.model_id' },
    }),
  ),
  patch('logged-models/{{m0}}', { model_id: '{{m0}}', status: 2 }),
  patch('logged-models/{{m1}}', { model_id: '{{m1}}', status: 3 }),
  post('runs/log-batch', {
    run_id: '{{run}}',
    metrics: [
      metric('m0', 'acc', 0.9, 2, 'iris', 'd1'),
      metric('m0', 'acc', 0.5, 1, 'iris', 'd1'),
      metric('m0', 'loss', 1, 0),
      metric('m1', 'acc', 0.7, 0, 'iris', 'd2'),
      metric('m1', 'loss', -2.5, 0, 'wine', 'w'),
      metric('m2', 'acc', 0.7, 0),
      metric('m2', 'a b', 1e10, 0),
    ],
  }),
];

function pairs(of: object) {
  return Object.entries(of).map(([key, value]) => ({ key, value }));
}

function metric(model: string, key: string, value: number, step: number, dataset_name?: string, dataset_digest?: string) {
  return { key, value, step, timestamp: 1_700_000_000_000 + step, model_id: `{{${model}}}`, dataset_name, dataset_digest };
}

const search = (body: object = {}): Step => post('logged-models/search', { experiment_ids: ['{{exp}}'], ...body });
const filtered = (filter: string): Step => search({ filter });

const filters = lines(`
  name = 'alpha'
  name != 'alpha'
  name LIKE 'alph%'
  name like 'alph%'
  name LIKE 'ALPH%'
  name ILIKE 'ALPH%'
  name ilike 'gamma\\_100'
  name LIKE 'Gamma\\_1%'
  name LIKE '%_100'
  name IN ('alpha', 'beta')
  name in ('alpha')
  name IN ('alpha',)
  name NOT IN ('alpha', 'beta')
  name not in ('alpha')
  name = alpha
  attributes.name = 'alpha'
  attributes.name LIKE '%a%'
  attribute.name = 'alpha'
  tag.stage = 'dev'
  param.lr = '0.1'
  metric.acc > 0
  \`name\` = 'alpha'
  attributes.\`name\` = 'alpha'
  model_id = '{{m1}}'
  model_id IN ('{{m1}}', '{{m2}}')
  model_id != '{{m1}}'
  experiment_id = '{{exp}}'
  lifecycle_stage = 'active'
  lifecycle_stage = 'deleted'
  model_type = 'Agent'
  model_type = 'agent'
  model_type ILIKE 'agent'
  model_type = ''
  source_run_id = '{{run}}'
  source_run_id = ''
  source_run_id != 'x'
  status = '2'
  status = 2
  status = '3'
  status != '2'
  status = '1'
  creation_timestamp > 0
  creation_timestamp_ms > 0
  creation_time > 0
  creation_timestamp < 1000
  creation_timestamp >= 1e3
  creation_timestamp != 5
  last_updated_timestamp > 0
  last_updated_timestamp_ms > 0
  artifact_location LIKE '%{{m1}}%'
  metrics.acc > 0.6
  metrics.acc > 0.6 AND metrics.acc < 0.8
  metrics.acc = 0.7
  metrics.acc != 0.7
  metrics.acc >= 0.9
  metrics.acc <= 0.5
  metrics.acc < -1
  metrics.loss = -2.5
  metrics.loss > -3
  metrics.acc > .6
  metrics.acc > 6e-1
  metrics.\`a b\` > 1
  metrics.none > 0
  metrics.acc > 0 AND metrics.loss > 0
  params.lr = '0.1'
  params.lr = 0.1
  params.lr = abc
  params.lr != '0.1'
  params.lr LIKE '0.%'
  params.lr ILIKE 'ABC'
  params.lr IN ('0.1', 'abc')
  params.lr NOT IN ('0.1')
  params.\`a b\` = 'x y'
  params.lr = '0.1' AND params.kind = 'tree'
  params.lr = '0.1' AND params.kind = 'linear'
  tags.stage = 'dev'
  tags.stage ILIKE 'dev'
  tags.stage != 'dev'
  tags.stage IN ('dev', 'prod')
  tags.k.dot = '1'
  tags.\`k.dot\` = '1'
  tags.empty = ''
  tags.stage = 'dev' AND tags.k.dot = '1'
  tags.stage LIKE '%'
  tags.none = 'x'
  name = 'alpha' AND tags.stage = 'dev' AND params.lr = '0.1' AND metrics.acc > 0.1
  name = 'alpha' and tags.stage = 'dev'
  name = 'alpha' And tags.stage = 'dev'
  name='alpha'
  name   =   'alpha'
  metrics.acc>0.6
  name = 'alpha' AND
  AND name = 'alpha'
  name = 'alpha' AND AND tags.stage = 'dev'
`);
const badFilters = lines(`
  name
  name =
  = 'alpha'
  name alpha
  name > 'alpha'
  name < 'alpha'
  name == 'alpha'
  name <> 'alpha'
  name RLIKE 'alpha'
  name NOT LIKE 'alpha'
  params.lr > 0.1
  params.lr < '5'
  tags.stage >= 'a'
  metrics.acc LIKE '0%'
  metrics.acc IN (1, 2)
  creation_timestamp LIKE '1%'
  creation_timestamp IN ('1')
  name = 'alpha' OR name = 'beta'
  NOT name = 'alpha'
  (name = 'alpha')
  name = 'alpha', name = 'beta'
  name = 'alpha' name = 'beta'
  name = 'alpha'; name = 'beta'
  name = 'alpha';
  foo.bar = 'x'
  name BETWEEN 'a' AND 'b'
  select 1
`);
/** Filters, and the name they find. */
const quotedFilters: [string, string][] = [
  ['name = "alpha"', 'alpha'],
  [`"name" = 'alpha'`, 'alpha'],
  ["artifact_uri LIKE '%{{m1}}%'", 'beta'],
  [`params."a b" = 'x y'`, 'alpha'],
];
/** What the stock server answers with a 500. */
const brokenFilters = lines(`
  metrics.acc > abc
  metrics.acc > '0.5'
  metrics.acc = 'x'
  creation_timestamp > '5'
  creation_timestamp > abc
  foo = 'x'
  attributes.foo = 'x'
  run_id = 'x'
  user_id = 'x'
  name IN (alpha)
  'alpha' = name
  1 = 1
  Name = 'alpha'
  Tags.stage = 'dev'
`);

export const loggedModelSearch: Group = {
  group: 'logged-models-search',
  cases: [
    {
      name: 'metrics of models',
      steps: [...world, ...[0, 1, 2, 3].map((i) => get(`logged-models/{{m${i}}}`)), get('runs/get', { run_id: '{{run}}' })],
    },
    { name: 'search by filters', steps: [...world, ...filters.map(filtered)] },
    { name: 'search by bad filters', steps: [...world, ...badFilters.map(filtered)] },
    {
      name: 'search by filters that are answered otherwise',
      steps: [
        ...world,
        ...listed(BROKEN, brokenFilters.map(filtered)),
        ...quotedFilters.flatMap(([filter, name]) =>
          listed(FOUND, [filtered(filter)], { status: 200, has: { 'models.length': 1, 'models.0.info.name': name } }),
        ),
        ...['metrics.acc IS NULL', 'name IS NULL', 'params.lr IS NOT NULL', 'metrics.loss = +1', "name = 'alpha' -- x", '*'].map(filtered),
        ...listed(EMPTY_LIST, [filtered('name IN ()')]),
      ],
    },
    {
      name: 'search by other fields',
      steps: [
        ...world,
        search(),
        search({ filter: '' }),
        search({ filter: null }),
        search({ filter: ' ' }),
        search({ filter: 5 }),
        search({ max_results: 1 }),
        search({ max_results: '2' }),
        search({ max_results: 50 }),
        search({ max_results: 'x' }),
        search({ max_results: null }),
        ...listed(DROPPED, [search({ max_results: 1.5 }), search({ max_results: true })]),
        search({ page_token: '' }),
        search({ page_token: null }),
        search({ page_token: 5 }),
        search({ nope: 5 }),
        post('logged-models/search', { experiment_ids: ['{{exp}}', '{{exp}}'] }),
        post('logged-models/search', { experiment_ids: ['{{exp}}', '999999'] }),
        post('logged-models/search', { experiment_ids: ['999999'] }),
        post('logged-models/search', { experiment_ids: ['abc'] }),
        post('logged-models/search', { experiment_ids: [''] }),
        post('logged-models/search', { experiment_ids: [] }),
        post('logged-models/search', { experiment_ids: [5] }),
        post('logged-models/search', { experiment_ids: '{{exp}}' }),
        post('logged-models/search', { experiment_ids: null }),
        post(
          'logged-models/search',
          { experimentIds: ['{{exp}}'], maxResults: 1, orderBy: [{ fieldName: 'name', ascending: true }] },
          {
            differs: 'camelCase is accepted for all',
            ours: { status: 200, has: { 'models.length': 1, 'models.0.info.name': 'Gamma_100' } },
          },
        ),
        post('logged-models/search'),
        post('/ajax-api/2.0/mlflow/logged-models/search', { experiment_ids: ['{{exp}}'] }),
      ],
    },
    {
      name: 'search by data sets',
      steps: [
        ...world,
        search({ datasets: [{ dataset_name: 'iris', dataset_digest: 'd1' }] }),
        search({
          datasets: [
            { dataset_name: 'iris', dataset_digest: 'd1' },
            { dataset_name: 'wine', dataset_digest: 'w' },
          ],
        }),
        search({ datasets: [{ dataset_name: 'iris', dataset_digest: 'd2' }], filter: 'metrics.acc > 0.6' }),
        search({ datasets: [{ dataset_name: 'iris', dataset_digest: 'd2' }], filter: 'metrics.acc > 0.8' }),
        search({ datasets: [{ dataset_name: 'iris', dataset_digest: 'd2' }], filter: 'metrics.loss < 0.8' }),
        search({ datasets: [{ dataset_name: 'iris', dataset_digest: 'd1' }], filter: "params.lr = '0.1'" }),
        search({ datasets: [{ dataset_name: 'x', dataset_digest: 'y' }] }),
        search({ datasets: [] }),
        search({ datasets: [{}] }),
        search({ datasets: [{ dataset_name: '' }] }),
        search({ datasets: [{ dataset_digest: 'd1' }] }),
        search({ datasets: 'iris' }),
        ...listed(
          'a data set without a digest means any digest',
          [search({ datasets: [{ dataset_name: 'iris' }] }), search({ datasets: [{ dataset_name: 'iris', dataset_digest: '' }] })],
          { status: 200, has: { 'models.length': 2, 'models.0.info.name': 'beta', 'models.1.info.name': 'alpha' } },
        ),
      ],
    },
    {
      name: 'search in order',
      steps: [
        ...world,
        ...[
          'name',
          'model_id',
          'experiment_id',
          'creation_timestamp',
          'creation_timestamp_ms',
          'creation_time',
          'last_updated_timestamp',
          'last_updated_timestamp_ms',
          'status',
          'model_type',
          'source_run_id',
          'artifact_uri',
          'artifact_location',
          'lifecycle_stage',
          'status_message',
          'metrics.acc',
          'metrics.loss',
          'metrics.none',
          'metrics.a b',
        ]
          .filter((name) => !['model_id', 'artifact_uri', 'artifact_location'].includes(name))
          .flatMap((field_name) => [
            search({ order_by: [{ field_name, ascending: true }] }),
            search({ order_by: [{ field_name, ascending: false }] }),
          ]),
        search({ order_by: [{ field_name: 'name' }] }),
        search({ order_by: [{ field_name: 'metrics.acc' }] }),
        search({
          order_by: [
            { field_name: 'metrics.acc', ascending: true },
            { field_name: 'name', ascending: true },
          ],
        }),
        search({
          order_by: [
            { field_name: 'metrics.acc', ascending: true },
            { field_name: 'metrics.loss', ascending: true },
          ],
        }),
        search({ order_by: [{ field_name: 'metrics.acc', ascending: true, dataset_name: 'iris' }] }),
        search({ order_by: [{ field_name: 'metrics.acc', ascending: false, dataset_name: 'iris', dataset_digest: 'd2' }] }),
        search({ order_by: [{ field_name: 'metrics.acc', ascending: false, dataset_digest: 'd2' }] }),
        search({ order_by: [{ field_name: 'name', ascending: true, dataset_name: 'iris' }] }),
        search({ order_by: [] }),
        search({ order_by: 'name' }),
        ...listed(DROPPED, [search({ order_by: ['name'] }), search({ order_by: [{ field_name: 'name', ascending: 'true' }] })]),
        ...[
          'params.lr',
          'tags.stage',
          'attributes.name',
          'metrics.',
          '.acc',
          'Metrics.acc',
          'foo.bar',
          'foo',
          'Name',
          '`name`',
          'name DESC',
          '',
          ' ',
        ].map((field_name) => search({ order_by: [{ field_name, ascending: true }] })),
        search({ order_by: [{ ascending: true }] }),
        search({ order_by: [{}] }),
      ],
    },
    {
      name: 'search in pages',
      steps: [
        ...world,
        search({ max_results: 4 }),
        { ...search({ max_results: 3 }), save: { token: 'next_page_token' } },
        search({ max_results: 3, page_token: '{{token}}' }),
        { ...search({ max_results: 2, order_by: [{ field_name: 'name', ascending: true }] }), save: { ordered: 'next_page_token' } },
        search({ max_results: 2, order_by: [{ field_name: 'name', ascending: true }], page_token: '{{ordered}}' }),
        { ...search({ max_results: 1, filter: "name LIKE 'alph%'" }), save: { filtered: 'next_page_token' } },
        search({ max_results: 1, filter: "name LIKE 'alph%'", page_token: '{{filtered}}' }),
        {
          ...search({ max_results: 2, order_by: [{ field_name: 'metrics.acc', ascending: false }] }),
          save: { measured: 'next_page_token' },
        },
        search({ max_results: 2, order_by: [{ field_name: 'metrics.acc', ascending: false }], page_token: '{{measured}}' }),
        ...listed(TOKEN, [
          search({ max_results: 1, page_token: '{{filtered}}' }),
          search({ max_results: 3, page_token: '{{ordered}}' }),
          search({ max_results: 3, page_token: 'abc' }),
          search({ max_results: 3, page_token: 'e30=' }),
          search({ max_results: 3, page_token: '%%%' }),
        ]),
      ],
    },
    {
      name: 'search does not show the deleted',
      steps: [...world, del('logged-models/{{m0}}'), search(), filtered("name = 'alpha'"), filtered("lifecycle_stage = 'deleted'")],
    },
    {
      name: 'a run names its models',
      steps: [
        ...world,
        post('runs/outputs', { run_id: '{{run}}', models: [{ model_id: '{{m0}}', step: 1 }, { model_id: '{{m1}}' }] }),
        post('runs/log-inputs', { run_id: '{{run}}', models: [{ model_id: '{{m2}}' }] }),
        get('runs/get', { run_id: '{{run}}' }, { unordered: ['model_outputs', 'model_inputs'] }),
      ],
    },
  ],
};
