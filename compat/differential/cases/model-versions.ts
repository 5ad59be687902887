import { del, eachAfter, type Group, get, patch, post, type Step } from '../case.ts';

const SQL_TEXT = 'the stock server answers 400 with SQL in the text';
const BUG_500 = 'a 500 on the stock server';
const ALIASES = 'versions in latest_versions carry their aliases';

const model = post('registered-models/create', { name: '{{n}}' });
const version = (more: object = {}): Step => post('model-versions/create', { name: '{{n}}', source: 's3://bucket/model', ...more });
const one = [model, version()];
const stage = (stage: unknown, version: unknown = '1', more: object = {}) =>
  post('model-versions/transition-stage', { name: '{{n}}', version, stage, ...more });
const run = post('runs/create', { experiment_id: '0', start_time: 1 }, { save: { run: 'run.info.run_id' } });
const numbers = ['1', '01', ' 1 ', '+1', '1_0', '٣', '1.0', '0x1', '1e0', 'x', '', ' ', '77', '0', '-1', '2147483648'];

const sources = [
  '/etc/passwd',
  'file:///etc',
  'file:///',
  './x',
  'x',
  '~/x',
  '//proc/self',
  'file://localhost/etc',
  'http://127.0.0.1:5432/',
  'https://h/x',
  'HTTP://h/x',
  'ftp://h/x',
  'hdfs://h/x',
  'sftp://h/x',
  'mlflow-artifacts://h/x',
  'mlflow-artifacts:/0/x',
  's3://b/../x',
  's3://b/%2e%2e/x',
  's3://b/a/%252e%252e/x',
  's3://b/a/./x',
  's3://b',
  's3://b/',
  's3://b/a//b',
  's3://b/a/',
  's3:/b/a',
  'C:/model',
  'dbfs:/a',
  'javascript:alert(1)',
  'a:b/c',
  'custom://x/y',
  'runs:/nobody/x',
  'runs:/',
  'runs:x',
  'models:/nobody/1',
  'models:/nobody@a',
  'models:/',
  'models:/a/b/c',
  'models:/x@',
  'models://h/x/1',
  'models:/m-nope',
  's3://b/a?x=1',
  's3://b/ü',
];

export const modelVersions: Group = {
  group: 'model-versions',
  cases: [
    {
      name: 'life',
      steps: [
        model,
        version({ description: 'd', run_link: 'http://run', tags: [{ key: 'a', value: '1' }, { key: 'a', value: '2' }, { key: 'b' }] }),
        version(),
        get('model-versions/get', { name: '{{n}}', version: '1' }),
        patch('model-versions/update', { name: '{{n}}', version: '1', description: 'x' }),
        patch('model-versions/update', { name: '{{n}}', version: '1' }),
        patch('model-versions/update', { name: '{{n}}', version: '1', description: '' }),
        get('model-versions/get-download-uri', { name: '{{n}}', version: '1' }),
        del('model-versions/delete', { name: '{{n}}', version: '2' }),
        del('model-versions/delete', { name: '{{n}}', version: '2' }),
        version(),
        get('registered-models/get', { name: '{{n}}' }),
      ],
    },
    ...eachAfter(
      'source',
      [model],
      sources.map((source) => version({ source })),
    ),
    ...eachAfter(
      'source with a run that is not there',
      [model],
      ['/etc/passwd', 'runs:/nobody/x', 's3://b/x', 'mlflow-artifacts:/0/nobody/artifacts/x'].map((source) =>
        version({ source, run_id: 'nobody' }),
      ),
    ),
    ...eachAfter(
      'source in a run',
      [model, run],
      [
        'runs:/{{run}}/model',
        'runs:/{{run}}',
        'runs:/{{run}}/../x',
        'mlflow-artifacts:/0/{{run}}/artifacts/model',
        'mlflow-artifacts:/0/{{run}}/artifacts',
        'mlflow-artifacts:/0/{{run}}',
        'mlflow-artifacts:/0/other/artifacts/x',
        'mlflow-artifacts:/0/{{run}}/artifacts/%2e%2e/x',
        '/tmp/x',
        's3://b/x',
      ].map((source) => version({ source, run_id: '{{run}}' })),
    ),
    ...eachAfter(
      'bad source',
      [model],
      [null, 5, '', ' ', [], {}].map((source) => version({ source })),
    ),
    { name: 'source over the column', steps: [model, { ...version({ source: `s3://b/${'x'.repeat(500)}` }), differs: SQL_TEXT }] },
    { name: 'file URL of another host', steps: [model, { ...version({ source: 'file://otherhost/x' }), differs: BUG_500 }] },
    {
      name: 'copies',
      steps: [
        model,
        version(),
        version(),
        post('registered-models/alias', { name: '{{n}}', alias: 'champion', version: '1' }),
        stage('Staging', '2'),
        post('registered-models/create', { name: '{{n}}-copy' }),
        ...[
          'models:/{{n}}/1',
          'models:/{{n}}@champion',
          'models:/{{n}}/latest',
          'models:/{{n}}/Staging',
          'models:/{{n}}/staging',
          'models:/{{n}}@nope',
          'models:/{{n}}/9',
        ].map((source) => post('model-versions/create', { name: '{{n}}-copy', source })),
        get('model-versions/get-download-uri', { name: '{{n}}-copy', version: '1' }),
        post('model-versions/create', { name: '{{n}}-copy', source: 'models:/{{n}}/1', run_id: 'x' }),
        post('model-versions/create', { name: '{{n}}-copy', source: 'models:/{{n}}/1', run_id: '' }),
      ],
    },
    {
      name: 'copy of a stage without a version',
      steps: [model, version(), { ...version({ source: 'models:/{{n}}/Production' }), differs: BUG_500 }],
    },
    ...eachAfter(
      'create',
      [model],
      [
        { run_id: 5 },
        { run_link: 5 },
        { description: 5 },
        { tags: 'x' },
        { tags: [{ key: '' }] },
        { tags: [{ key: 'a//b' }] },
        { run_id: 'x'.repeat(32) },
        { run_id: 'not there' },
        { description: 'x'.repeat(5000) },
      ].map((more) => version(more)),
    ),
    { name: 'run id over the column', steps: [model, { ...version({ run_id: 'x'.repeat(33) }), differs: SQL_TEXT }] },
    { name: 'unknown model', steps: [version()] },
    ...eachAfter(
      'number',
      one,
      numbers.flatMap((number) => [
        get('model-versions/get', { name: '{{n}}', version: number }),
        post('model-versions/set-tag', { name: '{{n}}', version: number, key: 'k', value: 'v' }),
        get('model-versions/get-download-uri', { name: '{{n}}', version: number }),
        stage('Staging', number),
      ]),
    ),
    ...eachAfter(
      'number of a wrong type',
      one,
      [1, 1.5, true, null, ['1']].map((number) => patch('model-versions/update', { name: '{{n}}', version: number })),
    ),
    ...eachAfter(
      'stage',
      one,
      ['None', 'none', 'Staging', 'PRODUCTION', 'archived', 'Nope', 'Deleted_Internal', ' Staging', '', null, 5].map((name) => stage(name)),
    ),
    {
      name: 'archiving',
      steps: [
        model,
        version(),
        version(),
        version(),
        stage('Production', '1'),
        stage('Production', '2'),
        stage('Production', '3', { archive_existing_versions: true }),
        ...['1', '2', '3'].map((number) => get('model-versions/get', { name: '{{n}}', version: number })),
        stage('Production', '3', { archive_existing_versions: 'true' }),
      ],
    },
    ...eachAfter(
      'archiving on a move out',
      one,
      ['Archived', 'None'].map((name) => ({ ...stage(name, '1', { archive_existing_versions: true }), differs: BUG_500 })),
    ),
    {
      name: 'latest versions',
      steps: [
        model,
        version(),
        version(),
        version(),
        stage('Staging', '1'),
        stage('Production', '2'),
        post('registered-models/alias', { name: '{{n}}', alias: 'a', version: '2' }),
        {
          ...get('registered-models/get', { name: '{{n}}' }),
          differs: ALIASES,
          ours: { status: 200, has: { 'registered_model.latest_versions.0.aliases': ['a'] } },
        },
        ...[
          {},
          { stages: [] },
          { stages: ['staging'] },
          { stages: ['Nope'] },
          { stages: [''] },
          { stages: 'Production' },
          { stages: ['None', 'Archived'] },
        ].map((more) => post('registered-models/get-latest-versions', { name: '{{n}}', ...more })),
        get('registered-models/get-latest-versions', { name: '{{n}}', stages: ['Staging', 'Production'] }),
        get('registered-models/get-latest-versions', { name: '{{n}}', stages: 'Staging' }),
        get('registered-models/get-latest-versions', { name: '{{n}}', 'stages[]': 'Staging' }),
      ].map((step) => ({ ...step, unordered: ['model_versions'] })),
    },
    ...eachAfter(
      'tag key',
      one,
      ['k', 'a/b', 'a//b', '', ' ', 'a%b', '..', 'x'.repeat(250), 'x'.repeat(251), 5].flatMap((key) => [
        post('model-versions/set-tag', { name: '{{n}}', version: '1', key, value: 'v' }),
        del('model-versions/delete-tag', { name: '{{n}}', version: '1', key }),
      ]),
    ),
    ...eachAfter(
      'tag value',
      one,
      ['', 'x'.repeat(100_000), 'x'.repeat(100_001), 5, null].map((value) =>
        post('model-versions/set-tag', { name: '{{n}}', version: '1', key: 'k', value }),
      ),
    ),
    {
      name: 'tags life',
      steps: [
        ...one,
        post('model-versions/set-tag', { name: '{{n}}', version: '1', key: 'k', value: '1' }),
        post('model-versions/set-tag', { name: '{{n}}', version: '1', key: 'k', value: '2' }),
        get('model-versions/get', { name: '{{n}}', version: '1' }),
        del('model-versions/delete-tag', { name: '{{n}}', version: '1', key: 'k' }),
        del('model-versions/delete-tag', { name: '{{n}}', version: '1', key: 'k' }),
        get('model-versions/get', { name: '{{n}}', version: '1' }),
        post('model-versions/set-tag', { name: '{{n}}', version: '9', key: 'k', value: 'v' }),
      ],
    },
    {
      name: 'get-download-uri of nothing',
      steps: [
        get('model-versions/get-download-uri'),
        get('model-versions/get-download-uri', { name: 'x' }),
        get('model-versions/get-download-uri', { version: '1' }),
      ],
    },
    {
      name: 'deleting a model takes its versions',
      steps: [
        ...one,
        del('registered-models/delete', { name: '{{n}}' }),
        get('model-versions/get', { name: '{{n}}', version: '1' }),
        model,
        version(),
      ],
    },
    {
      name: 'renaming a model keeps its versions',
      steps: [
        ...one,
        post('registered-models/alias', { name: '{{n}}', alias: 'a', version: '1' }),
        post(
          'registered-models/rename',
          { name: '{{n}}', new_name: '{{n}}-new' },
          { differs: ALIASES, ours: { status: 200, has: { 'registered_model.latest_versions.0.aliases': ['a'] } } },
        ),
        get('model-versions/get', { name: '{{n}}-new', version: '1' }),
        get('model-versions/get', { name: '{{n}}', version: '1' }),
        get('registered-models/alias', { name: '{{n}}-new', alias: 'a' }),
      ],
    },
  ],
};
