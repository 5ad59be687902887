import { type Case, del, get, patch, post, type Step } from './case.ts';
import { picker, randomNumbers } from './random-numbers.ts';

const ALIASES_LISTED = { leaveOut: ['aliases'], unordered: ['model_versions'] };
const STAGES = ['None', 'Staging', 'Production', 'Archived'];

/**
 * Steps over a few models, versions, aliases and tags, so that they meet each other often: a state that one server keeps otherwise shows some steps
 * later. The same seed makes the same walk.
 */
export function randomWalk(seed: number, length: number): Case {
  const random = randomNumbers(seed);
  const pick = picker(random);
  const name = () => pick(['{{n}}-a', '{{n}}-b', '{{n}}-c']);
  const version = () => pick(['1', '1', '2', '2', '3', '4', '5']);
  const key = () => pick(['k', 'l']);
  const value = () => pick(['x', 'y', '']);
  const alias = () => pick(['champion', 'rival']);
  const writes: (() => Step)[] = [
    () => post('registered-models/create', { name: name(), description: value(), tags: [{ key: key(), value: value() }] }),
    () => post('registered-models/create', { name: name() }),
    // A taken name is told without SQL (docs/differences.md).
    () => post('registered-models/rename', { name: name(), new_name: name() }, { leaveOut: ['message', 'aliases'] }),
    () => patch('registered-models/update', { name: name(), description: value() }, ALIASES_LISTED),
    () => del('registered-models/delete', { name: name() }),
    () => post('registered-models/set-tag', { name: name(), key: key(), value: value() }),
    () => del('registered-models/delete-tag', { name: name(), key: key() }),
    ...Array.from(
      { length: 4 },
      () => () => post('model-versions/create', { name: name(), source: `s3://bucket/${value()}m`, description: value() }),
    ),
    () => post('model-versions/create', { name: name(), source: `models:/${name()}/${version()}` }),
    () => post('model-versions/create', { name: name(), source: `models:/${name()}@${alias()}` }),
    () => patch('model-versions/update', { name: name(), version: version(), description: value() }),
    () => del('model-versions/delete', { name: name(), version: version() }),
    () => post('model-versions/set-tag', { name: name(), version: version(), key: key(), value: value() }),
    () => del('model-versions/delete-tag', { name: name(), version: version(), key: key() }),
    () => {
      const stage = pick(STAGES);
      const archive = (stage === 'Staging' || stage === 'Production') && random() < 0.5;
      return post('model-versions/transition-stage', { name: name(), version: version(), stage, archive_existing_versions: archive });
    },
    () => post('registered-models/alias', { name: name(), alias: alias(), version: version() }),
    () => post('registered-models/alias', { name: name(), alias: alias(), version: version() }),
    () => del('registered-models/alias', { name: name(), alias: alias() }),
  ];
  const reads: (() => Step)[] = [
    () => get('registered-models/get', { name: name() }, ALIASES_LISTED),
    () => get('model-versions/get', { name: name(), version: version() }),
    () => get('registered-models/alias', { name: name(), alias: pick(['champion', 'rival', 'latest']) }),
    () =>
      post(
        'registered-models/get-latest-versions',
        { name: name(), stages: random() < 0.5 ? [] : [pick(STAGES)] },
        { unordered: ['model_versions'] },
      ),
    () => get('registered-models/search', { filter: `name LIKE '{{n}}%' AND tags.${key()} = '${value()}'` }, ALIASES_LISTED),
    () => get('registered-models/search', { filter: "name LIKE '{{n}}%'" }, ALIASES_LISTED),
    () => get('model-versions/search', { filter: `name = '${name()}'`, order_by: ['version_number'] }, ALIASES_LISTED),
    () =>
      get(
        'model-versions/search',
        { filter: `name LIKE '{{n}}%' AND tags.${key()} != 'x'`, order_by: ['name', 'version_number DESC'] },
        ALIASES_LISTED,
      ),
    () => get('model-versions/get-download-uri', { name: name(), version: version() }),
  ];
  return { name: `walk ${seed}`, steps: Array.from({ length }, () => pick(random() < 0.6 ? writes : reads)()) };
}
