import { type Group, get, lines, listed, post, type Step } from '../case.ts';

const DROPPED = 'the stock server drops or mangles the field without a word';

const make = (name: string, more: object = {}, id = 'e'): Step =>
  post('experiments/create', { name: `{{n}}${name}`, ...more }, { save: { [id]: 'experiment_id' } });

const world: Step[] = [
  make(
    'alpha',
    {
      tags: [
        { key: 'team', value: 'risk' },
        { key: 'a b', value: '7' },
      ],
    },
    'a',
  ),
  make('Alpine', { tags: [{ key: 'team', value: 'ads' }] }, 'b'),
  make('beta_1', {}, 'c'),
  make(
    'betaX1',
    {
      tags: [
        { key: 'k.x', value: 'Y' },
        { key: 'dash-key', value: "it's" },
      ],
    },
    'd',
  ),
  make('gone', { tags: [{ key: 'team', value: 'risk' }] }, 'g'),
  post('experiments/delete', { experiment_id: '{{g}}' }),
];
const mine = "name LIKE '{{n}}%'";
const found = (filter: unknown, more: object = {}) => post('experiments/search', { max_results: 100, filter, ...more });

const filters = lines(`
  name = '{{n}}alpha'
  name = "{{n}}alpha"
  name != '{{n}}alpha' AND ${mine}
  name LIKE '{{n}}beta_1'
  name LIKE '{{n}}al%'
  name ILIKE '{{n}}AL%'
  attribute.name = '{{n}}alpha'
  attribute.name LIKE '{{n}}%' AND attribute.name != '{{n}}beta_1'
  attribute.\`name\` = '{{n}}alpha'
  attribute."name" = '{{n}}alpha'
  \`name\` = '{{n}}alpha'
  experiment_id = '{{a}}'
  experiment_id != '{{a}}' AND ${mine}
  experiment_id IN ('{{a}}', '{{b}}')
  experiment_id IN ('{{a}}',)
  experiment_id IN ('{{a}}')
  experiment_id IN ("{{a}}")
  experiment_id NOT IN ('{{a}}') AND ${mine}
  attribute.experiment_id = '{{a}}'
  ${mine} AND tags.team = 'risk'
  ${mine} AND tag.team = 'risk'
  ${mine} AND tags.team != 'risk'
  ${mine} AND tags.team LIKE 'r%'
  ${mine} AND tags.team ILIKE 'R%'
  ${mine} AND tags.\`team\` = 'ads'
  ${mine} AND tags."team" = 'ads'
  ${mine} AND tags.\`a b\` = '7'
  ${mine} AND tags."a b" = '7'
  ${mine} AND tags.k.x = 'Y'
  ${mine} AND tags.\`k.x\` ILIKE 'y'
  ${mine} AND tags.\`dash-key\` = "it's"
  ${mine} AND tags.team IS NULL
  ${mine} AND tags.team IS NOT NULL
  ${mine} AND tags.team is not null
  ${mine} AND tags.\`a b\` IS NULL AND tags.team = 'ads'
  ${mine} AND tags.team = 'risk' AND tags.\`a b\` = '7'
  ${mine} AND tags.team = 'risk' AND tags.team = 'ads'
  ${mine} AND tags.team LIKE 'r%' AND tags.team LIKE '%k'
  ${mine} AND tags.team != 'x' AND tags.team != 'risk'
  ${mine} AND creation_time > 0
  ${mine} AND creation_time >= 99999999999999
  ${mine} AND creation_time != 5
  ${mine} AND last_update_time < 99999999999999
  ${mine} AND attribute.last_update_time <= 5
  ${mine} AND creation_time = 5
  ${mine} AND
  AND ${mine}
  name LIKE '{{n}}%' tags.team = 'risk'
  name='{{n}}alpha'
  name = '{{n}}alpha'and tags.team='risk'
  name IN ('{{n}}alpha')
  name NOT IN ('{{n}}alpha')
  name > '{{n}}'
  name == '{{n}}alpha'
  name <> '{{n}}alpha'
  name RLIKE 'x'
  name NOT LIKE 'x'
  name = 5
  name = x
  name IS NULL
  name IS NOT NULL
  experiment_id = 1
  experiment_id = 'x'
  experiment_id = ' {{a}} '
  experiment_id IN ('x')
  experiment_id IN ('{{a}}', 'x')
  experiment_id > '1'
  experiment_id LIKE '1'
  experiment_id IN ()
  experiment_id IN (1, 2)
  experiment_id IN ('1', 2)
  experiment_id IS NULL
  creation_time = 'x'
  creation_time = '5'
  creation_time = 1.5
  creation_time IN (1)
  creation_time LIKE 5
  creation_time == 5
  creation_time = 1e3
  creation_time > -5 AND ${mine}
  creation_time < 99999999999999999999 AND ${mine}
  name > 'a' AND foo = 'x'
  experiment_id = 'x' AND foo = 'x'
  creation_time IS NULL
  tags.team = 5
  tags.team = x
  tags.team > 'a'
  tags.team IN ('risk')
  tags.team NOT IN ('risk')
  tags.team RLIKE 'x'
  attributes.name = 'x'
  attr.name = 'x'
  Tags.team = 'x'
  param.p = 'x'
  foo.bar = 'x'
  foo = 'x'
  lifecycle_stage = 'active'
  artifact_location = 'x'
  NAME = 'x'
  name = 'a' OR name = 'b'
  (name = 'a')
  NOT name = 'a'
  name = 'a', name = 'b'
  name = 'a';
  name = 'a'; name = 'b'
  name
  name =
  = 'a'
  'a' = name
  5
  ()
  *
  name = 'a' -- comment
  tags.team = ''
  tags.team = 'it''s'
`);
/** Filters, and the names they find. */
const lowerCase: [string, string[]][] = [
  [`${mine} AND name like '{{n}}al%'`, ['alpha']],
  [`${mine} AND name ilike '{{n}}AL%'`, ['Alpine', 'alpha']],
  [`${mine} AND tags.team like 'r%'`, ['alpha']],
  ["experiment_id in ('{{a}}', '{{c}}')", ['beta_1', 'alpha']],
];
const badTokens = lines(`
  experiment_id = ('1')
  tags.dash-key = 'v'
`);

export const experimentsSearch: Group = {
  group: 'experiments-search',
  cases: [
    {
      name: 'filters',
      steps: [...world, ...filters.map((filter) => found(filter)), ...filters.map((filter) => found(filter, { view_type: 'ALL' }))],
    },
    {
      name: 'lower case',
      steps: [
        ...world,
        ...lowerCase.flatMap(([filter, names]) =>
          listed('lower-case keywords work for experiments too', [found(filter)], {
            status: 200,
            has: {
              'experiments.length': names.length,
              ...Object.fromEntries(names.map((name, i) => [`experiments.${i}.name`, `{{n}}${name}`])),
            },
          }),
        ),
      ],
    },
    {
      name: 'bad tokens',
      steps: [
        ...world,
        ...listed(
          'another sentence about a bad token',
          badTokens.map((filter) => found(filter)),
        ),
      ],
    },
    {
      name: 'order and pages',
      steps: [
        ...world,
        ...[
          ['name'],
          ['name ASC'],
          ['name DESC'],
          ['name desc'],
          ['NAME'],
          ['attribute.name DESC'],
          ['attributes.name'],
          ['`name`'],
          ['"name"'],
          ['experiment_id'],
          ['experiment_id ASC'],
          ['creation_time'],
          ['creation_time DESC'],
          ['last_update_time ASC', 'experiment_id ASC'],
          ['last_update_time DESC'],
          ['name', 'name'],
          ['name', 'creation_time'],
          ['foo'],
          ['foo.bar'],
          ['tags.team'],
          ['name foo'],
          ['name, creation_time'],
          ['name DESC ASC'],
          ['name DESC;'],
          [''],
          [' '],
          ['name  DESC'],
          [' name'],
          [],
          'name',
          {},
          5,
          null,
        ].map((order_by) => found(mine, { order_by, view_type: 3 })),
        ...['ALL', 'ACTIVE_ONLY', 'DELETED_ONLY', 1, 2, 3, '1', '2', '3', null].map((view_type) => found(mine, { view_type })),
        ...[1, 2, '3', 50_000, 50_001, 0, -1, 'x', '', 1e3, null].map((max_results) => found(mine, { max_results })),
        ...[5, [], {}, true].map((filter) => found(filter)),
        ...['', null, 5].map((page_token) => found(mine, { page_token })),
        get('experiments/search', { max_results: '2', filter: mine }),
        get('experiments/search', { max_results: '2', filter: mine, order_by: ['name DESC', 'creation_time'] }),
        get('experiments/search', { max_results: '9', filter: mine, view_type: 'ALL' }),
        get('experiments/search', { max_results: '9', filter: mine, view_type: '2' }),
        get('experiments/search', { filter: mine }),
        get('experiments/search', { max_results: 'x' }),
        get('experiments/search', { max_results: '0' }),
        get('experiments/search', { max_results: '50001' }),
        get('experiments/search', { max_results: '9', filter: 'nope' }),
        post('experiments/search', { max_results: 2, filter: mine, order_by: ['name'] }, { save: { token: 'next_page_token' } }),
        post(
          'experiments/search',
          { max_results: 2, filter: mine, order_by: ['name'], page_token: '{{token}}' },
          { save: { next: 'next_page_token' } },
        ),
        post('experiments/search', { max_results: 9, filter: mine, order_by: ['name'], page_token: '{{token}}' }),
        post('experiments/search', { max_results: 4, filter: mine, order_by: ['name'] }),
        ...listed('a page token is that of one search', [
          found(mine, { page_token: '{{token}}', order_by: ['name DESC'] }),
          ...['abc', '!!', 'a'].map((page_token) => found(mine, { page_token })),
          found(mine, { page_token: 'e30=' }),
        ]),
        ...listed(DROPPED, [
          found(mine, { max_results: 1.5 }),
          found(mine, { max_results: true }),
          ...['NOPE', 99, 0, 'x', true, ''].map((view_type) => found(mine, { view_type })),
          found(mine, { order_by: [5] }),
        ]),
        ...listed('a 500 on the stock server', [
          ...[[], {}].map((view_type) => found(mine, { view_type })),
          ...[[], {}].map((max_results) => found(mine, { max_results })),
        ]),
      ],
    },
  ],
};
