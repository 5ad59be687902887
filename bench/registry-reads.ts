import {
  batches,
  FIXTURE_PREFIX,
  inTurn,
  isChampion,
  isModelVersion,
  type ModelVersion,
  newestVersion,
  ofEachModel,
  ofEachVersion,
  resolvesAliases,
} from './fixture.ts';
import type { Operation } from './operations.ts';
import { API, call, get, type Target } from './requests.ts';

const MODELS_PER_PAGE = 12;

export const health: Operation = {
  name: 'health',
  onFloor: true,
  prepare: async (target) => ({ next: inTurn([get(target, '/health')]) }),
};

export const registryReads: Operation[] = [
  {
    name: 'get-by-alias',
    gate: 25,
    stretch: 60,
    share: 0.25,
    onFloor: true,
    prepare: async (target) => ({ next: resolvesAliases(target) }),
    isRight: isChampion,
  },
  {
    name: 'get-registered-model',
    gate: 12,
    stretch: 25,
    share: 0.3,
    onFloor: true,
    prepare: async (target) => ({ next: ofEachModel(target, `${API}/registered-models/get`, (name) => ({ name })) }),
    isRight: (json) => (json as { registered_model?: { latest_versions?: unknown[] } }).registered_model?.latest_versions?.length === 1,
  },
  {
    name: 'get-model-version',
    gate: 12,
    stretch: 35,
    share: 0.25,
    onFloor: true,
    prepare: async (target) => ({ next: ofEachVersion(target, `${API}/model-versions/get`) }),
    isRight: (json) => isModelVersion(json),
  },
  {
    name: 'get-download-uri',
    gate: 18,
    stretch: 30,
    share: 0.4,
    onFloor: true,
    prepare: async (target) => ({ next: ofEachVersion(target, `${API}/model-versions/get-download-uri`) }),
    isRight: (json) => typeof (json as { artifact_uri?: unknown }).artifact_uri === 'string',
  },
  {
    name: 'search-latest-version',
    gate: 12,
    stretch: 30,
    share: 0.3,
    onFloor: true,
    prepare: async (target) => ({
      next: ofEachModel(target, `${API}/model-versions/search`, (name) => ({
        filter: `name='${name}'`,
        order_by: 'version_number DESC',
        max_results: '1',
      })),
    }),
    isRight: (json) => (json as { model_versions?: ModelVersion[] }).model_versions?.[0]?.version === newestVersion,
  },
  {
    name: 'search-models-like',
    gate: 8,
    stretch: 15,
    prepare: async (target) => ({ next: inTurn(await everyPage(target)) }),
    isRight: (json) => (json as { registered_models?: unknown[] }).registered_models?.length === MODELS_PER_PAGE,
  },
  {
    name: 'search-by-tag',
    prepare: async (target) => ({
      next: inTurn(
        batches.map((batch) => get(target, `${API}/model-versions/search`, { filter: `tags.batch = '${batch}'`, max_results: '20' })),
      ),
    }),
    isRight: (json) => ((json as { model_versions?: unknown[] }).model_versions?.length ?? 0) > 0,
  },
];

/** The requests for the pages of the fixture's models, whose number a page divides. */
async function everyPage(target: Target): Promise<Buffer[]> {
  const pages: Buffer[] = [];
  let token: string | undefined;
  do {
    const query = { filter: `name LIKE '${FIXTURE_PREFIX}%'`, max_results: String(MODELS_PER_PAGE) };
    const page = get(target, `${API}/registered-models/search`, token ? { ...query, page_token: token } : query);
    pages.push(page);
    token = (await call(target, page)).next_page_token as string | undefined;
  } while (token);
  return pages;
}
