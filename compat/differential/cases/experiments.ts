import { each, eachAfter, eachValue, type Group, get, lines, listed, post, type Step } from '../case.ts';
import { DROPPED, keys, SQL_TEXT, wrongTypes } from './run-steps.ts';

const OWN_DISK = 'no folder of the server’s own disk and no unknown scheme can be chosen';
const LEADS_UP = 'the stock server stores what it can only fail on later';

const make = (name: string, more: object = {}, id = 'e'): Step =>
  post('experiments/create', { name: `{{n}}${name}`, ...more }, { save: { [id]: 'experiment_id' } });
const made = make('');
const of = (path: string, more: object = {}, id: unknown = '{{e}}') => post(`experiments/${path}`, { experiment_id: id, ...more });
const shown = get('experiments/get', { experiment_id: '{{e}}' });
const located = (artifact_location: unknown) => make('', { artifact_location });
const tagged = (tags: unknown) => make('', { tags });
const run = (more: object = {}): Step =>
  post('runs/create', { experiment_id: '{{e}}', run_name: 'r', ...more }, { save: { r: 'run.info.run_id' } });
const shownRun = get('runs/get', { run_id: '{{r}}' });
const dataset = (name: string, context?: string) => ({
  dataset: { name, digest: 'd1', source_type: 'local', source: '{}' },
  ...(context && { tags: [{ key: 'mlflow.data.context', value: context }] }),
});

const datasets = (experiment_ids: unknown): Step =>
  post('/ajax-api/2.0/mlflow/experiments/search-datasets', { experiment_ids }, { unordered: ['dataset_summaries'] });

const view = (i: number) => ({ key: `mlflow.customView.view.v1.${i}`, value: '{}' });

const names = ['a b', ' lead', 'trail ', "it's", '"q"', 'ünï', '🦊', '%2F', 'a/b', 'a:b', '..', '\ttab', 'new\nline', '-', 'x'.repeat(200)];
const ids = ['', ' ', 'x', '-1', '+1000000', '1.5', '0x1', '999999999', '9007199254740991', '1_000_000', '٩٩٩٩٩٩٩', "1' or '1", '%'];

export const experiments: Group = {
  group: 'experiments',
  cases: [
    ...names.map((name, i) => ({
      name: `name ${i}`,
      steps: [make(name), shown, get('experiments/get-by-name', { experiment_name: `{{n}}${name}` })],
    })),
    ...each('name of a wrong type', eachValue('experiments/create', {}, 'name', wrongTypes)),
    ...each('long name', [
      ...listed(
        'the column has 256 characters, so ours says 256',
        eachValue('experiments/create', {}, 'name', ['x'.repeat(257), 'x'.repeat(501)]),
      ),
      ...listed('the column has 256 characters, so ours says 256', [of('update', { new_name: 'x'.repeat(501) }, '0')]),
    ]),
    {
      name: 'blank name',
      steps: [
        post('experiments/create', { name: ' {{n}} ' }, { save: { e: 'experiment_id' } }),
        get('experiments/get-by-name', { experiment_name: '{{n}}' }),
      ],
    },
    ...each('nothing', [
      ...['create', 'update', 'delete', 'restore', 'search', 'set-experiment-tag', 'delete-experiment-tag'].map((path) =>
        post(`experiments/${path}`),
      ),
      ...['get', 'get-by-name', 'search'].map((path) => get(`experiments/${path}`)),
      ...['get', 'get-by-name', 'search'].map((path) => get(`experiments/${path}`, { nope: '1' })),
      of('update', {}, '0'),
      post('experiments/update', { new_name: 'x' }),
      of('set-experiment-tag', {}, '0'),
      of('set-experiment-tag', { value: 'v' }, '0'),
      post('experiments/set-experiment-tag', { key: 'k', value: 'v' }),
      of('delete-experiment-tag', {}, '0'),
      post('experiments/delete-experiment-tag', { key: 'k' }),
    ]),
    ...each(
      'id',
      ids.flatMap((id) => [
        get('experiments/get', { experiment_id: id }),
        of('delete', {}, id),
        of('restore', {}, id),
        of('update', { new_name: '{{n}}' }, id),
        of('set-experiment-tag', { key: 'k', value: 'v' }, id),
        of('delete-experiment-tag', { key: 'k' }, id),
        ...(id === '' ? [] : [post('runs/create', { experiment_id: id, run_name: 'x' })]),
      ]),
    ),
    ...each(
      'id of a wrong type',
      ['delete', 'restore', 'update', 'set-experiment-tag', 'delete-experiment-tag'].flatMap((path) =>
        eachValue(`experiments/${path}`, { new_name: '{{n}}', key: 'k', value: 'v' }, 'experiment_id', wrongTypes),
      ),
    ),
    ...each('an id no experiment can have', [
      get('experiments/get', { experiment_id: '99999999999999999999' }),
      of('delete', {}, '-99999999999999999999'),
      of('update', { new_name: '{{n}}' }, '9007199254740993'),
      post('runs/create', { experiment_id: '9223372036854775808' }),
      post('runs/search', { experiment_ids: ['99999999999999999999'] }),
    ]),
    ...each('the default one', [
      get('experiments/get', { experiment_id: ' 0' }),
      get('experiments/get-by-name', { experiment_name: 'Default' }),
    ]),
    {
      name: 'a JSON body with GET',
      steps: [
        made,
        get('experiments/get', undefined, { body: { experiment_id: '{{e}}' } }),
        get('experiments/get', { nope: '1' }, { body: { experiment_id: '{{e}}' } }),
        get('experiments/get', { experimentId: '{{e}}' }),
        get('experiments/get', { experiment_id: ['{{e}}', '0'] }),
        get('/ajax-api/2.0/mlflow/experiments/get', { experiment_id: '{{e}}' }),
        get('experiments/get-by-name', { experiment_name: '{{n}}', nope: 'x' }),
        get('experiments/get-by-name', { experiment_name: '{{n}}nope' }),
        get('experiments/get-by-name', { experiment_name: '' }),
      ],
    },
    {
      name: 'life',
      steps: [
        make('', { tags: [{ key: 'a', value: '1' }, { key: 'b' }] }),
        shown,
        { ...made, save: {}, differs: SQL_TEXT },
        run(),
        of('update', { new_name: '{{n}}-renamed' }),
        of('update', { new_name: '{{n}}-renamed' }),
        shown,
        get('experiments/get-by-name', { experiment_name: '{{n}}' }),
        of('delete'),
        of('delete'),
        shown,
        shownRun,
        get('experiments/get-by-name', { experiment_name: '{{n}}-renamed' }),
        ...listed('INVALID_STATE is 409 here', [of('update', { new_name: '{{n}}-again' })]),
        of('set-experiment-tag', { key: 'k', value: 'v' }),
        of('delete-experiment-tag', { key: 'a' }),
        post('runs/create', { experiment_id: '{{e}}' }),
        post('runs/log-metric', { run_id: '{{r}}', key: 'm', value: 1, timestamp: 1 }),
        ...listed(SQL_TEXT, [post('experiments/create', { name: '{{n}}-renamed' })]),
        of('restore'),
        of('restore'),
        shown,
        shownRun,
        of('update', { new_name: '{{n}}' }),
        shown,
      ],
    },
    {
      name: 'restore makes all runs active',
      steps: [
        made,
        run(),
        post('runs/delete', { run_id: '{{r}}' }),
        of('delete'),
        of('restore'),
        shownRun,
        of('delete'),
        post('runs/restore', { run_id: '{{r}}' }),
        shownRun,
        post('runs/search', { experiment_ids: ['{{e}}'] }),
      ],
    },
    {
      name: 'rename to a taken name',
      steps: [made, make('-b', {}, 'b'), ...listed(SQL_TEXT, [of('update', { new_name: '{{n}}' }, '{{b}}')])],
    },
    ...eachAfter(
      'new name',
      [made],
      eachValue('experiments/update', { experiment_id: '{{e}}' }, 'new_name', [...wrongTypes, ' {{n}}', '{{n}}/x']),
    ),
    {
      name: 'camelCase',
      steps: [
        post('experiments/create', { name: '{{n}}', artifactLocation: 's3://b/x' }, { save: { e: 'experiment_id' } }),
        shown,
        post('experiments/create', { name: '{{n}}2', artifactLocation: 's3://b/x', artifact_location: 's3://b/y' }),
        post('experiments/search', { maxResults: 5, filter: "name = '{{n}}'", viewType: 'ALL', orderBy: ['name'] }),
        ...listed('camelCase works for arguments that must be given too', [post('experiments/delete', { experimentId: '{{e}}' })], {
          status: 200,
          body: {},
        }),
      ],
    },
    ...lines(`
      s3://b/p
      s3://b/p/
      gs://b
      gs://b/x?y=1
      wasbs://c@a.blob.core.windows.net/p
      dbfs:/x
      S3://b/x
      s3:/b
      s3://b/a b
      mlflow-artifacts:/{{n}}
      mlflow-artifacts:/{{n}}/a/b`).map((location, i) => ({ name: `location ${i}`, steps: [located(location), shown, run(), shownRun] })),
    ...each(
      'bad location',
      [
        ...lines(`
          runs:/abc
          http://x/y
          https://x/y
          hdfs://h/x
          ftp://h/x
          sftp://h/x
          mlflow-artifacts://h/x
          s3://b/p#frag
          s3://b/p?a=../x
          s3://b/p?a=%2e%2e/x
          http:///#/../etc`),
        ...wrongTypes.filter((value) => value !== '' && value !== null),
      ].map(located),
    ),
    ...each('empty location', ['', null].map(located)),
    ...each(
      'location that ours refuses',
      listed(OWN_DISK, ['RUNS:/abc', '/etc', 'file:///etc', 'relative', './x', '~', 'foo://x', 'C:/x', 'models:/m/1'].map(located)),
    ),
    ...each('location that leads up', listed(LEADS_UP, ['s3://b/../x', 's3://b/%2e%2e/x', 'dbfs:/a/..'].map(located))),
    { name: 'long location', steps: [located(`s3://${'b'.repeat(2050)}`)] },
    ...eachAfter(
      'create with tags',
      [],
      [
        [],
        null,
        [{ key: 'k', value: 'v' }],
        [{ key: 'k' }],
        [{ key: 'k', value: '' }],
        [{ key: 'k', value: null }],
        [{ value: 'v' }],
        [{}],
        [{ key: '', value: 'v' }],
        [{ key: 'a//b', value: 'v' }],
        [{ key: 'a%b', value: 'v' }],
        [{ key: 'x'.repeat(251), value: 'v' }],
        [{ key: 'k', value: 'x'.repeat(5000) }],
        [{ key: 'k', value: 'x'.repeat(20_001) }],
        [{ key: 'k', value: 'v', extra: 1 }],
        [
          { key: 'a', value: '1' },
          { key: 'a%', value: '1' },
        ],
        'x',
        {},
        5,
      ].map(tagged),
    ),
    { name: 'created tags', steps: [tagged([{ key: 'b', value: '1' }, { key: 'ü x', value: '' }, { key: 'c' }]), shown] },
    ...each('create with mangled tags', listed(DROPPED, [[5], ['k'], [null], [{ key: 'k', value: 5 }], [{ key: 5 }]].map(tagged))),
    ...eachAfter(
      'tag key',
      [made],
      keys.flatMap((key) => [of('set-experiment-tag', { key, value: 'v' }), of('delete-experiment-tag', { key })]),
    ),
    ...eachAfter(
      'tag key of a wrong type',
      [made],
      ['set-experiment-tag', 'delete-experiment-tag'].flatMap((path) =>
        eachValue(`experiments/${path}`, { experiment_id: '{{e}}', value: 'v' }, 'key', wrongTypes),
      ),
    ),
    ...eachAfter(
      'tag value',
      [made],
      eachValue('experiments/set-experiment-tag', { experiment_id: '{{e}}', key: 'k' }, 'value', [
        ...wrongTypes,
        'x'.repeat(5000),
        'x'.repeat(5001),
        'x'.repeat(20_000),
        'x'.repeat(20_001),
        '😀'.repeat(5000),
      ]),
    ),
    {
      name: 'tags life',
      steps: [
        made,
        of('set-experiment-tag', { key: 'k', value: '1' }),
        of('set-experiment-tag', { key: 'k', value: '2' }),
        of('set-experiment-tag', { key: 'l' }),
        of('set-experiment-tag', { key: 'mlflow.note.content', value: '# note' }),
        shown,
        of('delete-experiment-tag', { key: 'k' }),
        of('delete-experiment-tag', { key: 'k' }),
        shown,
      ],
    },
    {
      name: 'custom views',
      steps: [
        tagged(Array.from({ length: 51 }, (_, i) => view(i))),
        tagged([...Array.from({ length: 50 }, (_, i) => view(i)), { key: 'other', value: 'v' }]),
        of('set-experiment-tag', view(7)),
        of('set-experiment-tag', view(50)),
        of('set-experiment-tag', { key: 'mlflow.customView.other', value: 'v' }),
        of('delete-experiment-tag', { key: 'mlflow.customView.view.v1.3' }),
        of('set-experiment-tag', view(50)),
        of('set-experiment-tag', view(51)),
        of('set-experiment-tag', view(1), '999999999'),
        of('delete'),
        of('set-experiment-tag', view(1)),
        of('set-experiment-tag', view(52)),
      ],
    },
    {
      name: 'trace archival',
      steps: [
        made,
        ...listed(
          'traces are not kept here, so their tags mean nothing',
          [of('set-experiment-tag', { key: 'mlflow.trace.archivalRetention', value: 'x' })],
          { status: 200, body: {} },
        ),
      ],
    },
    {
      name: 'data sets',
      steps: [
        made,
        run(),
        make('-b', {}, 'b'),
        datasets(['{{e}}']),
        post('runs/log-inputs', { run_id: '{{r}}', datasets: [dataset('iris', 'train'), dataset('wine')] }),
        run(),
        post('runs/log-inputs', { run_id: '{{r}}', datasets: [dataset('iris', 'eval'), dataset('wine')] }),
        run({ experiment_id: '{{b}}' }),
        post('runs/log-inputs', { run_id: '{{r}}', datasets: [dataset('iris', 'train')] }),
        datasets(['{{e}}']),
        datasets(['{{e}}', '{{b}}']),
        datasets(['{{e}}', '{{e}}']),
        of('delete'),
        datasets(['{{e}}']),
        ...[
          [],
          null,
          ['999999999'],
          ['x'],
          [''],
          Array.from({ length: 20 }, () => '999999999'),
          Array.from({ length: 21 }, () => '999999999'),
          Array.from({ length: 21 }, () => 'x'),
        ].map(datasets),
        post('/ajax-api/2.0/mlflow/experiments/search-datasets'),
        ...listed('served below /api as well', [post('experiments/search-datasets', { experiment_ids: ['{{e}}'] })], {
          status: 200,
          has: { 'dataset_summaries.length': 3 },
        }),
        ...listed(DROPPED, ['x', {}, 5, [5]].map(datasets)),
      ],
    },
  ],
};
