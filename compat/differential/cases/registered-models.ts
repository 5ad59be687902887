import { del, each, eachAfter, type Group, get, patch, post, type Step } from '../case.ts';

const NUL = 'a 500 with the database driver’s text on the stock server';
const SQL_TEXT = 'the stock server answers 400 with SQL in the text';
const NOT_OBJECT = 'a 500 HTML page on the stock server';
const DROPPED = 'the stock server drops the field without a word';
const MALFORMED = 'the stock server answers as if nothing was sent; ours says that the body is not JSON';
const HTML = 'the stock server answers with an HTML page, which clients cannot read';

const model = (name: string, more: object = {}): Step => post('registered-models/create', { name, ...more });
const made = model('{{n}}');
const odd = [
  'a b',
  ' lead',
  "it's",
  '"q"',
  'ünï',
  '🦊',
  '%2F',
  'a%20b',
  'org.x.y',
  '__proto__',
  'constructor',
  'x'.repeat(256),
  '-',
  '0',
  '...',
  '~',
];
const bad = ['', ' ', 'a/b', 'a:b', '.', '..', '..x', '/', ':'];
const keys = [
  'k',
  'a/b',
  'a.b-c_d e:f',
  'ключ',
  ' ',
  'a//b',
  'a/',
  './a',
  '/a',
  '..x',
  '..',
  '.',
  'a%b',
  'a\\b',
  'a#b',
  '😀',
  'x'.repeat(250),
  'x'.repeat(251),
];
const tagged = (tags: unknown) => post('registered-models/create', { name: '{{n}}', tags });

export const registeredModels: Group = {
  group: 'registered-models',
  cases: [
    ...odd.map((name, i) => ({
      name: `odd name ${i}`,
      steps: [model(`{{n}}${name}`.slice(0, 200)), get('registered-models/get', { name: `{{n}}${name}`.slice(0, 200) })],
    })),
    ...each(
      'bad name',
      bad.flatMap((name) => [
        model(name),
        get('registered-models/get', { name }),
        patch('registered-models/update', { name }),
        del('registered-models/delete', { name }),
      ]),
    ),
    ...each(
      'name of a wrong type',
      [5, 1.5, true, [], {}, [1], { a: { b: 1 } }, null].map((name) => post('registered-models/create', { name })),
    ),
    ...each('nothing', [
      post('registered-models/create'),
      get('registered-models/get'),
      get('registered-models/get', { nope: '1' }),
      patch('registered-models/update'),
      del('registered-models/delete'),
      post('registered-models/rename'),
      post('registered-models/set-tag'),
      del('registered-models/delete-tag'),
      post('registered-models/alias'),
      get('registered-models/alias'),
      del('registered-models/alias'),
      post('registered-models/get-latest-versions'),
    ]),
    ...each('not there', [
      get('registered-models/get', { name: 'nobody' }),
      patch('registered-models/update', { name: 'nobody' }),
      del('registered-models/delete', { name: 'nobody' }),
      post('registered-models/rename', { name: 'nobody', new_name: 'x' }),
      post('registered-models/set-tag', { name: 'nobody', key: 'k', value: 'v' }),
      del('registered-models/delete-tag', { name: 'nobody', key: 'k' }),
      post('registered-models/alias', { name: 'nobody', alias: 'a', version: '1' }),
      get('registered-models/alias', { name: 'nobody', alias: 'a' }),
      get('registered-models/alias', { name: 'nobody', alias: 'latest' }),
      del('registered-models/alias', { name: 'nobody', alias: 'a' }),
      post('registered-models/get-latest-versions', { name: 'nobody' }),
    ]),
    {
      name: 'life',
      steps: [
        model('{{n}}', { description: 'first', tags: [{ key: 'a', value: '1' }, { key: 'b' }, { key: 'a', value: '2' }] }),
        made,
        get('registered-models/get', { name: '{{n}}' }),
        patch('registered-models/update', { name: '{{n}}', description: 'second' }),
        patch('registered-models/update', { name: '{{n}}' }),
        post('registered-models/rename', { name: '{{n}}', new_name: '{{n}}-renamed' }),
        get('registered-models/get', { name: '{{n}}' }),
        post('registered-models/rename', { name: '{{n}}-renamed', new_name: '{{n}}-renamed' }),
        del('registered-models/delete', { name: '{{n}}-renamed' }),
        del('registered-models/delete', { name: '{{n}}-renamed' }),
      ],
    },
    {
      name: 'rename to a taken name',
      steps: [made, model('{{n}}-b'), { ...post('registered-models/rename', { name: '{{n}}', new_name: '{{n}}-b' }), differs: SQL_TEXT }],
    },
    ...eachAfter(
      'rename',
      [made],
      ['', ' ', 'a/b', '..', 5, null].map((new_name) => post('registered-models/rename', { name: '{{n}}', new_name })),
    ),
    {
      name: 'camelCase',
      steps: [
        made,
        post(
          'registered-models/rename',
          { name: '{{n}}', newName: '{{n}}-c' },
          {
            differs: 'the stock server takes camelCase only for arguments that may be left out',
            ours: { status: 200, has: { 'registered_model.name': '{{n}}-c' } },
          },
        ),
        post('registered-models/rename', { name: '{{n}}-c', newName: 'x', new_name: 'y' }),
      ],
    },
    ...eachAfter(
      'set-tag',
      [made],
      keys.map((key) => post('registered-models/set-tag', { name: '{{n}}', key, value: 'v' })),
    ),
    ...eachAfter(
      'delete-tag',
      [made],
      keys.map((key) => del('registered-models/delete-tag', { name: '{{n}}', key })),
    ),
    ...eachAfter(
      'tag value',
      [made],
      ['', 'x'.repeat(5000), null].map((value) => post('registered-models/set-tag', { name: '{{n}}', key: 'k', value })),
    ),
    {
      name: 'tag value over the column',
      steps: [made, { ...post('registered-models/set-tag', { name: '{{n}}', key: 'k', value: 'x'.repeat(5001) }), differs: SQL_TEXT }],
    },
    ...each('create with tags', [
      tagged([]),
      tagged([{ key: 'k', value: 'v' }]),
      tagged([{ key: '', value: 'v' }]),
      tagged([{ value: 'v' }]),
      tagged([{}]),
      tagged([{ key: 'a//b' }]),
      tagged('x'),
      tagged({}),
      tagged(null),
      tagged([{ key: 'k', value: 'x'.repeat(4000), extra: 1 }]),
    ]),
    ...each(
      'create with mangled tags',
      [tagged([{ key: 'k', value: 5 }]), tagged(['k']), tagged([null])].map((step) => ({ ...step, differs: DROPPED })),
    ),
    {
      name: 'tags life',
      steps: [
        made,
        post('registered-models/set-tag', { name: '{{n}}', key: 'k', value: '1' }),
        post('registered-models/set-tag', { name: '{{n}}', key: 'k', value: '2' }),
        get('registered-models/get', { name: '{{n}}' }),
        del('registered-models/delete-tag', { name: '{{n}}', key: 'k' }),
        del('registered-models/delete-tag', { name: '{{n}}', key: 'k' }),
        get('registered-models/get', { name: '{{n}}' }),
      ],
    },
    ...eachAfter(
      'description',
      [made],
      ['', 'x', 'x'.repeat(5000), 5, null, [], '# *md* ü'].map((description) =>
        patch('registered-models/update', { name: '{{n}}', description }),
      ),
    ),
    {
      name: 'description over the column',
      steps: [made, { ...patch('registered-models/update', { name: '{{n}}', description: 'x'.repeat(5001) }), differs: SQL_TEXT }],
    },
    { name: 'name over the column', steps: [{ ...model('x'.repeat(257)), differs: SQL_TEXT }] },
    { name: 'NUL', steps: [{ ...model('a\0b'), differs: NUL }] },
    ...each('content type', [
      { method: 'POST', path: 'registered-models/create', raw: '{"name":"x"}', headers: { 'Content-Type': 'text/plain' } },
      { method: 'POST', path: 'registered-models/create', raw: '{"name":"x"}', headers: { 'Content-Type': 'Application/JSON' } },
      {
        method: 'POST',
        path: 'registered-models/create',
        raw: '{"name":""}',
        headers: { 'Content-Type': 'application/json; charset=utf-8' },
      },
      { method: 'PATCH', path: 'registered-models/update', raw: '{"name":"nobody"}', headers: { 'Content-Type': 'text/plain' } },
    ]),
    ...each('odd body', [
      { method: 'POST', path: 'registered-models/create', raw: '"{\\"name\\": \\"\\"}"', headers: { 'Content-Type': 'application/json' } },
      { method: 'POST', path: 'registered-models/create', raw: 'null', headers: { 'Content-Type': 'application/json' } },
      { method: 'POST', path: 'registered-models/create', raw: '{"name": 9.0}', headers: { 'Content-Type': 'application/json' } },
      { method: 'POST', path: 'registered-models/create', raw: '{"name": 1e20}', headers: { 'Content-Type': 'application/json' } },
      {
        method: 'POST',
        path: 'registered-models/create',
        raw: '{"name": "x", "tags": {"b": [1.50, -0.0, 1E-9, 7], "a": "\\"2.0"}}',
        headers: { 'Content-Type': 'application/json' },
      },
      get('registered-models/get?name=a//api/b'),
      { method: 'POST', path: 'registered-models/create', raw: '\ufeff{"name":"a/b"}', headers: { 'Content-Type': 'application/json' } },
      {
        method: 'POST',
        path: 'registered-models/create',
        raw: '{"name":"a/b","name":"c/d"}',
        headers: { 'Content-Type': 'application/json' },
      },
    ]),
    ...each(
      'not JSON',
      ['{', 'nope', '{"name":}'].map(
        (raw): Step => ({
          method: 'POST',
          path: 'registered-models/create',
          raw,
          headers: { 'Content-Type': 'application/json' },
          differs: MALFORMED,
        }),
      ),
    ),
    ...each(
      'not an object',
      ['[]', '1', 'true', '"x"'].map(
        (raw): Step => ({
          method: 'POST',
          path: 'registered-models/create',
          raw,
          headers: { 'Content-Type': 'application/json' },
          differs: NOT_OBJECT,
        }),
      ),
    ),
    ...each('unknown path or method', [
      get('registered-models/nope', undefined, { differs: HTML }),
      post('registered-models/get', {}, { differs: HTML }),
      get('registered-models/get/', { name: 'x' }, { differs: HTML }),
    ]),
    {
      name: 'aliases',
      steps: [
        made,
        post('model-versions/create', { name: '{{n}}', source: 's3://b/1' }),
        post('model-versions/create', { name: '{{n}}', source: 's3://b/2' }),
        post('registered-models/alias', { name: '{{n}}', alias: 'champion', version: '1' }),
        get('registered-models/alias', { name: '{{n}}', alias: 'champion' }),
        post('registered-models/alias', { name: '{{n}}', alias: 'champion', version: '2' }),
        post('registered-models/alias', { name: '{{n}}', alias: 'x', version: '2' }),
        get('registered-models/alias', { name: '{{n}}', alias: 'champion' }),
        get('registered-models/alias', { name: '{{n}}', alias: 'latest' }),
        get('registered-models/alias', { name: '{{n}}', alias: 'Champion' }),
        del('registered-models/alias', { name: '{{n}}', alias: 'champion' }),
        del('registered-models/alias', { name: '{{n}}', alias: 'champion' }),
        get('registered-models/alias', { name: '{{n}}', alias: 'champion' }),
        get('registered-models/alias', { name: '{{n}}', alias: 'LATEST' }),
        post('registered-models/alias', { name: '{{n}}', alias: 'y', version: '9' }),
      ],
    },
    { name: 'latest of none', steps: [made, get('registered-models/alias', { name: '{{n}}', alias: 'latest' })] },
    ...eachAfter(
      'alias name',
      [made, post('model-versions/create', { name: '{{n}}', source: 's3://b/1' })],
      [
        'a b',
        'a/b',
        'a.b',
        'ä',
        '-',
        '1',
        'v',
        'V',
        'v1x',
        'v1',
        'V12',
        'latest',
        'LaTest',
        '',
        ' ',
        'x'.repeat(255),
        'x'.repeat(256),
        5,
        null,
      ].flatMap((alias) => [
        post('registered-models/alias', { name: '{{n}}', alias, version: '1' }),
        del('registered-models/alias', { name: '{{n}}', alias }),
      ]),
    ),
    ...eachAfter(
      'alias version',
      [made, post('model-versions/create', { name: '{{n}}', source: 's3://b/1' })],
      ['1', '01', ' 1', '+1', '1_0', '1.0', '0x1', 'x', '', 1, '0', '-1', '99999999999', null].map((version) =>
        post('registered-models/alias', { name: '{{n}}', alias: 'a', version }),
      ),
    ),
    {
      name: 'prompts and models do not share names',
      steps: [
        model('{{n}}', { tags: [{ key: 'mlflow.prompt.is_prompt', value: 'true' }] }),
        model('{{n}}'),
        model('{{n}}', { tags: [{ key: 'mlflow.prompt.is_prompt', value: 'true' }] }),
        model('{{n}}-m'),
        model('{{n}}-m', { tags: [{ key: 'mlflow.prompt.is_prompt', value: 'false' }] }),
      ],
    },
  ],
};
