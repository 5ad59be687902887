import { type Case, get, lines, post, type Step } from './case.ts';
import { made } from './cases/run-steps.ts';
import { picker, randomNumbers } from './random-numbers.ts';

/** What one of the five searches has in its filters, and a small world to find something in. */
type Grammar = {
  name: string;
  world: Step[];
  /** Keys of every kind: right, odd and wrong. */
  keys: string[];
  texts: string[];
  lists: string[];
  comparators: string[];
  search(filter: string): Step;
};

const CHOSEN = `k size true a.b _u \`a b\` "q q" k-1 k/1 1st`.match(/`[^`]*`|"[^"]*"|\S+/g) ?? [];
const COMPARATORS = ['=', '=', '!=', 'LIKE', 'ILIKE'];
const ORDERINGS = ['<', '<=', '>', '>='];
const LISTS = ['IN', 'NOT IN'];
const NULLS = ['IS NULL', 'IS NOT NULL'];
const prefixed = (prefixes: string[], keys: string[]) => prefixes.flatMap((prefix) => keys.map((key) => `${prefix}.${key}`));
const tags = [
  [
    { key: 'k', value: 'x' },
    { key: 'size', value: '10' },
    { key: 'true', value: 'X' },
  ],
  [
    { key: 'k', value: 'y' },
    { key: 'a b', value: 'x' },
    { key: 'a.b', value: 'x' },
  ],
  [
    { key: 'q q', value: '' },
    { key: '_u', value: 'x%' },
    { key: '1st', value: 'x' },
  ],
  [],
];
const worldOf = (make: (tags: { key: string; value: string }[], i: number) => Step[]): Step[] => tags.flatMap(make);
const ALIASES_LISTED = { leaveOut: ['aliases'] };
const registryKeys = [
  ...prefixed(['tags', 'tag'], CHOSEN),
  'name',
  'name',
  'name',
  'attribute.name',
  'attributes.name',
  'nope',
  '`name`',
  'x.y',
];
const mine = (filter: string) => `name LIKE '{{n}}%' AND ${filter}`;

const GRAMMARS: Grammar[] = [
  {
    name: 'registered models',
    world: worldOf((tags, i) => [post('registered-models/create', { name: `{{n}}-${i}`, tags })]),
    keys: registryKeys,
    texts: ['{{n}}-0', '{{n}}-%'],
    lists: ["('{{n}}-0')", "('{{n}}-0', '{{n}}-1',)"],
    comparators: [...COMPARATORS, ...LISTS, ...ORDERINGS],
    search: (filter) => get('registered-models/search', { filter: mine(filter) }, ALIASES_LISTED),
  },
  {
    name: 'model versions',
    world: worldOf((tags, i) => [
      post('registered-models/create', { name: `{{n}}-${i}` }),
      post('model-versions/create', { name: `{{n}}-${i}`, source: `s3://bucket/${i}`, run_id: `run${i}`, tags }),
      post('model-versions/create', { name: `{{n}}-${i}`, source: 's3://bucket/x' }),
    ]),
    keys: [...registryKeys, 'version_number', 'version_number', 'run_id', 'source_path', 'attribute.run_id'],
    texts: ['{{n}}-0', '{{n}}-%', 'run1', 's3://bucket/x'],
    lists: ["('{{n}}-0')", "('{{n}}-0', '{{n}}-1',)", "('run1')", "('run0','run2')"],
    comparators: [...COMPARATORS, ...LISTS, ...ORDERINGS],
    search: (filter) => get('model-versions/search', { filter: mine(filter), order_by: ['name', 'version_number'] }, ALIASES_LISTED),
  },
  {
    name: 'experiments',
    world: worldOf((tags, i) => [post('experiments/create', { name: `{{n}}-${i}`, tags }, { save: { [`e${i}`]: 'experiment_id' } })]),
    keys: [...prefixed(['tags', 'tag'], CHOSEN), 'name', 'attribute.name', 'experiment_id', 'creation_time', '`name`', 'nope', 'x.y'],
    texts: ['{{n}}-0', '{{n}}-%', '{{e1}}'],
    lists: ["('{{e0}}')", "('{{e0}}','{{e1}}')"],
    comparators: [...COMPARATORS, ...LISTS, ...ORDERINGS, ...NULLS],
    search: (filter) => post('experiments/search', { max_results: 100, filter: mine(filter), order_by: ['name'] }),
  },
  {
    name: 'runs',
    world: [
      made,
      ...worldOf((tags, i) => [
        post(
          'runs/create',
          { experiment_id: '{{e}}', run_name: `run${i}`, start_time: 1000 + i, tags },
          { save: { [`r${i}`]: 'run.info.run_id' } },
        ),
        post('runs/log-batch', {
          run_id: `{{r${i}}}`,
          metrics: [{ key: i < 2 ? 'k' : 'a b', value: i - 0.5, timestamp: 1, step: 0 }],
          params: [
            { key: 'k', value: String(i) },
            { key: 'a b', value: 'x' },
            { key: 'size', value: 'big' },
          ].slice(i),
        }),
      ]),
    ],
    keys: [
      ...prefixed(['tags', 'params', 'metrics'], CHOSEN),
      ...prefixed(['tag', 'param', 'parameters', 'metric'], ['k']),
      ...lines(`
        run_id
        attributes.run_id
        run_name
        attr.run_name
        status
        attributes.status
        start_time
        attributes.start_time
        end_time
        user_id
        artifact_uri
        dataset.name
        datasets.digest
        dataset.nope
        attributes.\`run name\`
        nope
        x.y`),
    ],
    texts: ['run1', 'run%', 'RUNNING', '{{r1}}'],
    lists: ["('{{r0}}')", "('{{r0}}', '{{r2}}')"],
    comparators: [...COMPARATORS, ...LISTS, ...ORDERINGS, ...NULLS],
    search: (filter) => post('runs/search', { experiment_ids: ['{{e}}'], filter }),
  },
  {
    name: 'logged models',
    world: [
      made,
      ...worldOf((tags, i) => [
        post(
          'logged-models',
          { experiment_id: '{{e}}', name: `model${i}`, tags, params: [{ key: 'k', value: String(i) }] },
          { save: { [`m${i}`]: 'model.info.model_id' } },
        ),
      ]),
    ],
    // Double quotes work in keys here, which the stock server looks for (docs/differences.md).
    keys: [
      ...prefixed(
        ['tags', 'params', 'metrics'],
        CHOSEN.filter((key) => !key.startsWith('"')),
      ),
      ...lines(`
        name
        attributes.name
        model_id
        creation_time
        creation_timestamp
        model_type
        source_run_id
        x.y`),
    ],
    texts: ['model1', 'model%', '{{m1}}'],
    lists: ["('model0')", "('model0', 'model2')"],
    comparators: [...COMPARATORS, ...LISTS, ...ORDERINGS],
    search: (filter) =>
      post('logged-models/search', { experiment_ids: ['{{e}}'], filter, order_by: [{ field_name: 'name', ascending: true }] }),
  },
];

const TEXTS = ["'x'", "'X'", "''", "'%x'", '"x"', "'10'", "'x%'", "'x_'", "'it''s'", "'a\\'b'", "'('", "'a AND b'", '"it\'s"'];
const NUMBERS = ['1', '0', '-2', '1.5', '.5', '5.', '1e3', '1000', '-1.5E-3', '007'];
const ODD = [
  'foo',
  '`x`',
  'NULL',
  'TRUE',
  'a-b',
  'a.b',
  '?',
  ':p',
  '$1',
  '1-2',
  '0x1F',
  'f(x)',
  '1st',
  'ключ',
  '+1',
  '--1',
  "'x' 'y'",
  "x'y'",
  '%s',
];
const LISTED = [
  "('x')",
  "('x','y')",
  "('x',)",
  '()',
  '("x")',
  '(1)',
  "('x' 'y')",
  "('x',1)",
  "('x',,'y')",
  '(,)',
  '(x)',
  "('x'",
  "'x')",
  "('a\\n')",
];
const JUNK = lines(`
  AND
  OR
  NOT
  IN
  IS
  NULL
  LIKE
  (
  )
  ,
  ;
  .
  =
  !=
  <>
  ==
  -
  +
  *
  /
  foo
  'x'
  5
  "q"
  \`b\`
  %
  ?
  :a
  @b
  asc
  AS
  BETWEEN
  true
  '
  "
  name
  tags.k
  \\
  ~
  ORDER BY`);

/** `count` searches of each grammar; a third are well formed, the others have one mistake or a few. The same seed makes the same filters. */
export function randomFilters(seed: number, count: number): Case[] {
  return GRAMMARS.map((grammar, i) => {
    const random = randomNumbers(seed * GRAMMARS.length + i);
    return {
      name: `${grammar.name}, seed ${seed}`,
      steps: [
        ...grammar.world,
        ...Array.from({ length: count }, () => ({ ...grammar.search(randomFilter(grammar, random)), random: true as const })),
      ],
    };
  });
}

function randomFilter(grammar: Grammar, random: () => number): string {
  const pick = picker(random);
  const value = (comparator: string): string => {
    if (comparator.startsWith('IS')) return '';
    const right = random() < 0.85;
    if (LISTS.includes(comparator)) return pick(right ? grammar.lists : LISTED);
    if (!right) return pick([...NUMBERS, ...ODD]);
    return ORDERINGS.includes(comparator) ? pick(NUMBERS) : pick([...TEXTS, ...grammar.texts.map((text) => `'${text}'`)]);
  };
  const clause = () => {
    const comparator = pick(grammar.comparators);
    return [pick(grammar.keys), comparator, value(comparator)];
  };
  const words = clause();
  while (random() < 0.4) words.push(pick(['AND', 'AND', 'and', 'And']), ...clause());
  for (let mistakes = Math.floor(random() * 3); mistakes > 0; mistakes--) {
    const at = Math.floor(random() * words.length);
    const junk = pick([...JUNK, ...grammar.keys, ...TEXTS, ...ODD]);
    if (random() < 0.3) words.splice(at, 1);
    else words.splice(at, random() < 0.5 ? 0 : 1, junk);
  }
  return words
    .filter((word) => word !== '')
    .reduce((text, word) => text + (random() < 0.1 ? '' : pick([' ', ' ', ' ', '  ', '\n'])) + word, '')
    .trim();
}
