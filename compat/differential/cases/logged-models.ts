import { del, each, eachAfter, eachValue, type Group, get, listed, patch, post, put, type Step } from '../case.ts';

const SQL_TEXT = 'the stock server answers 400 with SQL in the text';
const DROPPED = 'the stock server drops or mangles the field without a word, or answers 500';
const HTML = 'the stock server answers with an HTML page, which clients cannot read';
const IN_PATH = 'the path names the model; a model_id in the body may be left out, and is ignored';
const DOT = "an empty or '.' segment is refused in every artifact path";

const AJAX = '/ajax-api/2.0/mlflow/logged-models';
const NO_MODEL = `m-${'0'.repeat(32)}`;

const create = (body: object = {}): Step => post('logged-models', { experiment_id: '0', name: '{{n}}', ...body });
const made: Step = { ...create(), save: { model: 'model.info.model_id' } };
const shown = get('logged-models/{{model}}');
const finalize = (status: unknown): Step => patch('logged-models/{{model}}', { model_id: '{{model}}', status });
const logParams = (params: unknown): Step => post('logged-models/{{model}}/params', { model_id: '{{model}}', params });
const setTags = (tags: unknown): Step => patch('logged-models/{{model}}/tags', { model_id: '{{model}}', tags });

const names = [
  'plain',
  'a b',
  ' lead',
  "it's",
  '"q"',
  'a/b',
  'a:b',
  'a.b',
  'a%b',
  'a\\b',
  '..',
  '-',
  '0',
  '🦊 ünï',
  ' ',
  '#',
  '?',
  '__proto__',
  'x'.repeat(500),
];
const keys = ['k', 'a/b', 'a b', 'a.b', 'a:b', 'a%b', '😀', ' ', '..', '/a', 'a//b', "it's", '"q"', '`b`', 'x'.repeat(255), '__proto__'];
const wrongTypes = [5, 1.5, true, [], {}, ['a'], { a: 1 }];

const pairs = (of: object) => Object.entries(of).map(([key, value]) => ({ key, value }));
const twice = (...values: string[]) => values.map((value) => ({ key: 'a', value }));

export const loggedModels: Group = {
  group: 'logged-models',
  cases: [
    ...eachAfter(
      'create and get',
      [],
      names.map((name) => create({ name })),
    ),
    ...each('create with one field', [
      create({ model_type: 'Agent' }),
      create({ model_type: '' }),
      create({ model_type: 'x'.repeat(500) }),
      create({ source_run_id: 'r1' }),
      create({ source_run_id: '' }),
      create({ source_run_id: 'x'.repeat(32) }),
      create({ params: [] }),
      create({ params: [{ key: 'a', value: '1' }] }),
      create({ params: [{ key: 'a' }] }),
      create({ params: [{ key: 'a', value: '' }, { key: 'b' }] }),
      create({ params: [{ value: '1' }] }),
      create({ tags: [] }),
      create({ tags: [{ key: 'a', value: '1' }] }),
      create({ tags: [{ key: 'a' }, { key: 'b', value: 'ünï 🦊' }] }),
      create({ tags: [{ value: '1' }] }),
      create({ nope: 1 }),
      create({ name: null, model_type: null, source_run_id: null, params: null, tags: null }),
      post(
        'logged-models',
        { experimentId: '0', modelType: 'a', sourceRunId: 'b', name: 'c' },
        {
          differs: 'camelCase is accepted for all',
          ours: { status: 200, has: { 'model.info.model_type': 'a', 'model.info.source_run_id': 'b' } },
        },
      ),
      post('logged-models', { experiment_id: '0' }),
      post('logged-models', { experiment_id: '0', name: '' }),
      create({ experiment_id: 'abc' }),
      create({ experiment_id: '' }),
      create({ experiment_id: ' 0' }),
      create({ experiment_id: '999999999' }),
      create({ experiment_id: '99999999999999999999' }),
      create({ experiment_id: '-1' }),
      create({ experiment_id: '1.0' }),
      post('logged-models'),
      post('logged-models', { name: 'x' }),
      post(`${AJAX}`, { experiment_id: '0', name: 'x' }),
    ]),
    ...each(
      'create with a key',
      keys.flatMap((key) => [create({ params: [{ key, value: 'v' }] }), create({ tags: [{ key, value: 'v' }] })]),
    ),
    ...['experiment_id', 'name', 'model_type', 'source_run_id'].flatMap((field) =>
      each(`create with a wrong ${field}`, eachValue('logged-models', { experiment_id: '0', name: 'x' }, field, wrongTypes)),
    ),
    ...['params', 'tags'].flatMap((field) =>
      each(`create with wrong ${field}`, eachValue('logged-models', { experiment_id: '0', name: 'x' }, field, ['a', 5, true, { a: 1 }])),
    ),
    ...each(
      'create with repeated keys',
      listed(SQL_TEXT, [
        create({ params: twice('1', '1') }),
        create({ params: twice('1', '2') }),
        create({ tags: twice('1', '1') }),
        create({ tags: twice('1', '2', '3') }),
      ]),
    ),
    ...each('too long', [
      ...listed(SQL_TEXT, [
        create({ name: 'x'.repeat(501) }),
        create({ model_type: 'x'.repeat(501) }),
        create({ source_run_id: 'x'.repeat(33) }),
        create({ params: [{ key: 'x'.repeat(256), value: '1' }] }),
        create({ tags: [{ key: 'x'.repeat(256), value: '1' }] }),
      ]),
      create({ params: [{ key: 'k', value: 'x'.repeat(6001) }] }),
      create({ tags: [{ key: 'k', value: 'x'.repeat(8001) }] }),
    ]),
    ...eachAfter(
      'create in',
      [post('experiments/create', { name: '{{n}}' }, { save: { exp: 'experiment_id' } })],
      [create({ experiment_id: '{{exp}}' })],
    ),
    {
      name: 'create in a deleted experiment',
      steps: [
        post('experiments/create', { name: '{{n}}' }, { save: { exp: 'experiment_id' } }),
        { ...create({ experiment_id: '{{exp}}' }), save: { model: 'model.info.model_id' } },
        post('experiments/delete', { experiment_id: '{{exp}}' }),
        create({ experiment_id: '{{exp}}' }),
        shown,
        finalize(2),
        setTags([{ key: 'a', value: '1' }]),
        post('logged-models/search', { experiment_ids: ['{{exp}}'] }),
      ],
    },
    ...each('not there', [
      get(`logged-models/${NO_MODEL}`),
      get('logged-models/x'),
      get('logged-models/%20'),
      get(`logged-models/${NO_MODEL}`, { allow_deleted: 'true' }),
      del(`logged-models/${NO_MODEL}`),
      patch(`logged-models/${NO_MODEL}`, { model_id: NO_MODEL, status: 2 }),
      post(`logged-models/${NO_MODEL}/params`, { model_id: NO_MODEL, params: [{ key: 'a', value: 'b' }] }),
      patch(`logged-models/${NO_MODEL}/tags`, { tags: [{ key: 'a', value: 'b' }] }),
      del(`logged-models/${NO_MODEL}/tags/a`),
      get(`logged-models/${NO_MODEL}/artifacts/directories`),
      get(`${AJAX}/${NO_MODEL}/artifacts/files`, { artifact_file_path: 'a' }),
      get(`${AJAX}/${NO_MODEL}/artifacts/files`),
      get(`${AJAX}/${NO_MODEL}`),
    ]),
    ...eachAfter('finalize', [made], [2, 3, 1, 0, '2', 'LOGGED_MODEL_READY', '', null, 2.0].map(finalize)),
    ...eachAfter('finalize with a wrong status', [made], listed(DROPPED, [4, 99, -1, 'READY', 'x', 1.5, true, [], {}].map(finalize))),
    ...eachAfter(
      'finalize without',
      [made],
      [
        patch('logged-models/{{model}}', { model_id: '{{model}}' }),
        { ...patch('logged-models/{{model}}', {}), differs: IN_PATH },
        {
          ...patch('logged-models/{{model}}', { model_id: 5, status: 2 }),
          differs: IN_PATH,
          ours: { status: 200, has: { 'model.info.model_id': '<model>', 'model.info.status': 'LOGGED_MODEL_READY' } },
        },
        {
          ...patch('logged-models/{{model}}', { status: 2 }),
          differs: IN_PATH,
          ours: { status: 200, has: { 'model.info.model_id': '<model>', 'model.info.status': 'LOGGED_MODEL_READY' } },
        },
        { ...post('logged-models/{{model}}/params', { params: [] }), differs: IN_PATH, ours: { status: 200, body: {} } },
      ],
    ),
    {
      name: 'life',
      steps: [
        { ...create({ params: pairs({ a: '1' }), tags: pairs({ t: '1' }), model_type: 'x' }), save: { model: 'model.info.model_id' } },
        shown,
        get('logged-models/{{model}}', { allow_deleted: 'false' }),
        get('logged-models/{{model}}', { nope: '1' }),
        finalize(2),
        shown,
        logParams(pairs({ b: '2', 'c d': '' })),
        shown,
        setTags(pairs({ t: '2', u: '3' })),
        setTags(twice('1', '2')),
        setTags([]),
        shown,
        del('logged-models/{{model}}/tags/t'),
        del('logged-models/{{model}}/tags/t'),
        del('logged-models/{{model}}/tags/u%20v'),
        shown,
        finalize(3),
        finalize(1),
        del('logged-models/{{model}}'),
        shown,
        get('logged-models/{{model}}', { allow_deleted: 'true' }),
        get('logged-models/{{model}}', { allow_deleted: 'TRUE' }),
        get('logged-models/{{model}}', { allow_deleted: 'false' }),
        del('logged-models/{{model}}'),
        finalize(2),
        setTags(pairs({ after: 'delete' })),
        logParams(pairs({ after: 'delete' })),
        get('logged-models/{{model}}', { allow_deleted: 'true' }),
        get('logged-models/{{model}}/artifacts/directories'),
        get(`${AJAX}/{{model}}/artifacts/files`, { artifact_file_path: 'a' }),
      ],
    },
    ...eachAfter(
      'tags',
      [made],
      keys
        .filter((key) => !/[/]|^\.\.$/.test(key))
        .flatMap((key) => [setTags([{ key, value: 'v' }]), del(`logged-models/{{model}}/tags/${encodeURIComponent(key)}`)]),
    ),
    {
      name: 'tags of odd keys are set, shown and deleted',
      steps: [
        made,
        setTags(keys.map((key) => ({ key, value: `v ${key}` }))),
        shown,
        ...keys
          .filter((key) => !/[/]|^\.\.$/.test(key))
          .map((key): Step => ({ method: 'DELETE', path: `logged-models/{{model}}/tags/${encodeURIComponent(key)}` })),
        shown,
      ],
    },
    ...eachAfter(
      'tags of a wrong form',
      [made],
      [
        ...['a', 5, true, { a: 1 }].map(setTags),
        patch('logged-models/{{model}}/tags', {}),
        patch('logged-models/{{model}}/tags', { tags: null }),
        setTags([{ key: 'a' }]),
        setTags([{ value: 'a' }]),
        setTags([{}]),
        ...listed(HTML, [del('logged-models/{{model}}/tags/'), del('logged-models/{{model}}/tags')]),
      ],
    ),
    ...eachAfter(
      'params of a wrong form',
      [made],
      [
        ...['a', 5, true, { a: 1 }].map(logParams),
        logParams(undefined),
        logParams(null),
        logParams([]),
        logParams([{ key: 'a' }]),
        logParams([{ value: 'a' }]),
        logParams([{}]),
        logParams(keys.map((key) => ({ key, value: 'v' }))),
        logParams([{ key: 'a', value: 'x'.repeat(500) }]),
        logParams([{ key: 'a', value: 'x'.repeat(5000) }]),
        ...listed(SQL_TEXT, [logParams(twice('1', '1')), logParams(twice('1', '2'))]),
      ],
    ),
    {
      name: 'params again',
      steps: [
        made,
        logParams(pairs({ a: '1' })),
        { ...logParams(pairs({ a: '1' })), differs: 'a retry works', ours: { status: 200, body: {} } },
        { ...logParams(pairs({ a: '2' })), differs: SQL_TEXT },
        shown,
      ],
    },
    {
      name: 'tags with a slash',
      steps: [
        made,
        setTags(pairs({ 'a/b': '1' })),
        { ...del('logged-models/{{model}}/tags/a%2Fb'), differs: 'a 404 page on the stock server', ours: { status: 200, body: {} } },
      ],
    },
    {
      name: 'artifacts',
      steps: [
        { ...made },
        get('logged-models/{{model}}/artifacts/directories'),
        ...['MLmodel', 'empty', 'data/model.pkl', 'data/deep/a.txt', 'ünï/🦊 b%25.txt'].map((path) =>
          put(`/api/2.0/mlflow-artifacts/artifacts/0/models/{{model}}/artifacts/${path}`, path === 'empty' ? '' : `bytes of ${path}`),
        ),
        get('logged-models/{{model}}/artifacts/directories'),
        ...['data', 'data/', 'data/deep', 'ünï', 'MLmodel', 'none', '', '..', '/etc', 'a/../b', '%2e%2e', '%252e%252e'].map(
          (artifact_directory_path) => get('logged-models/{{model}}/artifacts/directories', { artifact_directory_path }),
        ),
        get('logged-models/{{model}}/artifacts/directories', { artifact_directory_path: 'data', page_token: 'x' }),
        get(`${AJAX}/{{model}}/artifacts/directories`),
        ...[
          'MLmodel',
          'empty',
          'data/model.pkl',
          'data/deep/a.txt',
          'data',
          'none',
          'none/x',
          '',
          '..',
          '../../x',
          '/etc/passwd',
          '%2e%2e/x',
        ].map((artifact_file_path) => get(`${AJAX}/{{model}}/artifacts/files`, { artifact_file_path })),
        get(`${AJAX}/{{model}}/artifacts/files`, { artifact_file_path: 'ünï/🦊 b%.txt' }),
        get(`${AJAX}/{{model}}/artifacts/files`, { artifact_file_path: 'MLmodel' }, { headers: { Range: 'bytes=2-5' } }),
        get(`${AJAX}/{{model}}/artifacts/files`),
        ...listed(HTML, [get('logged-models/{{model}}/artifacts/files', { artifact_file_path: 'MLmodel' })]),
        ...listed(DOT, [
          ...['.', 'data//deep', './data'].map((artifact_directory_path) =>
            get('logged-models/{{model}}/artifacts/directories', { artifact_directory_path }),
          ),
          ...['.', 'data//model.pkl', 'data/'].map((artifact_file_path) =>
            get(`${AJAX}/{{model}}/artifacts/files`, { artifact_file_path }),
          ),
        ]),
      ],
    },
  ],
};
