import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';
import { sharing } from './helpers/trained.ts';

const server = await startTestServer();
const { seedRegistry, seedWorkspace, from, train, promote } = sharing(server);

type Node = { id: string; type: string; name: string; live: boolean; visibility: string; [key: string]: unknown };
type Edge = { from: string; to: string; relation: string; [key: string]: unknown };
type Graph = { start: string; nodes: Node[]; edges: Edge[]; truncated?: boolean };

const lineagePath = (scope: string, version: string | number = 1) => `/api/1.0/${scope}/models/fraud/versions/${version}/lineage`;
const lineageOf = async (scope: string, query: Record<string, string | number> = {}, version: string | number = 1) =>
  (await server.get(lineagePath(scope, version), query).expect(200)).body as Graph;

const versionId = (scope: string, version: string | number = 1) => `${scope}/models/fraud/versions/${version}`;
const nodeOf = (graph: Graph, id: string) => graph.nodes.find((node) => node.id === id);
const sentences = ({ edges }: Graph) => edges.map(({ from, to, relation }) => `${from} ${relation} ${to}`).toSorted();
const typesOf = ({ nodes }: Graph) => nodes.map(({ type }) => type).toSorted();

/** Trained in a workspace, promoted into one registry, and from that into another. */
async function seedChain() {
  const [dev, first, second] = [await seedWorkspace(), await seedRegistry(), await seedRegistry()];
  const trained = await train(dev);
  await promote({ workspace: dev, name: 'fraud', version: '1' }, first, { reason: 'good', set_aliases: ['champion'] });
  const onward = await promote({ registry: first, name: 'fraud', alias: 'champion' }, second);
  return { dev, first, second, trained, onward };
}

/** No edge leads to nothing, no id is there twice, everything is about what was asked for. */
function expectWhole(graph: Graph) {
  const ids = graph.nodes.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { from, to } of graph.edges) expect(ids).toEqual(expect.arrayContaining([from, to]));
  expect(ids).toContain(graph.start);
  expect(graph.nodes.every(({ live, visibility }) => typeof live === 'boolean' && visibility === 'FULL')).toBe(true);
}

describe('GET …/lineage upstream', () => {
  it('goes from registry to registry to the workspace, its run, experiment, data and author', async () => {
    const { dev, first, second, trained, onward } = await seedChain();
    const graph = await lineageOf(`registries/${second}`, { direction: 'UPSTREAM' });
    expectWhole(graph);
    const [end, middle, start] = [`registries/${second}`, `registries/${first}`, `workspaces/${dev}`].map((scope) => versionId(scope));
    const run = `workspaces/${dev}/runs/${trained.runId}`;
    const experiment = `workspaces/${dev}/experiments/${trained.experiment}`;
    const firstPromotion = graph.edges.find(({ from, relation }) => from === middle && relation === 'WAS_GENERATED_BY')?.to;
    expect(sentences(graph)).toEqual(
      [
        `${end} WAS_DERIVED_FROM ${middle}`,
        `${end} WAS_GENERATED_BY promotions/${onward.promotion_id}`,
        `promotions/${onward.promotion_id} USED ${middle}`,
        `${middle} WAS_DERIVED_FROM ${start}`,
        `${middle} WAS_GENERATED_BY ${firstPromotion}`,
        `${firstPromotion} USED ${start}`,
        `${start} WAS_GENERATED_BY ${run}`,
        `${start} PART_OF workspaces/${dev}`,
        `${run} USED workspaces/${dev}/datasets/claims/d1`,
        `${run} PART_OF ${experiment}`,
        `${run} WAS_ASSOCIATED_WITH users/ada`,
        `${experiment} PART_OF workspaces/${dev}`,
      ].toSorted(),
    );
    expect(nodeOf(graph, run)).toMatchObject({
      name: expect.any(String),
      live: true,
      status: 'FINISHED',
      params: { alpha: '0.5' },
      metrics: [{ key: 'auc', value: 0.91, step: 3 }],
      code: { git_commit: 'abc123', name: 'train.py' },
    });
    expect(nodeOf(graph, end ?? '')).toMatchObject({ registry: second, version: '1', flavors: ['python_function', 'sklearn'], live: true });
    expect(nodeOf(graph, `promotions/${onward.promotion_id}`)).toMatchObject({ alias: 'champion', sha256: expect.any(String) });
    expect(nodeOf(graph, firstPromotion ?? '')).toMatchObject({ reason: 'good', live: true });
    expect(graph.nodes.every(({ live }) => live)).toBe(true);
  });

  it('tells the same from the snapshot alone when workspace and first registry are gone', async () => {
    const { dev, first, second, trained } = await seedChain();
    const before = await lineageOf(`registries/${second}`, { direction: 'UPSTREAM' });
    await server.delete(`/api/3.0/mlflow/workspaces/${dev}?mode=CASCADE`).expect(204);
    await server.delete('registered-models/delete', { name: `${first}.fraud` }).expect(200);
    const after = await lineageOf(`registries/${second}`, { direction: 'UPSTREAM' });
    expectWhole(after);
    expect(sentences(after)).toEqual(sentences(before));
    const alive = after.nodes.filter(({ live }) => live).map(({ type }) => type);
    expect(alive.toSorted()).toEqual(['MODEL_VERSION', 'PROMOTION', 'PROMOTION', 'USER']);
    const gone = nodeOf(after, versionId(`workspaces/${dev}`));
    expect(gone).toMatchObject({ live: false, digest: nodeOf(before, gone?.id ?? '')?.digest, flavors: ['python_function', 'sklearn'] });
    expect(nodeOf(after, `workspaces/${dev}/runs/${trained.runId}`)).toMatchObject({ live: false, params: { alpha: '0.5' } });
    for (const format of ['prov-json', 'openlineage']) await server.get(lineagePath(`registries/${second}`), { format }).expect(200);
  });

  it('does not take another workspace of the same name for the one that is gone', async () => {
    const [dev, registry] = [await seedWorkspace(), await seedRegistry()];
    await train(dev);
    await promote({ workspace: dev, name: 'fraud', version: '1' }, registry);
    await server.delete(`/api/3.0/mlflow/workspaces/${dev}?mode=CASCADE`).expect(204);
    await server.post('/api/3.0/mlflow/workspaces', { name: dev }).expect(201);
    await train(dev);
    const graph = await lineageOf(`registries/${registry}`, { direction: 'UPSTREAM' });
    expect(
      graph.nodes
        .filter(({ live }) => live)
        .map(({ type }) => type)
        .toSorted(),
    ).toEqual(['MODEL_VERSION', 'PROMOTION', 'USER']);
  });

  it('follows a source that was renamed, and says what it was called', async () => {
    const [dev, registry] = [await seedWorkspace(), await seedRegistry()];
    await train(dev);
    await promote({ workspace: dev, name: 'fraud', version: '1' }, registry);
    await from(dev).post('registered-models/rename', { name: 'fraud', new_name: 'scam' }).expect(200);
    const graph = await lineageOf(`registries/${registry}`);
    expect(nodeOf(graph, `workspaces/${dev}/models/scam/versions/1`)).toMatchObject({ live: true, promoted_as: `${dev}.fraud` });
  });

  it('is of what is there now for a version of a workspace, also one that is a copy', async () => {
    const dev = await seedWorkspace();
    const { runId } = await train(dev);
    await from(dev).post('registered-models/create', { name: 'copy' }).expect(200);
    await from(dev).post('model-versions/create', { name: 'copy', source: 'models:/fraud/1', run_id: runId }).expect(200);
    const copy = (await server.get(`/api/1.0/workspaces/${dev}/models/copy/versions/1/lineage`).expect(200)).body as Graph;
    expectWhole(copy);
    expect(sentences(copy)).toEqual(
      expect.arrayContaining([
        `workspaces/${dev}/models/copy/versions/1 WAS_DERIVED_FROM ${versionId(`workspaces/${dev}`)}`,
        `${versionId(`workspaces/${dev}`)} WAS_GENERATED_BY workspaces/${dev}/runs/${runId}`,
      ]),
    );
    const original = await lineageOf(`workspaces/${dev}`, { direction: 'DOWNSTREAM' });
    expect(original.nodes.map(({ id }) => id)).toContain(`workspaces/${dev}/models/copy/versions/1`);
    await from(dev).post('runs/delete', { run_id: runId }).expect(200);
    expect(nodeOf(await lineageOf(`workspaces/${dev}`), `workspaces/${dev}/runs/${runId}`)?.live).toBe(false);
  });

  it('has the logged model in the middle, and the models that its run started from', async () => {
    const [dev, registry] = [await seedWorkspace(), await seedRegistry()];
    const as = from(dev);
    const experiment = (await as.post('experiments/create', { name: freshName('exp') }).expect(200)).body.experiment_id;
    const parent = (await as.post('runs/create', { experiment_id: experiment }).expect(200)).body.run.info.run_id;
    const tags = [{ key: 'mlflow.parentRunId', value: parent }];
    const runId = (await as.post('runs/create', { experiment_id: experiment, tags }).expect(200)).body.run.info.run_id;
    const makeModel = async (source_run_id?: string) =>
      (await as.post('logged-models', { experiment_id: experiment, name: 'net', source_run_id }).expect(200)).body.model.info;
    const [base, model] = [await makeModel(), await makeModel(runId)];
    await as.post('runs/log-inputs', { run_id: runId, models: [{ model_id: base.model_id }] }).expect(200);
    const points = [1, 3, 2].map((step) => ({ key: 'auc', value: step / 10, timestamp: 1, step, model_id: model.model_id }));
    await as.post('runs/log-batch', { run_id: runId, metrics: points }).expect(200);
    await as.put(`${model.artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`, 'flavors: {}\n');
    await as.post('registered-models/create', { name: `${registry}.fraud` }).expect(200);
    const version = { name: `${registry}.fraud`, source: `models:/${model.model_id}`, model_id: model.model_id };
    await as.post('model-versions/create', version).expect(200);
    const graph = await lineageOf(`registries/${registry}`);
    expectWhole(graph);
    const [modelId, run] = [`workspaces/${dev}/logged-models/${model.model_id}`, `workspaces/${dev}/runs/${runId}`];
    expect(sentences(graph)).toEqual(
      expect.arrayContaining([
        `${versionId(`registries/${registry}`)} WAS_DERIVED_FROM ${modelId}`,
        `${modelId} WAS_GENERATED_BY ${run}`,
        `${run} USED workspaces/${dev}/logged-models/${base.model_id}`,
        `${run} WAS_INFORMED_BY workspaces/${dev}/runs/${parent}`,
      ]),
    );
    expect(nodeOf(graph, modelId)).toMatchObject({ name: 'net', live: true, metrics: [{ key: 'auc', value: 0.3, step: 3 }] });
    const { events } = (await server.get(lineagePath(`registries/${registry}`), { format: 'openlineage' }).expect(200)).body as {
      events: RunEvent[];
    };
    for (const event of events) expectRunEvent(event);
    const ofRun = events.find(({ run: { runId: uuid } }) => uuid.replaceAll('-', '') === runId);
    expect(ofRun).toMatchObject({
      inputs: [{ name: `logged-models/${base.model_id}` }],
      outputs: [{ name: `logged-models/${model.model_id}` }],
    });
    expect(ofRun?.run.facets.parent).toMatchObject({ run: { runId: expect.stringMatching(/^[\da-f]{8}-/) } });
    expect(events.at(-1)).toMatchObject({ job: { name: 'promote' }, inputs: [{ name: `logged-models/${model.model_id}` }] });
    // The run of a later model that was loaded as input counts as a use.
    const later = (await as.post('runs/create', { experiment_id: experiment, start_time: 5 }).expect(200)).body.run.info.run_id;
    await as.post('runs/log-inputs', { run_id: later, models: [{ model_id: model.model_id }] }).expect(200);
    const uses = await lineageOf(`registries/${registry}`, { direction: 'DOWNSTREAM' });
    expect(sentences(uses)).toContain(`workspaces/${dev}/runs/${later} USED ${versionId(`registries/${registry}`)}`);
  });
});

describe('GET …/lineage downstream', () => {
  it('has what was promoted from a version, and who uses that', async () => {
    const { dev, first, second } = await seedChain();
    const prod = await seedWorkspace();
    await from(prod)
      .get('registered-models/alias', { name: `${first}.fraud`, alias: 'champion' })
      .expect(200);
    await vi.waitFor(async () => {
      const graph = await lineageOf(`workspaces/${dev}`, { direction: 'DOWNSTREAM' });
      expectWhole(graph);
      expect(graph.edges).toContainEqual(
        expect.objectContaining({ from: `workspaces/${prod}`, to: versionId(`registries/${first}`), relation: 'USED', resolve_count: 1 }),
      );
      expect(sentences(graph)).toContain(`${versionId(`registries/${second}`)} WAS_DERIVED_FROM ${versionId(`registries/${first}`)}`);
      expect(typesOf(graph)).toEqual([
        'MODEL_VERSION',
        'MODEL_VERSION',
        'MODEL_VERSION',
        'PROMOTION',
        'PROMOTION',
        'WORKSPACE',
        'WORKSPACE',
      ]);
    });
  });

  it('goes as far as depth says, in both directions', async () => {
    const { dev, first, second } = await seedChain();
    const versions = ({ nodes }: Graph) =>
      nodes
        .filter(({ type }) => type === 'MODEL_VERSION')
        .map(({ id }) => id)
        .toSorted();
    const [start, middle, end] = [`workspaces/${dev}`, `registries/${first}`, `registries/${second}`].map((scope) => versionId(scope));
    expect(versions(await lineageOf(`workspaces/${dev}`, { depth: 1 }))).toEqual([start, middle].toSorted());
    expect(versions(await lineageOf(`workspaces/${dev}`, { depth: 2 }))).toEqual([start, middle, end].toSorted());
    expect(versions(await lineageOf(`registries/${second}`, { depth: 1 }))).toEqual([end, middle].toSorted());
    expect(versions(await lineageOf(`registries/${first}`, { depth: 1 }))).toEqual([start, middle, end].toSorted());
    expect(versions(await lineageOf(`registries/${first}`, { depth: 10, direction: 'UPSTREAM' }))).toEqual([start, middle].toSorted());
  });

  it('says when there is more than it shows', async () => {
    const [dev, registry] = [await seedWorkspace(), await seedRegistry()];
    await train(dev);
    await promote({ workspace: dev, name: 'fraud', version: '1' }, registry);
    await server.db.query(
      `with first as (select m.id from registered_models m join scopes s on s.id = m.scope_id where s.name = $1),
       made as (
         insert into model_versions (model_id, version, source, storage_location)
         select id, n, 'models:/fraud/1', '' from first, generate_series(2, 700) n returning model_id, version)
       insert into model_version_provenance (model_id, version, promotion_id, snapshot, sha256, source_scope_id, source_model_id, source_version)
       select made.model_id, made.version, gen_random_uuid(), p.snapshot, p.sha256, p.source_scope_id, p.source_model_id, p.source_version
       from made join model_version_provenance p on p.model_id = made.model_id and p.version = 1`,
      [registry],
    );
    const graph = await lineageOf(`workspaces/${dev}`);
    expect([graph.truncated, graph.nodes.filter(({ type }) => type === 'MODEL_VERSION').length]).toEqual([true, 500]);
    expectWhole(graph);
  });
});

it.each(['graph', 'prov-json', 'openlineage'])(
  'lineage as %s has something to say of times, numbers and names that are none',
  async (format) => {
    const dev = await seedWorkspace();
    const { runId, experiment } = await train(dev, { params: { ['__proto__']: 'x' }, files: { MLmodel: 'signature: 7\nflavors: [a]\n' } });
    await from(dev).post('runs/log-metric', { run_id: runId, key: 'loss', value: 'NaN', timestamp: 1 }).expect(200);
    const odd = { experiment_id: experiment, start_time: '9223372036854775807' };
    const later = (await from(dev).post('runs/create', odd).expect(200)).body.run.info.run_id;
    await from(dev).post('runs/update', { run_id: later, status: 'FAILED', end_time: '-9223372036854775808' }).expect(200);
    await from(dev).put(`workspaces/${dev}/${experiment}/${later}/artifacts/m/MLmodel`, '- no\n- object\n');
    await from(dev)
      .post('model-versions/create', { name: 'fraud', source: `runs:/${later}/m`, run_id: later })
      .expect(200);
    for (const version of [1, 2]) await server.get(lineagePath(`workspaces/${dev}`, version), { format }).expect(200);
    await server.get(`/api/1.0/workspaces/${dev}/models/fraud/versions:compare`, { left: '1', right: '2' }).expect(200);
  },
);

it.each([
  [{ depth: '0' }, 'depth'],
  [{ depth: '11' }, 'depth'],
  [{ depth: '1.5' }, 'depth'],
  [{ depth: 'deep' }, 'depth'],
  [{ direction: 'up' }, "Invalid direction 'up': it must be one of UPSTREAM, DOWNSTREAM, BOTH."],
  [{ format: 'dot' }, "Invalid format 'dot': it must be one of graph, prov-json, openlineage."],
])('lineage with %j is refused', async (query, message) => {
  const dev = await seedWorkspace();
  await train(dev);
  const reply = await server.get(lineagePath(`workspaces/${dev}`), query);
  expect([reply.status, reply.body.error_code, reply.body.message]).toEqual([
    400,
    'INVALID_PARAMETER_VALUE',
    expect.stringContaining(message),
  ]);
});

it('lineage of what is not there is 404', async () => {
  const dev = await seedWorkspace();
  await train(dev);
  expect((await server.get(lineagePath(`workspaces/${dev}`, 9))).status).toBe(404);
  expect((await server.get(lineagePath('registries/nowhere-1'))).status).toBe(404);
});

/** What the schema of PROV-JSON asks of its records (https://www.w3.org/submissions/prov-json/schema). */
const PROV_RECORDS: Record<string, string[]> = {
  entity: [],
  activity: [],
  agent: [],
  wasGeneratedBy: ['prov:entity'],
  used: ['prov:entity'],
  wasInformedBy: ['prov:informant', 'prov:informed'],
  wasDerivedFrom: ['prov:generatedEntity', 'prov:usedEntity'],
  wasAttributedTo: ['prov:entity', 'prov:agent'],
  wasAssociatedWith: ['prov:activity'],
  specializationOf: ['prov:generalEntity', 'prov:specificEntity'],
  alternateOf: ['prov:alternate1', 'prov:alternate2'],
};
const REFERENCES = [...new Set(Object.values(PROV_RECORDS).flat()), 'prov:activity', 'prov:agent'];

describe('GET …/lineage?format=prov-json', () => {
  it('is a document whose prefixes are declared, whose records are whole and whose references lead somewhere', async () => {
    const { dev, first, second, trained } = await seedChain();
    await from(dev)
      .get('model-versions/get', { name: `${first}.fraud`, version: '1' })
      .expect(200);
    const { prefix, ...records } = await vi.waitFor(async () => {
      const { body } = await server.get(lineagePath(`registries/${first}`), { format: 'prov-json' }).expect(200);
      expect(JSON.stringify(body.activity)).toContain('resolve_count');
      return body as { prefix: Record<string, string> } & Record<string, Record<string, Record<string, unknown>>>;
    });
    const prefixes = ['prov', 'xsd', ...Object.keys(prefix)];
    const isQualified = (name: unknown) => typeof name === 'string' && prefixes.includes(name.split(':', 1)[0] ?? '');
    const known = new Set(['entity', 'activity', 'agent'].flatMap((record) => Object.keys(records[record] ?? {})));
    for (const uri of Object.values(prefix)) expect(() => new URL(uri)).not.toThrow();
    for (const [record, instances] of Object.entries(records)) {
      for (const [id, attributes] of Object.entries(instances)) {
        expect(id.startsWith('_:') || isQualified(id), id).toBe(true);
        expect(Object.keys(attributes)).toEqual(expect.arrayContaining(PROV_RECORDS[record] ?? ['no such record']));
        for (const [key, value] of Object.entries(attributes)) {
          expect(isQualified(key), key).toBe(true);
          if (REFERENCES.includes(key)) expect(known).toContain(value);
          if (/Time$|:time$/.test(key) && key.startsWith('prov:')) expect(value).toBe(new Date(value as string).toISOString());
          if (typeof value === 'object') expect(value).toEqual({ $: expect.any(String), type: 'prov:QUALIFIED_NAME' });
        }
      }
    }
    const [start, middle, end] = [`workspaces/${dev}`, `registries/${first}`, `registries/${second}`].map(
      (scope) => `api:${versionId(scope)}`,
    );
    const values = (record: string) => Object.values(records[record] ?? {});
    expect(values('wasDerivedFrom')).toEqual(
      expect.arrayContaining([
        { 'prov:generatedEntity': middle, 'prov:usedEntity': start },
        { 'prov:generatedEntity': end, 'prov:usedEntity': start, 'prov:type': { $: 'prov:PrimarySource', type: 'prov:QUALIFIED_NAME' } },
      ]),
    );
    expect(values('alternateOf')).toContainEqual({ 'prov:alternate1': end, 'prov:alternate2': middle });
    expect(values('used')).toContainEqual({
      'prov:activity': `api:workspaces/${dev}/runs/${trained.runId}`,
      'prov:entity': `api:workspaces/${dev}/datasets/claims/d1`,
      'prov:role': 'training',
    });
    expect(records.activity?.[`api:workspaces/${dev}/runs/${trained.runId}`]).toMatchObject({
      'prov:startTime': '2023-11-14T22:13:20.000Z',
      'prov:endTime': '2023-11-14T22:14:20.000Z',
      'terms:experiment_name': trained.experimentName,
      'param:alpha': '0.5',
      'metric:auc': 0.91,
    });
    // Each thing is generated once.
    const generated = values('wasGeneratedBy').map((generation) => generation['prov:entity']);
    expect(new Set(generated).size).toBe(generated.length);
  });

  it('has names of any kind', async () => {
    const [dev, registry] = [await seedWorkspace(), await seedRegistry()];
    await train(dev, { dataset: { name: "it's (a) «set», 100%!", digest: 'd:1/2' }, params: { 'läng e/x': '1' } });
    await promote({ workspace: dev, name: 'fraud', version: '1' }, registry);
    const { body } = await server.get(lineagePath(`registries/${registry}`), { format: 'prov-json' }).expect(200);
    const names = [...Object.keys(body.entity), ...Object.values(body.activity as object).flatMap((activity) => Object.keys(activity))];
    for (const name of names) expect(name).toMatch(/^\w+:(?:[\w/.~@-]|%[\dA-F]{2})+$/);
  });
});

const FACET_KEYS = ['_producer', '_schemaURL'];
type Facets = Record<string, Record<string, unknown>>;
type Dataset = { namespace: string; name: string; facets: Facets };
type RunEvent = {
  eventType: string;
  eventTime: string;
  producer: string;
  schemaURL: string;
  run: { runId: string; facets: Facets };
  job: { namespace: string; name: string; facets: Facets };
  inputs: Dataset[];
  outputs: Dataset[];
};

/** What https://openlineage.io/spec/2-0-2/OpenLineage.json asks of an event. */
function expectRunEvent(event: RunEvent) {
  expect(event.schemaURL).toBe('https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent');
  expect(['START', 'RUNNING', 'COMPLETE', 'ABORT', 'FAIL', 'OTHER']).toContain(event.eventType);
  expect(event.eventTime).toBe(new Date(event.eventTime).toISOString());
  expect(event.run.runId).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
  for (const uri of [event.producer, event.schemaURL]) expect(() => new URL(uri)).not.toThrow();
  for (const named of [event.job, ...event.inputs, ...event.outputs]) {
    expect([typeof named.namespace, typeof named.name]).toEqual(['string', 'string']);
  }
  const facets = [event.run, event.job, ...event.inputs, ...event.outputs].flatMap((of) => Object.values(of.facets));
  for (const facet of facets) {
    expect(Object.keys(facet)).toEqual(expect.arrayContaining(FACET_KEYS));
    for (const key of FACET_KEYS) expect(() => new URL(String(facet[key]))).not.toThrow();
  }
}

describe('GET …/lineage?format=openlineage', () => {
  it('has an event of each run and promotion, from the data to the last copy', async () => {
    const { dev, first, second, trained, onward } = await seedChain();
    const reply = await server.get(lineagePath(`registries/${second}`), { format: 'openlineage' }).expect(200);
    const events = reply.body.events as RunEvent[];
    for (const event of events) expectRunEvent(event);
    const host = `mlflow://${new URL(server.url).host}`;
    expect(events.map(({ job }) => `${job.namespace} ${job.name}`)).toEqual([
      `${host}/workspaces/${dev} ${trained.experimentName}`,
      `${host}/registries/${first} promote`,
      `${host}/registries/${second} promote`,
    ]);
    const [training, , promotion] = events;
    expect(training).toMatchObject({
      eventType: 'COMPLETE',
      inputs: [{ namespace: 's3://claims', name: '2026.parquet', facets: { version: { datasetVersion: 'd1' } } }],
      outputs: [{ namespace: `${host}/workspaces/${dev}`, name: 'fraud' }],
    });
    expect(training?.run.runId.replaceAll('-', '')).toBe(trained.runId);
    expect(training?.run.facets.modelCommons_run).toMatchObject({ params: { alpha: '0.5' }, metrics: [{ key: 'auc', value: 0.91 }] });
    expect(promotion).toMatchObject({
      eventType: 'COMPLETE',
      run: { runId: onward.promotion_id },
      inputs: [{ namespace: `${host}/registries/${first}`, name: 'fraud' }],
      outputs: [
        {
          namespace: `${host}/registries/${second}`,
          name: 'fraud',
          facets: {
            version: { datasetVersion: '1' },
            schema: {
              fields: [
                { name: 'x', type: 'double' },
                { name: 'n', type: 'long' },
              ],
            },
            modelCommons_contentDigest: { algorithm: 'sha256', digest: onward.digest },
            modelCommons_environment: { environment: { requirements: ['scikit-learn==1.7', 'pandas'] } },
          },
        },
      ],
    });
    const { snapshot } = (await server.get(`/api/1.0/registries/${second}/models/fraud/versions/1/provenance`)).body;
    expect(promotion?.eventTime).toBe(new Date(snapshot.promotion.timestamp).toISOString());
  });

  it('says where the code is when the run had a repository', async () => {
    const dev = await seedWorkspace();
    await train(dev, { tags: { 'mlflow.source.git.repoURL': 'https://git.example/fraud.git', 'mlflow.source.git.branch': 'main' } });
    const { events } = (await server.get(lineagePath(`workspaces/${dev}`), { format: 'openlineage' }).expect(200)).body as {
      events: RunEvent[];
    };
    expect(events[0]?.job.facets.sourceCodeLocation).toMatchObject({
      type: 'git',
      url: 'https://git.example/fraud.git',
      version: 'abc123',
      branch: 'main',
      path: 'train.py',
    });
  });
});

it('a promotion keeps the tags and aliases of its source, the digests of what describes the environment, and models that went in', async () => {
  const [dev, registry] = [await seedWorkspace(), await seedRegistry()];
  await train(dev, { tags: { 'mlflow.docker.image.uri': 'img:1' } });
  for (const alias of ['champion', 'eu'])
    await from(dev).post('registered-models/alias', { name: 'fraud', alias, version: '1' }).expect(200);
  await from(dev).post('model-versions/set-tag', { name: 'fraud', version: '1', key: 'checked', value: 'yes' }).expect(200);
  await promote({ workspace: dev, name: 'fraud', version: '1' }, registry);
  const { snapshot } = (await server.get(`/api/1.0/registries/${registry}/models/fraud/versions/1/provenance`).expect(200)).body;
  expect(snapshot).toMatchObject({
    source_version: { name: 'fraud', version: '1', aliases: ['champion', 'eu'], tags: [{ key: 'checked', value: 'yes' }] },
    code: { docker_image: 'img:1' },
    model: {
      environment: { sha256: { 'requirements.txt': createHash('sha256').update('scikit-learn==1.7\npandas\n').digest('hex') } },
    },
  });
});
