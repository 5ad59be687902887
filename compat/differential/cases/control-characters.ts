import { eachAfter, type Group, listed, post, type Step } from '../case.ts';

const INVISIBLE = 'a line break, a tab or a zero-width space in a name, or a blank at its end, cannot be seen or typed again';

const made = [
  post('experiments/create', { name: '{{n}}' }, { save: { e: 'experiment_id' } }),
  post('runs/create', { experiment_id: '{{e}}', run_name: 'one' }, { save: { r: 'run.info.run_id' } }),
  post('registered-models/create', { name: '{{n}}' }),
  post('model-versions/create', { name: '{{n}}', source: 's3://b/x' }),
];

const withKey = (key: string): Step[] => [
  post('registered-models/set-tag', { name: '{{n}}', key, value: 'v' }),
  post('model-versions/set-tag', { name: '{{n}}', version: '1', key, value: 'v' }),
  post('registered-models/alias', { name: '{{n}}', version: '1', alias: key }),
  post('experiments/set-experiment-tag', { experiment_id: '{{e}}', key, value: 'v' }),
  post('runs/set-tag', { run_id: '{{r}}', key, value: 'v' }),
  post('runs/log-parameter', { run_id: '{{r}}', key, value: 'v' }),
  post('runs/log-metric', { run_id: '{{r}}', key, value: 1, timestamp: 1 }),
  post('runs/log-batch', { run_id: '{{r}}', params: [{ key, value: 'v' }] }),
];
const withName = (name: string): Step[] => [
  post('registered-models/create', { name: `{{n}}${name}` }),
  post('registered-models/rename', { name: '{{n}}', new_name: `{{n}}${name}` }),
  post('logged-models', { experiment_id: '{{e}}', name }),
];

export const controlCharacters: Group = {
  group: 'control-characters',
  cases: [
    ...eachAfter('keys', made, [
      ...listed(INVISIBLE, ['a\n', '\n'].flatMap(withKey)),
      ...['a\n\n', 'a\nb', 'a\t', 'a\u0001', '\u0915\u0940'].flatMap(withKey),
    ]),
    ...eachAfter('names', made, listed(INVISIBLE, ['a\n', 'a\tb', 'a\u0085', 'a\u200bb'].flatMap(withName))),
    ...eachAfter('names with a blank at the end', made, listed(INVISIBLE, withName('a ').slice(0, 2))),
    ...eachAfter('names with an emoji of several characters', made, ['\u2764\ufe0f', '\u{1f468}\u200d\u{1f4bb}'].flatMap(withName)),
  ],
};
