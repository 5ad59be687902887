import { API, callChains, get, post, type Target } from './requests.ts';

const MODELS = 48;
const VERSIONS = 5;
const BATCHES = 50;

let serial = 0;
const RUN = `${process.pid}-${Date.now()}`;
/** A name that nobody has used. */
export const unique = (prefix: string): string => `${prefix}-${RUN}-${serial++}`;

export const FIXTURE_PREFIX = 'bench-';
export const modelNames: string[] = Array.from({ length: MODELS }, (_, k) => `${FIXTURE_PREFIX}${String(k).padStart(3, '0')}`);
export const versionNumbers: string[] = Array.from({ length: VERSIONS }, (_, i) => String(i + 1));
export const newestVersion = String(VERSIONS);
/** What the tag `batch` of the fixture's versions says: each value is on 2 % of them. */
export const batches: string[] = Array.from({ length: BATCHES }, (_, i) => `b${i}`);

export function oneOf<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)] as T;
}

/** Asks a fixed set of requests in turn: every server gets the same first one. */
export function inTurn(requests: Buffer[]): () => Buffer {
  let asked = 0;
  return () => requests[asked++ % requests.length] as Buffer;
}

export const ofEachModel = (target: Target, path: string, queryOf: (name: string) => Record<string, string>): (() => Buffer) =>
  inTurn(modelNames.map((name) => get(target, path, queryOf(name))));

export const ofEachVersion = (target: Target, path: string): (() => Buffer) =>
  inTurn(modelNames.flatMap((name) => versionNumbers.map((version) => get(target, path, { name, version }))));

/** Looks the champion of each model of the fixture up, whose names are said with `prefix` before them. */
export const resolvesAliases = (target: Target, prefix = ''): (() => Buffer) =>
  ofEachModel(target, `${API}/registered-models/alias`, (name) => ({ name: prefix + name, alias: 'champion' }));

export type ModelVersion = { name?: unknown; version?: unknown; source?: unknown; current_stage?: unknown };

export const isModelVersion = (json: unknown, version?: string): boolean => {
  const { model_version } = json as { model_version?: ModelVersion };
  return (
    typeof model_version?.name === 'string' && typeof model_version.source === 'string' && (!version || model_version.version === version)
  );
};

export const isChampion = (json: unknown): boolean => isModelVersion(json, newestVersion);

/** Makes models over REST, 48 of 5 versions, of which the last is `champion` and the first `challenger`; gives their names. `prefix` goes before these. */
export async function makeFixture(target: Target, prefix = ''): Promise<string[]> {
  await callChains(
    target,
    modelNames.map((model, k) => {
      const name = prefix + model;
      return [
        post(target, `${API}/registered-models/create`, { name, description: `model ${k}`, tags: [{ key: 'team', value: `t${k % 10}` }] }),
        ...versionNumbers.map((version, i) =>
          post(target, `${API}/model-versions/create`, {
            name,
            source: `s3://bench-bucket/${k}/${version}`,
            description: `version ${version}`,
            tags: [
              { key: 'batch', value: batches[(k * VERSIONS + i) % BATCHES] },
              { key: 'note', value: 'v' },
            ],
          }),
        ),
        post(target, `${API}/registered-models/alias`, { name, alias: 'champion', version: newestVersion }),
        post(target, `${API}/registered-models/alias`, { name, alias: 'challenger', version: '1' }),
      ];
    }),
  );
  return modelNames;
}

const filled = new Set<string>();

/** Makes the fixture in a database that does not have it yet. */
export async function ensureFixture(target: Target, database: string): Promise<void> {
  if (filled.has(database)) return;
  filled.add(database);
  await makeFixture(target);
}
