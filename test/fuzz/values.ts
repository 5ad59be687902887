/** Texts that have broken servers. None says what the judge takes for the server's insides. */
export const HOSTILE_TEXTS: readonly string[] = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  'a\udfff',
  '\ufeff',
  '\u200b',
  '\u202e',
  '🦊',
  'é',
  '٣',
  '\n',
  'a\r\nX: y',
  '.',
  '..',
  '../..',
  '..%2f..%2f',
  '%252e%252e/x',
  '%00',
  '%',
  '%zz',
  '%c0%ae%c0%ae/',
  '/',
  '//',
  '/etc/passwd',
  'file:///etc/passwd',
  'C:\\x',
  '\\\\host\\share',
  'a//b',
  'a/./b',
  ':',
  '@',
  '#',
  '?',
  "'",
  '"',
  '`',
  "x' OR 1=1 --",
  '; DROP TABLE x',
  "name = 'x'",
  "name LIKE '%\\'",
  "name ILIKE '%%%%%%%%%%%%a'",
  "tags.`a` = 'b' AND name = 'c'",
  'metrics.m > 1e400',
  'params.x != ""',
  'attributes.start_time > 99999999999999999999',
  'version_number > 9223372036854775808',
  "run_id IN ('a','b')",
  "dataset.name = 'x'",
  '(((((((((((',
  'name DESC',
  'name ASC, name DESC',
  'metrics.`m` DESC',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'NaN',
  'Infinity',
  '-Infinity',
  'true',
  '0',
  '-0',
  '-1',
  '1',
  '01',
  '1.0',
  '1e0',
  '1e400',
  '0x1',
  '1_0',
  '2147483648',
  '9223372036854775807',
  '9223372036854775808',
  '9'.repeat(400),
  'x'.repeat(256),
  'x'.repeat(501),
  'é'.repeat(5001),
  'x'.repeat(100_001),
  'latest',
  'v1',
  'Production',
  's3://bucket/path',
  's3://b/../x',
  's3://[::1',
  'http://[::1',
  'http://169.254.169.254/latest',
  'dbfs:/x',
  'runs:/x/y',
  'models:/x/1',
  'models:/x@y',
  'models:/m-00000000000000000000000000000000',
  'mlflow-artifacts:/../../etc',
  'mlflow-artifacts:/0/x',
  'mlflow-artifacts://host/x',
  'azureml://registries/x/models/y/versions/1',
  'javascript:alert(1)',
  'eyJvZmZzZXQiOiAtMX0=',
  'W10=',
  '{}',
  '[]',
  '{"a":1}',
  '<script>alert(1)</script>',
  '{{7*7}}',
];

const nested = (depth: number, open: (inner: unknown) => unknown): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = open(value);
  return value;
};

/** Values of JSON that are not what a field wants. */
export const HOSTILE_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  -0.0,
  1e308,
  5e-324,
  2 ** 31,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  -(2 ** 63) - 2048,
  [],
  {},
  [[]],
  [null],
  [1, 'a', {}],
  ['x', 'x'],
  Array.from({ length: 1001 }, (_, i) => ({ key: `k${i}`, value: i, timestamp: i })),
  { key: 'k', value: 'v' },
  [
    { key: 'k', value: 'v' },
    { key: 'k', value: 'w' },
  ],
  [{ key: 'k' }, { value: 'v' }],
  { constructor: { prototype: { polluted: 1 } } },
  JSON.parse('{"__proto__": {"polluted": 1}}'),
  nested(70, (inner) => [inner]),
  nested(70, (inner) => ({ a: inner })),
];

const MOST_OF_A_KIND = 60;
const LONGEST_KEPT = 300;

/** Values that the server has answered, by the names of their fields, so that later requests are about things that are there. */
export type Memory = {
  /** Remembers the texts and numbers in an answer. */
  learn(answer: unknown): void;
  of(field: string): readonly string[];
};

/** An empty memory. One more value of a full kind replaces another, at a place that `random` picks. */
export function openMemory(random: () => number): Memory {
  const values = new Map<string, string[]>();
  const learn = (value: unknown, field: string): void => {
    if (Array.isArray(value)) {
      for (const item of value.slice(0, 5)) learn(item, field);
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, item] of Object.entries(value)) learn(item, name === 'next_page_token' ? 'page_token' : name);
    } else if ((typeof value === 'string' || typeof value === 'number') && field !== '') {
      const known = values.get(field) ?? [];
      values.set(field, known);
      const text = String(value);
      if (text.length > LONGEST_KEPT || known.includes(text)) return;
      if (known.length < MOST_OF_A_KIND) known.push(text);
      else known[Math.floor(random() * known.length)] = text;
    }
  };
  return { learn: (answer) => learn(answer, ''), of: (field) => values.get(field) ?? [] };
}
