import { isModelVersion, type ModelVersion, modelNames, oneOf, unique, versionNumbers } from './fixture.ts';
import type { Operation } from './operations.ts';
import { API, call, callAll, get, post, type Target } from './requests.ts';

const MODELS_TO_GROW = 200;
const STAGES = ['None', 'Staging', 'Production', 'Archived'];
const VERSIONS_PER_PAGE = 10_000;

let serial = 0;

/** Makes models that have no version; gives their names. */
export async function makeModels(target: Target, names: string[]): Promise<string[]> {
  await callAll(
    target,
    names.map((name) => post(target, `${API}/registered-models/create`, { name })),
  );
  return names;
}

/** Names of models for the versions that an operation makes, so many that those asked at once are seldom the same. */
export const namesToGrow = (prefix: string): string[] => Array.from({ length: MODELS_TO_GROW }, () => unique(prefix));

export const registryWrites: Operation[] = [
  {
    name: 'set-alias',
    gate: 25,
    stretch: 50,
    share: 0.3,
    onFloor: true,
    prepare: async (target) => ({
      next: () =>
        post(target, `${API}/registered-models/alias`, { name: oneOf(modelNames), alias: 'challenger', version: oneOf(versionNumbers) }),
    }),
  },
  {
    // A tag of the fixture: for a new one the stock server sometimes answers 400, when two requests insert it at once.
    name: 'set-version-tag',
    gate: 22,
    stretch: 35,
    share: 0.4,
    onFloor: true,
    prepare: async (target) => ({
      next: () =>
        post(target, `${API}/model-versions/set-tag`, {
          name: oneOf(modelNames),
          version: oneOf(versionNumbers),
          key: 'note',
          value: `v${serial++}`,
        }),
    }),
  },
  {
    name: 'transition-stage',
    gate: 15,
    stretch: 25,
    share: 0.4,
    onFloor: true,
    prepare: async (target) => ({
      next: () =>
        post(target, `${API}/model-versions/transition-stage`, {
          name: oneOf(modelNames),
          version: oneOf(versionNumbers),
          stage: oneOf(STAGES),
          archive_existing_versions: false,
        }),
    }),
    isRight: (json) => STAGES.includes(String((json as { model_version?: ModelVersion }).model_version?.current_stage)),
  },
  {
    name: 'create-model-version',
    gate: 12,
    stretch: 18,
    share: 0.5,
    onFloor: true,
    async prepare(target) {
      const names = await makeModels(target, namesToGrow('grown'));
      return { next: () => createVersion(target, oneOf(names)) };
    },
    isRight: (json) => isModelVersion(json),
  },
  {
    name: 'create-model-version-hot',
    gate: 8,
    stretch: 12,
    share: 0.5,
    onFloor: true,
    async prepare(target) {
      const name = unique('hot');
      await makeModels(target, [name]);
      return { next: () => createVersion(target, name), verify: (good) => expectContiguous(target, name, good) };
    },
    isRight: (json) => isModelVersion(json),
  },
  {
    name: 'create-registered-model',
    gate: 15,
    stretch: 22,
    share: 0.5,
    onFloor: true,
    prepare: async (target) => ({
      next: () => post(target, `${API}/registered-models/create`, { name: unique('created'), tags: [{ key: 'team', value: 'a' }] }),
    }),
    isRight: (json) => typeof (json as { registered_model?: { name?: unknown } }).registered_model?.name === 'string',
  },
];

const createVersion = (target: Target, name: string): Buffer =>
  post(target, `${API}/model-versions/create`, {
    name,
    source: 's3://bench-bucket/x/model',
    tags: [{ key: 'framework', value: 'sklearn' }],
  });

/** Throws unless the versions of a model are numbered from 1 on without a gap, and are no fewer than the replies that said so. */
async function expectContiguous(target: Target, name: string, good: number): Promise<void> {
  const numbers: number[] = [];
  let token: string | undefined;
  do {
    const query = { filter: `name='${name}'`, order_by: 'version_number ASC', max_results: String(VERSIONS_PER_PAGE) };
    const answer = await call(target, get(target, `${API}/model-versions/search`, token ? { ...query, page_token: token } : query));
    numbers.push(...((answer.model_versions ?? []) as ModelVersion[]).map(({ version }) => Number(version)));
    token = answer.next_page_token as string | undefined;
  } while (token);
  const gap = numbers.findIndex((number, i) => number !== i + 1);
  if (gap >= 0) throw new Error(`versions of one model are not contiguous: number ${gap + 1} of them is ${numbers[gap]}`);
  if (numbers.length < good) throw new Error(`${good} versions of one model were made, and it has ${numbers.length}`);
}
