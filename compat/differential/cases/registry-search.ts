import { eachAfter, type Group, get, post, type Step } from '../case.ts';

const ALIASES = 'found versions carry their aliases';
const BUG_500 = 'a 500 on the stock server';
const ENDLESS = 'a page token that never ends on the stock server';

const model = (name: string, tags: [string, string][] = []): Step =>
  post('registered-models/create', { name: `{{n}}${name}`, tags: tags.map(([key, value]) => ({ key, value })) });
const version = (name: string, tags: [string, string][] = []): Step =>
  post('model-versions/create', {
    name: `{{n}}${name}`,
    source: `s3://b/${name}`,
    run_id: `run${name}`,
    tags: tags.map(([key, value]) => ({ key, value })),
  });
const world: Step[] = [
  model('alpha', [
    ['team', 'risk'],
    ['a b', '7'],
  ]),
  model('Alpine', [['team', 'ads']]),
  model('beta_1'),
  model('betaX1', [['k.x', 'Y']]),
  version('alpha', [['team', 'risk']]),
  version('alpha', [['q', '1']]),
  version('Alpine'),
  version('beta_1', [
    ['team', 'ads'],
    ['q', '2'],
  ]),
];
const mine = "name LIKE '{{n}}%'";
const models = (filter: string, more: Record<string, string | string[]> = {}) => get('registered-models/search', { filter, ...more });
const versions = (filter: string, more: Record<string, string | string[]> = {}) =>
  get('model-versions/search', { filter, order_by: ['name', 'version_number'], ...more });

const terms = [
  "name = '{{n}}alpha'",
  'name = "{{n}}alpha"',
  "name != '{{n}}alpha'",
  "name ILIKE '{{n}}AL%'",
  "name ilike '{{n}}al%'",
  "name LIKE '{{n}}beta_1'",
  "name LIKE '{{n}}beta\\_1'",
  "name IN ('{{n}}alpha', '{{n}}beta_1')",
  "name NOT IN ('{{n}}alpha')",
  "name IN ('{{n}}alpha',)",
  "name IN ('{{n}}al' 'pha')",
  'name IN ("{{n}}alpha")',
  "attribute.name = '{{n}}alpha'",
  "tags.team = 'risk'",
  "tag.team != 'risk'",
  "tags.`team` LIKE 'r%'",
  'tags."team" = \'risk\'',
  "tags.`a b` = '7'",
  "tags.k.x ILIKE 'y'",
  "tags.team = 'risk' AND tags.`a b` = '7'",
  "tags.team LIKE 'r%' and tags.team LIKE '%k'",
  "tags.team = 'risk' AND tags.team = 'ads'",
  "name = 'x' AND",
  "AND name = 'x'",
  "name = 'x' name = 'y'",
  "tags.nope = 'x'",
  "name='x'and name='y'",
];
const wrong = [
  "name = 'a' OR name = 'b'",
  "NOT name = 'a'",
  "(name = 'a')",
  "name = 'a', name = 'b'",
  "name = 'a';",
  "name = 'a'; name = 'b'",
  ' ',
  'name',
  'name =',
  "= 'a'",
  'name = x',
  'name = `x`',
  'name = 5',
  "name == 'a'",
  "name <> 'a'",
  "name > 'a'",
  "name NOT LIKE 'a'",
  "name RLIKE 'a'",
  "tags.x > 'a'",
  'tags.x = 5',
  "tags.x IN ('a')",
  'name IN ()',
  'name IN (1, 2)',
  "attr.name = 'a'",
  "attributes.name = 'a'",
  "Name = 'a'",
  "stage = 'x'",
  "'name' = 'a'",
  "`name` = 'a'",
  "metrics.x = '1'",
  'tags.x = y',
  "name IN 'a'",

  "name = 'it''s'",
];
const versionTerms = [
  'version_number = 1',
  "version_number = '1'",
  "version_number = ' 1 '",
  'version_number > 1',
  'version_number >= 1',
  'version_number != 1',
  'version_number < 2',
  'version_number <= 2',
  "run_id = 'runalpha'",
  "run_id IN ('runalpha', 'runbeta_1')",
  "run_id NOT IN ('runalpha')",
  "source_path LIKE 's3://b/%'",
  "source_path = 's3://b/alpha'",
  'attribute.version_number = 2',
];
const wrongVersionTerms = [
  'version_number = 1.0',
  'version_number = 1e0',
  "version_number = 'x'",
  'version_number IN (1)',
  "version_number LIKE '1'",
  "source_path IN ('a')",
  'creation_timestamp > 1',
  "current_stage = 'x'",
  "status = 'READY'",
  'run_id = 5',
];

export const registrySearch: Group = {
  group: 'registry-search',
  cases: [
    ...eachAfter(
      'models',
      world,
      terms.map((term) => models(`${term} AND ${mine}`)),
    ),
    ...eachAfter(
      'wrong models',
      [],
      wrong.map((term) => models(term)),
    ),
    ...eachAfter(
      'versions',
      world,
      [...terms, ...versionTerms].map((term) => versions(`${term} AND ${mine}`)),
    ),
    ...eachAfter(
      'wrong versions',
      [],
      [...wrong, ...wrongVersionTerms].map((term) => versions(term)),
    ),
    ...eachAfter(
      'models in order',
      world,
      [
        ['name'],
        ['name DESC'],
        ['name desc'],
        ['timestamp', 'name'],
        ['last_updated_timestamp DESC', 'name ASC'],
        ['`name`'],
        ['"name"'],
      ].map((order_by) => models(mine, { order_by })),
    ),
    ...eachAfter(
      'models in no order',
      [],
      ['nope', 'name foo', 'name, timestamp', '', ' ', 'name ASC DESC', 'creation_timestamp', 'name;drop', 'tags.x', 'name asc,'].map(
        (order_by) => models("name = 'x'", { order_by: [order_by] }),
      ),
    ),
    ...eachAfter(
      'versions in order',
      world,
      [['name', 'version_number DESC'], ['version_number', 'name'], ['creation_timestamp'], ['last_updated_timestamp DESC'], []].map(
        (order_by) => get('model-versions/search', { filter: mine, order_by }),
      ),
    ),
    ...eachAfter(
      'versions in no order',
      [],
      ['nope', 'name foo', 'name, version_number', '', 'run_id'].map((order_by) =>
        get('model-versions/search', { filter: "name = 'x'", order_by: [order_by] }),
      ),
    ),
    ...eachAfter(
      'twice in order',
      [],
      [
        ['name', 'name'],
        ['timestamp', 'last_updated_timestamp'],
      ].map((order_by) => ({ ...models("name = 'x'", { order_by }), differs: BUG_500 })),
    ),
    ...eachAfter(
      'max_results',
      [],
      ['1', '1000', '1001', 'x', '5000000000'].map((max_results) => models("name = 'x'", { max_results })),
    ),
    ...eachAfter(
      'max_results of versions',
      [],
      ['1', '200000', '200001', '0', '-1', 'x'].map((max_results) => get('model-versions/search', { filter: "name = 'x'", max_results })),
    ),
    ...eachAfter(
      'max_results of nothing',
      [],
      ['0', '-1'].map((max_results) => ({ ...models("name = 'x'", { max_results }), differs: ENDLESS })),
    ),
    {
      name: 'pages of models',
      steps: [
        ...world,
        models(mine, { max_results: '3' }),
        models(mine, { max_results: '4' }),
        models(mine, { max_results: '2', order_by: ['name'] }),
      ],
    },
    ...eachAfter(
      'bad token',
      [],
      ['%%', 'x', 'WzFd'].map((page_token) => ({
        ...models("name = 'x'", { page_token }),
        differs: 'the tokens are others, so are the texts about bad ones',
      })),
    ),
    {
      name: 'aliases of found versions',
      steps: [
        ...world,
        post('registered-models/alias', { name: '{{n}}alpha', alias: 'a', version: '1' }),
        { ...versions("name = '{{n}}alpha'"), differs: ALIASES, ours: { status: 200, has: { 'model_versions.0.aliases': ['a'] } } },
        models("name = '{{n}}Alpine'"),
      ],
    },
    {
      name: 'prompts',
      steps: [
        model('p', [['mlflow.prompt.is_prompt', 'true']]),
        model('f', [['mlflow.prompt.is_prompt', 'false']]),
        model('m'),
        ...[
          "tags.`mlflow.prompt.is_prompt` = 'true'",
          "tags.`mlflow.prompt.is_prompt` = 'TRUE'",
          "tags.`mlflow.prompt.is_prompt` = 'false'",
          "tags.`mlflow.prompt.is_prompt` != 'true'",
          "tags.`mlflow.prompt.is_prompt` != 'false'",
        ].map((term) => models(`${term} AND ${mine}`)),
        models(mine),
      ],
    },
  ],
};
