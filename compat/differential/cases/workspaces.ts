import { type Case, del, each, eachAfter, type Group, get, listed, patch, post, put, type Step } from '../case.ts';

const WORKSPACES = '/api/3.0/mlflow/workspaces';
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const STATE = 'what is in the way is a 409, which no client repeats';
const SQL_TEXT = 'the stock server answers with SQL in the text';
const SOFT = 'a deleted webhook is no resource of the workspace any more';
const OWN_DISK = 'no folder of the server’s own disk and no unknown scheme can be chosen';
const OWN_ROOT = 'a root with this server is a folder of the workspace, where its artifacts can be reached';

/** The step, sent by a client whose MLFLOW_WORKSPACE is this. */
const as = (workspace: string, step: Step): Step => ({ ...step, headers: { ...step.headers, 'X-MLFLOW-WORKSPACE': workspace } });
const all = (workspace: string, steps: Step[]): Step[] => steps.map((step) => as(workspace, step));

const make = (name = '{{n}}', more: object = {}): Step => post(WORKSPACES, { name, ...more });
const at = (name = '{{n}}'): string => `${WORKSPACES}/${name}`;
const remove = (name = '{{n}}', mode?: string): Step => ({
  method: 'DELETE',
  path: at(name),
  ...(mode !== undefined && { query: { mode } }),
});
const update = (more: unknown, name = '{{n}}'): Step => patch(at(name), more);
const quiet = { url: 'https://8.8.8.8/x', events: [{ entity: 'MODEL_VERSION', action: 'CREATED' }], status: 'DISABLED' };
const hook = (workspace: string, name = '{{n}}'): Step =>
  as(workspace, post('webhooks', { ...quiet, name }, { save: { id: 'webhook.webhook_id' } }));

const badNames = [
  'q',
  'Q',
  'qQ',
  '-aa',
  'aa-',
  'a_b',
  'a.b',
  'a b',
  'é'.repeat(3),
  'x'.repeat(64),
  'api',
  'workspaces',
  'ajax-api',
  'static-files',
];
const wrongTypes = [5, 1.5, true, [], ['x'], {}, { a: 1 }];

const life: Case = {
  name: 'life of a workspace',
  steps: [
    get(at()),
    make('{{n}}', { description: 'one' }),
    ...listed(SQL_TEXT, [make()]),
    get(at()),
    get(`/ajax-api/3.0/mlflow/workspaces/{{n}}`),
    update({ description: '' }),
    update({ description: 'two', default_artifact_root: ' s3://bucket/root ' }),
    update({ trace_archival_config: { location: 's3://bucket/traces', retention: ' 30d ' } }),
    ...listed('the stock server reads some fields in snake_case only', [update({ traceArchivalConfig: { retention: '7d' } })], {
      status: 200,
      has: { 'workspace.trace_archival_config.retention': '7d' },
    }),
    update({ trace_archival_config: { retention: '' } }),
    update({ default_artifact_root: '', trace_archival_config: { location: '' } }),
    update({}),
    update({ name: 'other' }),
    update({ trace_archival_config: {} }),
    update({ description: 'x' }, 'not-there'),
    get(at()),
    remove(),
    get(at()),
    remove(),
    as('{{n}}', get('registered-models/search')),
    make(),
    get(at()),
  ],
};

const ofDefault: Step[] = [
  get(at('default')),
  make('default'),
  remove('default'),
  remove('default', 'CASCADE'),
  remove('not-there'),
  remove('not-there', 'nope'),
  remove('not-there', 'cascade'),
  remove('not-there', ''),
  get(at('not-there')),
];

const typed: Step[] = [
  make(''),
  post(WORKSPACES),
  ...wrongTypes.map((name) => post(WORKSPACES, { name })),
  ...['description', 'default_artifact_root', 'trace_archival_config'].flatMap((field) =>
    wrongTypes
      .filter((value) => field !== 'trace_archival_config' || typeof value !== 'object' || Array.isArray(value))
      .map((value) => make('{{n}}', { [field]: value })),
  ),

  ...['description', 'default_artifact_root'].flatMap((field) => wrongTypes.map((value) => update({ [field]: value }, 'default'))),
];

const typedInside: Step[] = ['location', 'retention'].flatMap((field) =>
  wrongTypes.map((value) => make('{{n}}', { trace_archival_config: { [field]: value } })),
);

const named: Step[] = badNames.flatMap((name) => [
  make(name),
  get(at(encodeURIComponent(name))),
  update({ description: 'x' }, encodeURIComponent(name)),
  remove(encodeURIComponent(name)),
]);

const roots: Step[] = [
  ...['s3://bucket', 's3://bucket/a/', 'gs://bucket/a', 's3://bucket/a?x=1', 'wasbs://c@a.blob.core.windows.net/x', 'dbfs:/x'],
].map((root) => make('{{n}}', { default_artifact_root: root }));
const badRoots: Step[] = [
  ...['relative/path', 'C:team-a', 'team', 'http://host/x', 'hdfs://host/x', 'sftp://host/x', 'mlflow-artifacts://host/x'],
  ...['s3://bucket/a#b', 's3://bucket/a?x=..', 'runs:/1/x', 'ftp://x/y'],
].map((root) => make('{{n}}', { default_artifact_root: root }));
const badArchives: Step[] = [
  ...['traces', 'mlflow-artifacts:/x', 'http://host/x', 's3://bucket/a#b'].map((location) => ({ location })),
  ...['30', 'd', '0d', '-1d', '1w', '1.5d', '30 d', '1'.repeat(40)].map((retention) => ({ retention })),
].map((config) => make('{{n}}', { trace_archival_config: config }));

const experiment = (name = 'e', id = 'e'): Step =>
  post('experiments/create', { name: `{{n}}${name}` }, { save: { [id]: 'experiment_id' } });
const shown = get('experiments/get', { experiment_id: '{{e}}' });
const run = post('runs/create', { experiment_id: '{{e}}', run_name: 'r' }, { save: { r: 'run.info.run_id' } });
const logged = post('logged-models', { experiment_id: '{{e}}', name: 'l' }, { save: { l: 'model.info.model_id' } });
const model = post('registered-models/create', { name: '{{n}}' });
const version = post('model-versions/create', { name: '{{n}}', source: 's3://bucket/x' });

const inRoots: Case[] = [
  { name: 'artifacts below the workspace', steps: [make(), ...all('{{n}}', [experiment(), shown, run, logged])] },
  ...['s3://bucket/root', 's3://bucket/root/', 's3://bucket/root?x=1'].map((root) => ({
    name: `artifacts below ${root}`,
    steps: [make('{{n}}', { default_artifact_root: root }), ...all('{{n}}', [experiment(), shown, run, logged])],
  })),
  {
    name: 'artifacts below a root with the server itself',
    steps: [
      make('{{n}}', { default_artifact_root: 'mlflow-artifacts:/team' }),
      as('{{n}}', experiment()),
      ...listed(OWN_ROOT, [as('{{n}}', shown)], {
        status: 200,
        has: { 'experiment.artifact_location': 'mlflow-artifacts:/workspaces/{{n}}/team/<e>' },
      }),
    ],
  },
  { name: 'the default workspace, named', steps: all('default', [experiment(), shown, run, logged]) },
  {
    name: 'no location is chosen in a workspace',
    steps: [
      make(),
      ...all('{{n}}', [
        post('experiments/create', { name: 'x', artifact_location: 's3://bucket/x' }),
        post('experiments/create', { name: 'x', artifact_location: 'file:///tmp/custom' }),
        post('experiments/create', { name: 'x', artifact_location: 'folder' }),
        post('experiments/create', { name: '{{n}}', artifact_location: '' }, { save: { e: 'experiment_id' } }),
        post('experiments/create', { name: 'x', artifact_location: 'http://host/x' }),
        get('experiments/get-by-name', { experiment_name: 'Default' }),
        post('experiments/search', { max_results: 10 }),
        get('experiments/get', { experiment_id: '0' }),
        post('runs/create', { experiment_id: '0' }),
      ]),
      as('default', post('experiments/create', { name: 'x', artifact_location: 's3://bucket/x' })),
    ],
  },
];

/** Everything that takes a name or an id of another workspace's. */
const strangers: Step[] = [
  shown,
  get('experiments/get-by-name', { experiment_name: '{{n}}e' }),
  post('experiments/search', { max_results: 1000, filter: "name LIKE '{{n}}%'" }),
  post('experiments/update', { experiment_id: '{{e}}', new_name: 'x' }),
  post('experiments/delete', { experiment_id: '{{e}}' }),
  post('experiments/restore', { experiment_id: '{{e}}' }),
  post('experiments/set-experiment-tag', { experiment_id: '{{e}}', key: 'k', value: 'v' }),
  post('experiments/delete-experiment-tag', { experiment_id: '{{e}}', key: 'k' }),
  post('runs/create', { experiment_id: '{{e}}', run_name: 'r' }),
  get('runs/get', { run_id: '{{r}}' }),
  post('runs/search', { experiment_ids: ['{{e}}'] }),
  post('runs/update', { run_id: '{{r}}', run_name: 'x' }),
  post('runs/delete', { run_id: '{{r}}' }),
  post('runs/restore', { run_id: '{{r}}' }),
  post('runs/set-tag', { run_id: '{{r}}', key: 'k', value: 'v' }),
  post('runs/delete-tag', { run_id: '{{r}}', key: 'k' }),
  post('runs/log-parameter', { run_id: '{{r}}', key: 'k', value: 'v' }),
  post('runs/log-metric', { run_id: '{{r}}', key: 'k', value: 1, timestamp: 1 }),
  post('runs/log-batch', { run_id: '{{r}}', tags: [{ key: 'k', value: 'v' }] }),
  get('/ajax-api/2.0/mlflow/metrics/get-history-bulk', { run_id: '{{r}}', metric_key: 'm' }),
  post('runs/log-inputs', { run_id: '{{r}}', datasets: [], models: [{ model_id: '{{l}}' }] }),
  post('runs/outputs', { run_id: '{{r}}', models: [{ model_id: '{{l}}', step: 0 }] }),
  post('runs/log-model', { run_id: '{{r}}', model_json: '{"run_id": "{{r}}", "artifact_path": "x", "flavors": {}}' }),
  post('/ajax-api/2.0/mlflow/experiments/search-datasets', { experiment_ids: ['{{e}}'] }),
  post('/ajax-api/2.0/mlflow/upload-artifact', {}, { query: { run_uuid: '{{r}}', path: 'x.txt' } }),
  get('/get-artifact', { run_uuid: '{{r}}', path: 'x.txt' }),
  del('logged-models/{{l}}/tags/k', { model_id: '{{l}}', tag_key: 'k' }),
  get('artifacts/list', { run_id: '{{r}}' }),
  post('logged-models', { experiment_id: '{{e}}', name: 'l' }),
  get('logged-models/{{l}}'),
  patch('logged-models/{{l}}', { model_id: '{{l}}', status: 'LOGGED_MODEL_READY' }),
  patch('logged-models/{{l}}/tags', { tags: [{ key: 'k', value: 'v' }] }),
  post('logged-models/{{l}}/params', { model_id: '{{l}}', params: [{ key: 'k', value: 'v' }] }),
  post('logged-models/search', { experiment_ids: ['{{e}}'] }),
  del('logged-models/{{l}}', { model_id: '{{l}}' }),
  get('logged-models/{{l}}/artifacts/directories'),
  get('registered-models/get', { name: '{{n}}' }),
  get('registered-models/search', { filter: "name = '{{n}}'" }),
  post('registered-models/rename', { name: '{{n}}', new_name: '{{n}}x' }),
  patch('registered-models/update', { name: '{{n}}', description: 'x' }),
  del('registered-models/delete', { name: '{{n}}' }),
  post('registered-models/set-tag', { name: '{{n}}', key: 'k', value: 'v' }),
  del('registered-models/delete-tag', { name: '{{n}}', key: 'k' }),
  post('registered-models/alias', { name: '{{n}}', alias: 'a', version: '1' }),
  get('registered-models/alias', { name: '{{n}}', alias: 'a' }),
  del('registered-models/alias', { name: '{{n}}', alias: 'a' }),
  post('registered-models/get-latest-versions', { name: '{{n}}' }),
  version,
  post('model-versions/create', { name: '{{n}}', source: 'models:/{{n}}/1' }),
  del('model-versions/delete-tag', { name: '{{n}}', version: '1', key: 'k' }),
  get('model-versions/get', { name: '{{n}}', version: '1' }),
  get('model-versions/search', { filter: "name = '{{n}}'" }),
  get('model-versions/get-download-uri', { name: '{{n}}', version: '1' }),
  patch('model-versions/update', { name: '{{n}}', version: '1', description: 'x' }),
  del('model-versions/delete', { name: '{{n}}', version: '1' }),
  post('model-versions/transition-stage', { name: '{{n}}', version: '1', stage: 'Production', archive_existing_versions: false }),
  post('model-versions/set-tag', { name: '{{n}}', version: '1', key: 'k', value: 'v' }),
];
const history = [
  get('metrics/get-history', { run_id: '{{r}}', metric_key: 'm' }),
  get('/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval', { run_ids: '{{r}}', metric_key: 'm' }),
];
const filled: Step[] = [
  make(),
  make('{{n}}-b'),
  ...all('{{n}}', [
    experiment(),
    post('experiments/set-experiment-tag', { experiment_id: '{{e}}', key: 'k', value: 'v' }),
    run,
    post('runs/log-batch', { run_id: '{{r}}', tags: [{ key: 'k', value: 'v' }], metrics: [{ key: 'm', value: 1, timestamp: 1, step: 0 }] }),
    logged,
    model,
    version,
    post('registered-models/alias', { name: '{{n}}', alias: 'a', version: '1' }),
  ]),
];

const isolation: Case[] = [
  { name: 'another workspace sees nothing', steps: [...filled, ...all('{{n}}-b', [...strangers, ...history])] },
  {
    name: 'who names no workspace sees nothing',
    steps: [
      ...filled,
      ...strangers,
      ...listed('who names no workspace is answered as without workspaces', history, { status: 200, body: {} }),
    ],
  },
  {
    name: 'a version of a stranger',
    steps: [
      ...filled,
      ...all('{{n}}-b', [
        model,
        post('model-versions/create', { name: '{{n}}', source: 'runs:/{{r}}/x', run_id: '{{r}}' }),
        post('model-versions/create', {
          name: '{{n}}',
          source: 'mlflow-artifacts:/workspaces/{{n}}/{{e}}/{{r}}/artifacts/x',
          run_id: '{{r}}',
        }),
        post('model-versions/create', { name: '{{n}}', source: 'mlflow-artifacts:/workspaces/{{n}}/x' }),
        ...listed('what can never succeed is no 500', [
          post('model-versions/create', { name: '{{n}}', source: 'models:/{{l}}', model_id: '{{l}}' }),
        ]),
        post('model-versions/create', { name: '{{n}}', source: 's3://bucket/x', run_id: '{{r}}' }),
      ]),
      // The stock server makes the version all the same.
      as('{{n}}-b', post('model-versions/create', { name: '{{n}}', source: 's3://bucket/x', model_id: '{{l}}' })),
      as('{{n}}', get('logged-models/{{l}}')),
    ],
  },
  {
    name: 'the same names in two workspaces',
    steps: [
      ...filled,
      ...all('{{n}}-b', [
        experiment('e', 'e2'),
        model,
        version,
        version,
        get('registered-models/search', { filter: "name LIKE '{{n}}%'" }),
        get('experiments/get-by-name', { experiment_name: '{{n}}e' }),
        post('model-versions/create', { name: '{{n}}', source: 'models:/{{n}}/2' }),
        post('model-versions/create', { name: '{{n}}', source: 'models:/{{n}}@a' }),
      ]),
      ...all('{{n}}', [
        get('model-versions/get', { name: '{{n}}', version: '2' }),
        get('registered-models/alias', { name: '{{n}}', alias: 'a' }),
        get('experiments/get-by-name', { experiment_name: '{{n}}e' }),
      ]),
    ],
  },
];

const file = (path: string): Step => ({ method: 'GET', path: `${ARTIFACTS}/${path}` });
const drop = (path: string): Step => ({ method: 'DELETE', path: `${ARTIFACTS}/${path}` });
const folder = (path: string): Step => get(ARTIFACTS, { path });

const artifacts: Case[] = [
  {
    name: 'artifacts of a workspace',
    steps: [
      make(),
      make('{{n}}-b'),
      ...all('{{n}}', [
        get(ARTIFACTS),
        put(`${ARTIFACTS}/a/one.txt`, 'one'),
        put(`${ARTIFACTS}/workspaces/{{n}}/a/two.txt`, 'two'),
        get(ARTIFACTS),
        folder('a'),
        folder('workspaces/{{n}}'),
        folder('workspaces/{{n}}/a'),
        file('a/two.txt'),
        file('workspaces/{{n}}/a/one.txt'),
        file('a/nope.txt'),
        put(`${ARTIFACTS}/workspaces/{{n}}-b/x`, 'x'),
        put(`${ARTIFACTS}/workspaces/default/x`, 'x'),
        put(`${ARTIFACTS}/workspaces/not-there/x`, 'x'),
        folder('workspaces/{{n}}-b'),
        file('workspaces/{{n}}-b/a/one.txt'),
        drop('workspaces/{{n}}-b/a/one.txt'),
        folder('workspaces'),
        drop('workspaces/{{n}}/a/one.txt'),
        drop('a/two.txt'),
        folder('a'),
      ]),
    ],
  },
  {
    name: 'artifacts of another workspace',
    steps: [
      make(),
      make('{{n}}-b'),
      as('{{n}}', put(`${ARTIFACTS}/a/one.txt`, 'one')),
      ...['{{n}}-b', 'default', ''].flatMap((other) => {
        const steps = [
          folder('workspaces/{{n}}'),
          file('workspaces/{{n}}/a/one.txt'),
          put(`${ARTIFACTS}/workspaces/{{n}}/a/one.txt`, 'mine'),
          drop('workspaces/{{n}}/a/one.txt'),
        ];
        return other ? all(other, steps) : steps;
      }),
      as('{{n}}-b', file('a/one.txt')),
      as('{{n}}', file('a/one.txt')),
    ],
  },
  {
    name: 'artifacts of the default workspace, named',
    steps: all('default', [
      put(`${ARTIFACTS}/{{n}}/one.txt`, 'one'),
      put(`${ARTIFACTS}/workspaces/default/{{n}}/two.txt`, 'two'),
      folder('{{n}}'),
      folder('workspaces/default/{{n}}'),
      file('{{n}}/one.txt'),
      file('workspaces/default/{{n}}/two.txt'),
      file('workspaces/default/{{n}}/one.txt'),
      folder('workspaces/not-there'),
    ]),
  },
  {
    name: 'artifacts of a run in a workspace',
    steps: [
      make(),
      ...all('{{n}}', [
        experiment(),
        run,
        put(`${ARTIFACTS}/workspaces/{{n}}/{{e}}/{{r}}/artifacts/a/one.txt`, 'one'),
        put(`${ARTIFACTS}/{{e}}/{{r}}/artifacts/two.txt`, 'two'),
        get('artifacts/list', { run_id: '{{r}}' }),
        get('artifacts/list', { run_id: '{{r}}', path: 'a' }),
        get('/get-artifact', { run_uuid: '{{r}}', path: 'a/one.txt' }),
        model,
        post('model-versions/create', {
          name: '{{n}}',
          source: 'mlflow-artifacts:/workspaces/{{n}}/{{e}}/{{r}}/artifacts/a',
          run_id: '{{r}}',
        }),
        post('model-versions/create', { name: '{{n}}', source: 'mlflow-artifacts:/{{e}}/{{r}}/artifacts/a', run_id: '{{r}}' }),
        post('model-versions/create', { name: '{{n}}', source: 'runs:/{{r}}/a', run_id: '{{r}}' }),
      ]),
    ],
  },
];

const deletions: Case[] = [
  {
    name: 'remove what is not empty',
    steps: [
      ...filled,
      ...listed(STATE, [remove(), remove('{{n}}', 'RESTRICT')]),
      remove('{{n}}', 'NOPE'),
      as('{{n}}', del('registered-models/delete', { name: '{{n}}' })),
      ...listed(STATE, [remove()]),
      as('{{n}}', post('experiments/delete', { experiment_id: '{{e}}' })),
      ...listed(STATE, [remove()]),
    ],
  },
  {
    name: 'remove with all that is in it',
    steps: [
      ...filled,
      remove('{{n}}', 'CASCADE'),
      get(at()),
      ...all('{{n}}', [get('registered-models/get', { name: '{{n}}' }), run]),
      make(),
      ...all('{{n}}', [
        get('registered-models/get', { name: '{{n}}' }),
        get('runs/get', { run_id: '{{r}}' }),
        get('logged-models/{{l}}'),
        model,
        version,
      ]),
    ],
  },
  {
    name: 'remove and move to default',
    steps: [
      ...filled,
      remove('{{n}}', 'SET_DEFAULT'),
      get(at()),
      as('{{n}}', get('registered-models/get', { name: '{{n}}' })),
      get('registered-models/get', { name: '{{n}}' }, { leaveOut: ['aliases'] }),
      get('registered-models/alias', { name: '{{n}}', alias: 'a' }),
      get('model-versions/get', { name: '{{n}}', version: '1' }),
      shown,
      get('runs/get', { run_id: '{{r}}' }),
      get('logged-models/{{l}}'),
    ],
  },
  {
    name: 'remove with names that default has',
    steps: [...filled, model, experiment('e', 'e2'), ...listed(STATE, [remove('{{n}}', 'SET_DEFAULT')]), get(at())],
  },
  {
    name: 'remove with names of webhooks that default has',
    steps: [
      make(),
      hook('default'),
      hook('default'),
      hook('{{n}}'),
      hook('{{n}}'),
      hook('{{n}}', '{{n}}-other'),
      ...listed(STATE, [remove('{{n}}', 'SET_DEFAULT')]),
    ],
  },
  {
    name: 'remove after its webhooks were deleted',
    steps: [make(), hook('{{n}}'), as('{{n}}', del('webhooks/{{id}}')), ...listed(SOFT, [remove('{{n}}')], { status: 204, body: '' })],
  },
];

const headers: Step[] = [
  ...[
    '',
    ' ',
    'default',
    ' default ',
    'Default',
    'DEFAULT',
    'not-there',
    ' not-there ',
    'a,b',
    ...badNames.filter((name) => /^[ -~]+$/.test(name)),
  ],
].flatMap((header) => [
  as(header, get('registered-models/get', { name: 'not there' })),
  as(header, get(`${WORKSPACES}/default`)),
  as(header, post('registered-models/create', {})),
]);
const unscoped: Step[] = [
  ['/health', 'OK'],
  ['/version', '3.17.2'],
].flatMap(([path = '', body]) =>
  listed('whether the server lives does not depend on its database', [as('not-there', get(path)), as('Q', get(path))], {
    status: 200,
    body,
  }),
);

export const workspaces: Group = {
  group: 'workspaces',
  workspaces: true,
  cases: [
    life,
    ...each('the default workspace', ofDefault),
    ...each('a value of the wrong type', typed),
    ...each('a value of the wrong type inside', listed('the sentence names the whole path', typedInside)),
    ...each('a name that cannot be', named),
    ...each('a root', roots),
    ...each('a root that cannot be', badRoots),
    ...each(
      'a root on the server',
      listed(OWN_DISK, [make('{{n}}', { default_artifact_root: '/abs' }), make('{{n}}', { default_artifact_root: 'file:///abs' })]),
    ),
    ...each('an archive that cannot be', badArchives),
    ...each(
      'null is as good as absent',
      listed('null counts as absent, as it does everywhere else', [update({ description: null }, 'default')]),
    ),
    ...eachAfter('a header', [], headers),
    // Other cases have made some, too.
    ...each('list', [
      get(WORKSPACES, { max_results: '1' }, { leaveOut: ['workspaces'] }),
      get(WORKSPACES, { page_token: 'x' }, { leaveOut: ['workspaces'] }),
      get('/ajax-api/3.0/mlflow/workspaces', undefined, { leaveOut: ['workspaces'] }),
      as('Q', get(WORKSPACES)),
    ]),
    ...each('an answer that no header changes', unscoped),
    ...inRoots,
    ...isolation,
    ...artifacts,
    ...deletions,
  ],
};
