import { Connection, type Reply } from './load.ts';

const API = '/api/2.0/mlflow';
const MODELS = 20;
const VERSIONS = 5;
const MODELS_TO_GROW = 200;

export type Target = { label: string; port: number };

export type Operation = {
  name: string;
  /** How many times the stock server's throughput ours must reach. */
  gate?: number;
  /** Makes what the operation needs on one server; gives what makes its requests. */
  prepare(target: Target): Promise<() => Buffer>;
  /** Whether a reply's JSON is right. Left out: any 200 is. */
  isRight?(json: unknown): boolean;
};

let serial = 0;
const RUN = `${process.pid}-${Date.now()}`;
const unique = (prefix: string) => `${prefix}-${RUN}-${serial++}`;

const modelName = (k: number) => `bench-${String(k).padStart(3, '0')}`;
const modelNames = Array.from({ length: MODELS }, (_, k) => modelName(k));
const versionNumbers = Array.from({ length: VERSIONS }, (_, i) => String(i + 1));

export function get(target: Target, path: string, query: Record<string, string> = {}): Buffer {
  const search = Object.keys(query).length > 0 ? `?${new URLSearchParams(query)}` : '';
  return Buffer.from(`GET ${path}${search} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nAccept: */*\r\n\r\n`);
}

function post(target: Target, path: string, body: unknown): Buffer {
  const json = JSON.stringify(body);
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}`;
  return Buffer.from(`${head}\r\n\r\n${json}`);
}

function oneOf<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)] as T;
}

/** Asks a fixed set of requests in turn: every server gets the same first one. */
function inTurn(requests: Buffer[]): () => Buffer {
  let asked = 0;
  return () => requests[asked++ % requests.length] as Buffer;
}

const ofEachModel = (target: Target, path: string, queryOf: (name: string) => Record<string, string>) =>
  inTurn(modelNames.map((name) => get(target, path, queryOf(name))));

const ofEachVersion = (target: Target, path: string) =>
  inTurn(modelNames.flatMap((name) => versionNumbers.map((version) => get(target, path, { name, version }))));

type ModelVersion = { name?: unknown; version?: unknown; source?: unknown; aliases?: unknown };
const isModelVersion = (json: unknown, version?: string): boolean => {
  const { model_version } = json as { model_version?: ModelVersion };
  return (
    typeof model_version?.name === 'string' && typeof model_version.source === 'string' && (!version || model_version.version === version)
  );
};

/** Every operation that is measured, in the order of the report. */
export const operations: Operation[] = [
  {
    name: 'get-by-alias',
    gate: 15,
    prepare: async (target) => ofEachModel(target, `${API}/registered-models/alias`, (name) => ({ name, alias: 'champion' })),
    isRight: (json) => isModelVersion(json, String(VERSIONS)),
  },
  {
    name: 'get-registered-model',
    prepare: async (target) => ofEachModel(target, `${API}/registered-models/get`, (name) => ({ name })),
    isRight: (json) => (json as { registered_model?: { latest_versions?: unknown[] } }).registered_model?.latest_versions?.length === 1,
  },
  {
    name: 'get-model-version',
    prepare: async (target) => ofEachVersion(target, `${API}/model-versions/get`),
    isRight: (json) => isModelVersion(json),
  },
  {
    name: 'get-download-uri',
    prepare: async (target) => ofEachVersion(target, `${API}/model-versions/get-download-uri`),
    isRight: (json) => typeof (json as { artifact_uri?: unknown }).artifact_uri === 'string',
  },
  {
    name: 'search-latest-version',
    prepare: async (target) =>
      ofEachModel(target, `${API}/model-versions/search`, (name) => ({
        filter: `name='${name}'`,
        order_by: 'version_number DESC',
        max_results: '1',
      })),
    isRight: (json) => (json as { model_versions?: ModelVersion[] }).model_versions?.[0]?.version === String(VERSIONS),
  },
  {
    name: 'set-alias',
    prepare: async (target) => () =>
      post(target, `${API}/registered-models/alias`, { name: oneOf(modelNames), alias: 'challenger', version: oneOf(versionNumbers) }),
  },
  {
    // A tag of the fixture: for a new one the stock server sometimes answers 400, when two requests insert it at once.
    name: 'set-version-tag',
    prepare: async (target) => () =>
      post(target, `${API}/model-versions/set-tag`, {
        name: oneOf(modelNames),
        version: oneOf(versionNumbers),
        key: 'note',
        value: `v${serial++}`,
      }),
  },
  {
    name: 'create-model-version',
    async prepare(target) {
      const names = Array.from({ length: MODELS_TO_GROW }, () => unique('grown'));
      await callEach(
        target,
        names.map((name) => post(target, `${API}/registered-models/create`, { name })),
      );
      return () =>
        post(target, `${API}/model-versions/create`, {
          name: oneOf(names),
          source: 's3://bench-bucket/x/model',
          tags: [{ key: 'framework', value: 'sklearn' }],
        });
    },
    isRight: (json) => isModelVersion(json),
  },
  {
    name: 'create-registered-model',
    prepare: async (target) => () =>
      post(target, `${API}/registered-models/create`, { name: unique('created'), tags: [{ key: 'team', value: 'a' }] }),
    isRight: (json) => typeof (json as { registered_model?: { name?: unknown } }).registered_model?.name === 'string',
  },
  {
    name: 'health',
    prepare: async (target) => inTurn([get(target, '/health')]),
  },
];

/** Fills an empty registry over REST: 20 models of 5 versions, of which the last is `champion` and the first `challenger`. */
export async function makeFixture(target: Target): Promise<void> {
  const team = (k: number) => ({ key: 'team', value: `t${k % 10}` });
  await callEach(
    target,
    modelNames.flatMap((name, k) => [
      post(target, `${API}/registered-models/create`, { name, description: `model ${k}`, tags: [team(k)] }),
      ...versionNumbers.map((version) =>
        post(target, `${API}/model-versions/create`, {
          name,
          source: `s3://bench-bucket/${k}/${version}`,
          description: `version ${version}`,
          tags: [
            { key: 'framework', value: 'sklearn' },
            { key: 'note', value: 'v' },
          ],
        }),
      ),
      post(target, `${API}/registered-models/alias`, { name, alias: 'champion', version: String(VERSIONS) }),
      post(target, `${API}/registered-models/alias`, { name, alias: 'challenger', version: '1' }),
    ]),
  );
}

async function callEach(target: Target, requests: Buffer[]): Promise<void> {
  const connection = new Connection(target.port);
  for (const request of requests) {
    const { status, body } = await connection.send(request);
    if (status !== 200) {
      throw new Error(`${target.label} answers ${request.toString().split(' HTTP')[0]} with ${status}: ${body.toString().slice(0, 300)}`);
    }
  }
  connection.close();
}

/** Throws when a reply is not what the operation promises. */
export function checkReply({ isRight }: Operation, { body }: Reply): void {
  if (isRight && !isRight(JSON.parse(body.toString()))) throw new Error(`a wrong reply: ${body.toString().slice(0, 200)}`);
}
