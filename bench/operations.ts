import { Connection, type Reply } from './load.ts';

const API = '/api/2.0/mlflow';
const MODELS = 20;
const VERSIONS = 5;
const MODELS_TO_GROW = 200;
const FILES_TO_PROMOTE = 10;

export type Target = { label: string; port: number };

export type Operation = {
  name: string;
  /** How many times the stock server's throughput ours must reach. */
  gate?: number;
  /** Replies a second that do instead. */
  enoughPerSecond?: number;
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

const post = (target: Target, path: string, body: unknown): Buffer => sendJson('POST', target, path, body);

export function sendJson(method: 'POST' | 'PUT', target: Target, path: string, body: unknown): Buffer {
  const json = JSON.stringify(body);
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}`;
  return Buffer.from(`${head}\r\n\r\n${json}`);
}

function put(target: Target, path: string, content: string): Buffer {
  const head = `PUT /api/2.0/mlflow-artifacts/artifacts/${path} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}`;
  return Buffer.from(`${head}\r\nContent-Length: ${Buffer.byteLength(content)}\r\n\r\n${content}`);
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

/** Looks the champion of each model of the fixture up, whose names are said with `prefix` before them. */
export const resolvesAliases = (target: Target, prefix = '') =>
  ofEachModel(target, `${API}/registered-models/alias`, (name) => ({ name: prefix + name, alias: 'champion' }));

const ofEachVersion = (target: Target, path: string) =>
  inTurn(modelNames.flatMap((name) => versionNumbers.map((version) => get(target, path, { name, version }))));

type ModelVersion = { name?: unknown; version?: unknown; source?: unknown; aliases?: unknown };
const isModelVersion = (json: unknown, version?: string): boolean => {
  const { model_version } = json as { model_version?: ModelVersion };
  return (
    typeof model_version?.name === 'string' && typeof model_version.source === 'string' && (!version || model_version.version === version)
  );
};

export const isChampion = (json: unknown): boolean => isModelVersion(json, String(VERSIONS));

/** Every operation that is measured, in the order of the report. */
export const operations: Operation[] = [
  {
    name: 'get-by-alias',
    gate: 15,
    prepare: async (target) => resolvesAliases(target),
    isRight: isChampion,
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
    // What the stock client's copy_model_version sends: into a registry on ours, which has none of its own on the stock server.
    name: 'promotion',
    gate: 20,
    enoughPerSecond: 300,
    async prepare(target) {
      const { name, version } = await makeTrainedVersion(target);
      const registry = target.label.startsWith('ours') ? unique('shared') : '';
      if (registry) await callEach(target, [post(target, '/api/1.0/registries', { name: registry })]);
      const names = Array.from({ length: MODELS_TO_GROW }, () => `${registry}${registry && '.'}${unique('promoted')}`);
      await callEach(
        target,
        names.map((promoted) => post(target, `${API}/registered-models/create`, { name: promoted })),
      );
      const { run_id, description, tags } = version;
      return () =>
        post(target, `${API}/model-versions/create`, { name: oneOf(names), source: `models:/${name}/1`, run_id, description, tags });
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

/** Makes models over REST, 20 of 5 versions, of which the last is `champion` and the first `challenger`; gives their names. `prefix` goes before these. */
export async function makeFixture(target: Target, prefix = ''): Promise<string[]> {
  const team = (k: number) => ({ key: 'team', value: `t${k % 10}` });
  await callEach(
    target,
    modelNames.flatMap((model, k) => {
      const name = prefix + model;
      return [
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
      ];
    }),
  );
  return modelNames;
}

/** A version with files, of a run with params and metrics. */
async function makeTrainedVersion(target: Target): Promise<{ name: string; version: Record<string, unknown> }> {
  const name = unique('trained');
  const { experiment_id } = await call(target, post(target, `${API}/experiments/create`, { name }));
  const { run } = await call(target, post(target, `${API}/runs/create`, { experiment_id, start_time: 1 }));
  const { run_id, artifact_uri } = (run as { info: { run_id: string; artifact_uri: string } }).info;
  const folder = `${artifact_uri.replace('mlflow-artifacts:/', '')}/model`;
  const numbers = Array.from({ length: FILES_TO_PROMOTE }, (_, i) => i);
  await callEach(target, [
    post(target, `${API}/runs/log-batch`, {
      run_id,
      params: numbers.map((i) => ({ key: `p${i}`, value: String(i) })),
      metrics: numbers.map((i) => ({ key: `m${i}`, value: i, timestamp: 1, step: 0 })),
    }),
    ...numbers.map((i) => put(target, `${folder}/${i === 0 ? 'MLmodel' : `data/${i}.bin`}`, `flavors: {}\nfile: ${i}\n`)),
    post(target, `${API}/registered-models/create`, { name }),
  ]);
  const tags = [{ key: 'framework', value: 'sklearn' }];
  const source = `${artifact_uri}/model`;
  const made = await call(target, post(target, `${API}/model-versions/create`, { name, source, run_id, description: 'good', tags }));
  return { name, version: made.model_version as Record<string, unknown> };
}

export async function callEach(target: Target, requests: Buffer[]): Promise<void> {
  const connection = new Connection(target.port);
  for (const request of requests) await callOn(connection, target, request);
  connection.close();
}

export async function call(target: Target, request: Buffer): Promise<Record<string, unknown>> {
  const connection = new Connection(target.port);
  const { body } = await callOn(connection, target, request);
  connection.close();
  return JSON.parse(body.toString());
}

async function callOn(connection: Connection, target: Target, request: Buffer): Promise<Reply> {
  const reply = await connection.send(request);
  if (reply.status === 200 || reply.status === 201) return reply;
  const what = request.toString().split(' HTTP')[0];
  throw new Error(`${target.label} answers ${what} with ${reply.status}: ${reply.body.toString().slice(0, 300)}`);
}

/** Throws when a reply is not what the operation promises. */
export function checkReply({ isRight }: Operation, { body }: Reply): void {
  if (isRight && !isRight(JSON.parse(body.toString()))) throw new Error(`a wrong reply: ${body.toString().slice(0, 200)}`);
}
