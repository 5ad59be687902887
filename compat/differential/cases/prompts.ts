import { del, each, eachAfter, type Group, get, listed, patch, post, type Step } from '../case.ts';

const IS_PROMPT = 'mlflow.prompt.is_prompt';
const TEXT = 'mlflow.prompt.text';
const PROMPT = { key: IS_PROMPT, value: 'true' };
const TAG = `tags.\`${IS_PROMPT}\``;

const TOO_LONG = 'told with the limit that a tag of a model really has';
const ALIASES = 'versions in a search carry aliases, which the stock server leaves empty there';

const prompt = (name: string, tags: object[] = []): Step =>
  post('registered-models/create', { name, tags: [PROMPT, ...tags], description: 'first' });
const model = (name: string, more: object = {}): Step => post('registered-models/create', { name, ...more });
const version = (name: string, text: string, more: object = {}): Step =>
  post('model-versions/create', {
    name,
    description: 'first',
    source: 'dummy-source',
    tags: [PROMPT, { key: 'mlflow.prompt.type', value: 'text' }, { key: TEXT, value: text }],
    ...more,
  });
const typed = (source: unknown, tags: object[] = [PROMPT]): Step => post('model-versions/create', { name: '{{n}}', source, tags });
const models = (filter: string, more: object = {}): Step => get('registered-models/search', { filter, ...more });
const versions = (filter: string, more: object = {}): Step => get('model-versions/search', { filter, ...more });

const setText = (path: string, length: number): Step => post(path, { name: '{{n}}-p', version: '1', key: TEXT, value: 'x'.repeat(length) });

/** Prompts `{{n}}-p` (three versions) and `{{n}}-q` (none), a model `{{n}}-m` with a version. */
const world: Step[] = [
  prompt('{{n}}-p', [{ key: 'author', value: 'ada' }]),
  version('{{n}}-p', 'Hello {{who}}'),
  version('{{n}}-p', 'Good day', { tags: [PROMPT, { key: TEXT, value: 'Good day' }, { key: 'author', value: 'bob' }] }),
  version('{{n}}-p', '[{"role": "user"}]', { tags: [PROMPT, { key: 'mlflow.prompt.type', value: 'chat' }, { key: TEXT, value: '[]' }] }),
  prompt('{{n}}-q'),
  model('{{n}}-m', { tags: [{ key: 'author', value: 'ada' }] }),
  post('model-versions/create', { name: '{{n}}-m', source: 's3://bucket/m' }),
];

const decisions = [
  '',
  ` AND ${TAG} = 'true'`,
  ` AND ${TAG} = 'TRUE'`,
  ` AND ${TAG} = 'True'`,
  ` AND ${TAG} != 'false'`,
  ` AND ${TAG} != 'FALSE'`,
  ` AND ${TAG} = 'false'`,
  ` AND ${TAG} != 'true'`,
  ` AND ${TAG} != 'TRUE'`,
  ` AND ${TAG} = 'x'`,
  ` AND ${TAG} LIKE 'true'`,
  ` AND ${TAG} ILIKE 'TRUE'`,
  ` AND ${TAG} LIKE '%'`,
  ` AND ${TAG} = ''`,
  ` AND tag.\`${IS_PROMPT}\` = 'true'`,
  ` AND tag.\`${IS_PROMPT}\` != 'true'`,
  ` AND tags."${IS_PROMPT}" = 'true'`,
  ` AND tags.${IS_PROMPT} = 'true'`,
  ` AND ${TAG} = 'true' AND ${TAG} != 'false'`,
  ` AND ${TAG} = 'true' AND ${TAG} = 'false'`,
  ` AND ${TAG} = 'true' AND tags.author = 'ada'`,
  ` AND ${TAG} = 'true' AND tags.author = 'bob'`,
  ` AND ${TAG} != 'true' AND tags.author = 'ada'`,
  " AND tags.author = 'ada'",
];

const sources = [
  'dummy-source',
  'prompt-template',
  '',
  'x',
  ' dummy-source',
  'dummy-source/',
  'Dummy-Source',
  's3://bucket/x',
  '/etc/passwd',
  'file:///etc/passwd',
  'http://127.0.0.1/x',
  'models:/other/1',
  'runs:/x/y',
  5,
  null,
];

export const prompts: Group = {
  group: 'prompts',
  cases: [
    {
      name: 'register, as the client does',
      steps: [
        get('registered-models/get', { name: '{{n}}' }),
        prompt('{{n}}', [{ key: 'author', value: 'ada' }]),
        version('{{n}}', 'Hello {{who}} äöü 漢字'),
        get('registered-models/get', { name: '{{n}}' }),
        get('model-versions/get', { name: '{{n}}', version: '1' }),
        post('registered-models/set-tag', { name: '{{n}}', key: 'author', value: 'bob' }),
        post('registered-models/set-tag', { name: '{{n}}', key: '_mlflow_experiment_ids', value: ',1,' }),
        version('{{n}}', 'second', { description: undefined }),
        get('registered-models/alias', { name: '{{n}}', alias: 'latest' }),
        post('model-versions/set-tag', { name: '{{n}}', version: '1', key: '_mlflow_prompt_model_config', value: '{"model_name": "m"}' }),
        post('model-versions/set-tag', { name: '{{n}}', version: '1', key: 'reviewed', value: 'yes' }),
        del('model-versions/delete-tag', { name: '{{n}}', version: '1', key: 'reviewed' }),
        get('model-versions/get', { name: '{{n}}', version: '1' }),
        get('registered-models/get', { name: '{{n}}' }),
      ],
    },
    {
      name: 'aliases',
      steps: [
        ...world,
        post('registered-models/alias', { name: '{{n}}-p', alias: 'production', version: '1' }),
        get('registered-models/alias', { name: '{{n}}-p', alias: 'production' }),
        post('registered-models/alias', { name: '{{n}}-p', alias: 'production', version: '2' }),
        get('registered-models/alias', { name: '{{n}}-p', alias: 'production' }),
        get('model-versions/get', { name: '{{n}}-p', version: '2' }),
        get('registered-models/get', { name: '{{n}}-p' }),
        ...listed(ALIASES, [versions(`name = '{{n}}-p' AND ${TAG} = 'true'`)], {
          status: 200,
          has: { 'model_versions.1.aliases': ['production'] },
        }),
        del('registered-models/alias', { name: '{{n}}-p', alias: 'production' }),
        get('registered-models/alias', { name: '{{n}}-p', alias: 'production' }),
        get('registered-models/alias', { name: '{{n}}-q', alias: 'latest' }),
        post('registered-models/alias', { name: '{{n}}-q', alias: 'a', version: '1' }),
        post('registered-models/alias', { name: '{{n}}-p', alias: 'latest', version: '1' }),
        post('registered-models/alias', { name: '{{n}}-p', alias: 'v1', version: '1' }),
      ],
    },
    { name: 'search for models', steps: [...world, ...decisions.map((more) => models(`name LIKE '{{n}}-%'${more}`))] },
    { name: 'search for versions', steps: [...world, ...decisions.map((more) => versions(`name = '{{n}}-p'${more}`))] },
    { name: 'search for versions of a model', steps: [...world, ...decisions.map((more) => versions(`name = '{{n}}-m'${more}`))] },
    {
      name: 'search in pages',
      steps: [
        ...world,
        { ...models(`${TAG} = 'true' AND name LIKE '{{n}}-%'`, { max_results: '1' }), save: { token: 'next_page_token' } },
        models(`${TAG} = 'true' AND name LIKE '{{n}}-%'`, { max_results: '1', page_token: '{{token}}' }),
        models(`${TAG} = 'true' AND name LIKE '{{n}}-%'`, { order_by: 'name DESC' }),
        models(`name LIKE '{{n}}-%' AND ${TAG} = 'true'`, { order_by: ['timestamp DESC', 'name'] }),
        versions(`name = '{{n}}-p' AND tag.\`${IS_PROMPT}\` = 'true'`, { order_by: 'version_number DESC' }),
        {
          ...versions(`name = '{{n}}-p' AND ${TAG} = 'true'`, { order_by: 'version_number DESC', max_results: '2' }),
          save: { more: 'next_page_token' },
        },
        versions(`name = '{{n}}-p' AND ${TAG} = 'true'`, { order_by: 'version_number DESC', max_results: '2', page_token: '{{more}}' }),
      ],
    },
    {
      name: 'one name for both',
      steps: [
        ...world,
        prompt('{{n}}-p'),
        model('{{n}}-p'),
        prompt('{{n}}-m'),
        model('{{n}}-m'),
        post('registered-models/create', { name: '{{n}}-m', tags: [{ key: IS_PROMPT, value: 'false' }] }),
        post('registered-models/create', { name: '{{n}}-p', tags: [{ key: IS_PROMPT, value: 'false' }] }),
        post('registered-models/create', { name: '{{n}}-f', tags: [{ key: IS_PROMPT, value: 'false' }] }),
        model('{{n}}-f'),
        prompt('{{n}}-f'),
        models("name LIKE '{{n}}-f'"),
        models(`name LIKE '{{n}}-f' AND ${TAG} = 'true'`),
        models(`name LIKE '{{n}}-f' AND ${TAG} != 'false'`),
      ],
    },
    {
      name: 'a prompt becomes a model and back',
      steps: [
        ...world,
        del('registered-models/delete-tag', { name: '{{n}}-p', key: IS_PROMPT }),
        models("name LIKE '{{n}}-%'"),
        models(`name LIKE '{{n}}-%' AND ${TAG} = 'true'`),
        versions("name = '{{n}}-p'"),
        model('{{n}}-p'),
        post('registered-models/set-tag', { name: '{{n}}-m', key: IS_PROMPT, value: 'true' }),
        models(`name LIKE '{{n}}-%' AND ${TAG} = 'true'`),
        versions("name = '{{n}}-m'"),
        post('model-versions/set-tag', { name: '{{n}}-m', version: '1', key: IS_PROMPT, value: 'true' }),
        versions("name = '{{n}}-m'"),
        versions(`name = '{{n}}-m' AND ${TAG} = 'true'`),
      ],
    },
    {
      name: 'a plain version of a prompt',
      steps: [
        ...world,
        post('model-versions/create', { name: '{{n}}-p', source: 's3://bucket/m' }),
        versions("name = '{{n}}-p'"),
        versions(`name = '{{n}}-p' AND ${TAG} = 'true'`),
      ],
    },
    {
      name: 'a prompt version of a model',
      steps: [...world, version('{{n}}-m', 'x'), versions("name = '{{n}}-m'"), versions(`name = '{{n}}-m' AND ${TAG} = 'true'`)],
    },
    {
      name: 'delete and rename',
      steps: [
        ...world,
        del('model-versions/delete', { name: '{{n}}-p', version: '2' }),
        get('model-versions/get', { name: '{{n}}-p', version: '2' }),
        version('{{n}}-p', 'again'),
        post('registered-models/rename', { name: '{{n}}-p', new_name: '{{n}}-r' }),
        models(`name LIKE '{{n}}-%' AND ${TAG} = 'true'`),
        patch('registered-models/update', { name: '{{n}}-r', description: 'other' }),
        patch('model-versions/update', { name: '{{n}}-r', version: '1', description: 'other' }),
        del('registered-models/delete', { name: '{{n}}-r' }),
        get('registered-models/get', { name: '{{n}}-r' }),
        prompt('{{n}}-r'),
        version('{{n}}-r', 'anew'),
      ],
    },
    ...eachAfter(
      'source',
      [prompt('{{n}}')],
      sources.map((source) => typed(source)),
    ),
    ...eachAfter(
      'source with a tag',
      [prompt('{{n}}')],
      ['true', 'TRUE', 'True', 'false', '', 'x', '1'].map((value) => typed('/etc/passwd', [{ key: IS_PROMPT, value }])),
    ),
    ...eachAfter(
      'source with the tag twice',
      [prompt('{{n}}')],
      [
        typed('s3://b/x', [PROMPT, { key: IS_PROMPT, value: 'false' }]),
        typed('s3://b/x', [{ key: IS_PROMPT, value: 'false' }, PROMPT]),
        typed('dummy-source', []),
        typed('prompt-template', []),
        typed('dummy-source', [{ key: IS_PROMPT, value: 'false' }]),
      ],
    ),
    ...eachAfter(
      'text of a length',
      [prompt('{{n}}')],
      [
        version('{{n}}', ''),
        version('{{n}}', 'x'.repeat(100_000)),
        version('{{n}}', 'ü'.repeat(100_000)),
        typed('dummy-source', [PROMPT, { key: 'other', value: 'x'.repeat(100_000) }]),
        typed('dummy-source', [PROMPT, { key: 'other', value: 'x'.repeat(100_001) }]),
        version('{{n}}', 'x'.repeat(100_001)),
        typed('s3://b/x', [{ key: TEXT, value: 'x'.repeat(100_001) }]),
      ],
    ),
    {
      name: 'text set later',
      steps: [
        ...world,
        setText('model-versions/set-tag', 100_000),
        setText('registered-models/set-tag', 5000),
        setText('model-versions/set-tag', 100_001),
        ...listed(TOO_LONG, [setText('registered-models/set-tag', 100_001)]),
      ],
    },
    {
      name: 'a prompt as a source',
      steps: [
        ...world,
        post('model-versions/create', { name: '{{n}}-m', source: 'models:/{{n}}-p/1' }),
        get('model-versions/get-download-uri', { name: '{{n}}-p', version: '1' }),
        post('model-versions/transition-stage', { name: '{{n}}-p', version: '1', stage: 'Production' }),
        post('registered-models/get-latest-versions', { name: '{{n}}-p' }, { unordered: ['model_versions'] }),
      ],
    },
    ...each(
      'bad name',
      ['', ' ', 'a/b', 'a:b', '..'].map((name) => prompt(name)),
    ),
    {
      name: 'linked to a run',
      steps: [
        ...world,
        post('runs/create', { experiment_id: '0', run_name: 'r' }, { save: { run: 'run.info.run_id' } }),
        post('runs/set-tag', { run_id: '{{run}}', key: 'mlflow.linkedPrompts', value: '[{"name": "p", "version": "1"}]' }),
        versions(`tags.\`mlflow.prompt.associatedRunIds\` LIKE '%{{run}}%' AND ${TAG} = 'true'`, { max_results: '10000' }),
        post('model-versions/set-tag', { name: '{{n}}-p', version: '1', key: 'mlflow.prompt.associatedRunIds', value: '{{run}}' }),
        versions(`tags.\`mlflow.prompt.associatedRunIds\` LIKE '%{{run}}%' AND ${TAG} = 'true'`, { max_results: '10000' }),
      ],
    },
  ],
};
