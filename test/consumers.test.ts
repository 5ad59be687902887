import pg from 'pg';
import { pino } from 'pino';
import { describe, expect, inject, it, vi } from 'vitest';
import type { Db } from '../src/platform/db/database.ts';
import { openConsumers } from '../src/registry/consumers/open.ts';
import { DEFAULT_SCOPE, type Scope } from '../src/scopes/entity.ts';
import { databaseUrl } from './helpers/global-setup.ts';
import { destroyDataDir, makeDataDir, startServer } from './helpers/process.ts';
import { startTestServer } from './helpers/server.ts';
import { sharing } from './helpers/trained.ts';

const server = await startTestServer();
const { seedRegistry, seedWorkspace, from, train, promote } = sharing(server);

async function seedShared() {
  const [registry, dev] = [await seedRegistry(), await seedWorkspace()];
  await train(dev);
  await promote({ workspace: dev, name: 'fraud', version: '1' }, registry, { set_aliases: ['champion'] });
  return { registry, dev, name: `${registry}.fraud` };
}

type Consumer = Record<'workspace' | 'client' | 'user', string> &
  Record<'first_time' | 'last_time' | 'resolve_count' | 'download_count', number> & { aliases: string[] };

const consumersOf = async (registry: string, query = {}) =>
  (await server.get(`/api/1.0/registries/${registry}/models/fraud/versions/1/consumers`, query).expect(200)).body as {
    consumers: Consumer[];
    next_page_token?: string;
  };

/** The consumers as soon as they have had so many requests in all. */
const consumersAfter = (registry: string, requests: number) =>
  vi.waitFor(async () => {
    const { consumers } = await consumersOf(registry);
    expect(consumers.reduce((sum, { resolve_count, download_count }) => sum + resolve_count + download_count, 0)).toBe(requests);
    return consumers;
  });

describe('GET …/consumers', () => {
  it('tells which workspace resolved and downloaded a shared version, with which client, by which alias, how often, when', async () => {
    const { registry, dev, name } = await seedShared();
    const prod = await seedWorkspace();
    const before = Date.now();
    await from(prod).get('registered-models/alias', { name, alias: 'champion' }).expect(200);
    const { artifact_uri } = (await from(prod).get('model-versions/get-download-uri', { name, version: '1' }).expect(200)).body;
    const folder = artifact_uri.replace('mlflow-artifacts:/', '');
    await from(prod).download(`${folder}/MLmodel`).expect(200);
    await from(prod).download(`${folder}/model.pkl`).expect(200);
    await from(dev, 'mlflow-java-client/2.17.2').get('model-versions/get', { name, version: '1' }).expect(200);
    await from(dev, 'mlflow-java-client/2.17.2').get('registered-models/get-latest-versions', { name }).expect(200);
    const consumers = await consumersAfter(registry, 6);
    const [java, python] = consumers.toSorted((a, b) => (a.client < b.client ? -1 : 1));
    expect(python).toMatchObject({
      workspace: prod,
      user: '',
      client: 'mlflow-python-client/3.17.2',
      aliases: ['champion'],
      resolve_count: 2,
      download_count: 2,
    });
    expect(java).toMatchObject({ workspace: dev, client: 'mlflow-java-client/2.17.2', aliases: [], resolve_count: 2, download_count: 0 });
    expect([python?.first_time, python?.last_time].every((time) => time && time >= before && time <= Date.now())).toBe(true);
  });

  it('adds up what comes later, and counts a base path as the dotted name', async () => {
    const { registry, name } = await seedShared();
    const prod = await seedWorkspace();
    await from(prod).get('model-versions/get', { name, version: '1' }).expect(200);
    const [first] = await consumersAfter(registry, 1);
    await from(prod).get(`/registries/${registry}/api/2.0/mlflow/model-versions/get`, { name: 'fraud', version: '1' }).expect(200);
    const [second, ...others] = await consumersAfter(registry, 2);
    expect(second).toMatchObject({ workspace: prod, resolve_count: 2, first_time: first?.first_time });
    expect(others).toEqual([]);
  });

  it('counts a mount as what it stands for, and tells of it by the name of the mount too', async () => {
    const { registry } = await seedShared();
    const prod = await seedWorkspace();
    await server
      .put(`/api/1.0/workspaces/${prod}/mounts/detector`, { registry, name: 'fraud', alias_map: { live: 'champion' } })
      .expect(200);
    await from(prod).get('registered-models/alias', { name: 'detector', alias: 'live' }).expect(200);
    expect(await consumersAfter(registry, 1)).toMatchObject([{ workspace: prod, aliases: ['champion'], resolve_count: 1 }]);
    const path = `/api/1.0/workspaces/${prod}/models/detector/versions`;
    expect((await server.get(`${path}/1/consumers`).expect(200)).body.consumers).toMatchObject([{ workspace: prod }]);
    expect((await server.get(`${path}/1/lineage`).expect(200)).body.start).toBe(`registries/${registry}/models/fraud/versions/1`);
    expect((await server.get(`${path}:compare`, { left: '1', right: '1' }).expect(200)).body.same_files).toBe(true);
  });

  it('counts nothing that failed, and nothing of workspaces', async () => {
    const { registry, dev, name } = await seedShared();
    await from(dev).get('model-versions/get', { name, version: '2' }).expect(404);
    await from(dev).get('registered-models/alias', { name, alias: 'none' }).expect(400);
    await from(dev).get('model-versions/get', { name: 'fraud', version: '1' }).expect(200);
    const { artifact_uri } = (await from(dev).get('model-versions/get-download-uri', { name: 'fraud', version: '1' })).body;
    await from(dev)
      .download(`${artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`)
      .expect(200);
    await from(dev).get('model-versions/get', { name, version: '1' }).expect(200);
    await consumersAfter(registry, 1);
    const counted = await server.db.query(
      "select count(*)::int as count from model_version_consumers c join registered_models m on m.id = c.model_id join scopes s on s.id = m.scope_id where s.kind = 'workspace'",
    );
    expect(counted.rows[0].count).toBe(0);
    const own = await server.get(`/api/1.0/workspaces/${dev}/models/fraud/versions/1/consumers`).expect(200);
    expect(own.body).toEqual({ consumers: [] });
  });

  it('pages, the last first', async () => {
    const { registry, name } = await seedShared();
    for (const client of ['a', 'b', 'c']) await from('default', client).get('model-versions/get', { name, version: '1' }).expect(200);
    await consumersAfter(registry, 3);
    const first = await consumersOf(registry, { max_results: 2 });
    const second = await consumersOf(registry, { max_results: 2, page_token: first.next_page_token });
    expect([...first.consumers, ...second.consumers].map(({ client }) => client)).toEqual(['c', 'b', 'a']);
    expect(second.next_page_token).toBeUndefined();
    const wrong = await server.get(`/api/1.0/registries/${registry}/models/fraud/versions/1/consumers`, { page_token: 'x' });
    expect([wrong.status, wrong.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
  });

  it('answers 404 for a version that is not there, and forgets one that is deleted', async () => {
    const { registry, name } = await seedShared();
    await from('default').get('model-versions/get', { name, version: '1' }).expect(200);
    await consumersAfter(registry, 1);
    await server.delete('model-versions/delete', { name, version: '1' }).expect(200);
    const path = `/api/1.0/registries/${registry}/models/fraud/versions/1/consumers`;
    expect((await server.get(path)).body.error_code).toBe('RESOURCE_DOES_NOT_EXIST');
    const { rows } = await server.db.query(
      'select count(*)::int as count from model_version_consumers c left join model_versions v using (model_id, version) where v.version is null',
    );
    expect(rows[0].count).toBe(0);
  });
});

describe('the recorder', () => {
  const log = pino({ level: 'silent' });

  /** A client in workspace prod that gets a version of a registry. */
  async function askingIn(registry: string) {
    const { rows } = await server.db.query('select id from scopes where name = $1', [registry]);
    const scope: Scope = { id: rows[0].id, kind: 'registry', name: registry, named: true };
    const address = { scope, consumer: { ...DEFAULT_SCOPE, name: 'prod' }, byPath: false };
    return (client: string) => ({ client, caller: { username: '' }, address, scope });
  }

  it('of several servers on one database adds all counts up, whatever is written at once', async () => {
    const { registry } = await seedShared();
    const asking = await askingIn(registry);
    const servers = Array.from({ length: 4 }, () => openConsumers(server.db, log, 5));
    for (let i = 0; i < 2000; i++) {
      servers[i % 4]?.resolved(asking(`client-${i % 7}`), { name: 'fraud', version: 1 });
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.all(servers.map((one) => one.stop()));
    const { consumers } = await consumersOf(registry);
    expect([consumers.length, consumers.reduce((sum, { resolve_count }) => sum + resolve_count, 0)]).toEqual([7, 2000]);
  });

  it('keeps what a database that does not answer could not take, and writes it when it stops', async () => {
    const { registry } = await seedShared();
    const asking = await askingIn(registry);
    let failures = 0;
    const failing = {
      query: (query: pg.QueryConfig) => {
        if (failures++ < 2) return Promise.reject(new Error('no database'));
        return server.db.query(query);
      },
    } as unknown as Db;
    const recorder = openConsumers(failing, log, 5);
    recorder.resolved(asking('a'), { name: 'fraud', version: 1 });
    await vi.waitFor(() => expect(failures).toBeGreaterThan(0));
    recorder.resolved(asking('a'), { name: 'fraud', version: 1 });
    await vi.waitFor(() => expect(failures).toBeGreaterThan(2));
    await recorder.stop();
    expect((await consumersOf(registry)).consumers).toMatchObject([{ client: 'a', resolve_count: 2 }]);
  });

  it('keeps no more than 10,000 counters, and tells how much it dropped', async () => {
    const { registry } = await seedShared();
    const asking = await askingIn(registry);
    const lines: string[] = [];
    const recorder = openConsumers(server.db, pino({ level: 'warn' }, { write: (line) => lines.push(line) }), 60_000);
    for (let i = 0; i < 10_003; i++) recorder.resolved(asking(`c${i}`), { name: 'fraud', version: 1 });
    await recorder.stop();
    const { rows } = await server.db.query(
      "select count(*)::int as count from model_version_consumers where client like 'c%' and workspace = 'prod'",
    );
    expect(rows[0].count).toBeGreaterThanOrEqual(10_000);
    expect(JSON.parse(lines[0] ?? '{}')).toMatchObject({ dropped: 3 });
  });

  it('never delays or fails a request while the database cannot be written to', async () => {
    const { registry, name } = await seedShared();
    const locker = new pg.Client({
      connectionString: databaseUrl(inject('postgresUrl'), server.db.options.connectionString?.split('/').at(-1) ?? ''),
    });
    await locker.connect();
    await locker.query('begin; lock table model_version_consumers in access exclusive mode');
    const started = performance.now();
    await from('default').get('model-versions/get', { name, version: '1' }).expect(200);
    expect(performance.now() - started).toBeLessThan(2000);
    await locker.query('rollback');
    await locker.end();
    await consumersAfter(registry, 1);
  });

  it('writes what it has counted when its server stops, and several servers add to the same', async () => {
    const { registry, name } = await seedShared();
    await from('default', 'probe').get('model-versions/get', { name, version: '1' }).expect(200);
    await consumersAfter(registry, 1);
    const dataDir = await makeDataDir();
    const other = await startServer(dataDir, ['--database-url', server.db.options.connectionString ?? '']);
    const query = new URLSearchParams({ name, version: '1' });
    const reply = await fetch(`${other.url}/api/2.0/mlflow/model-versions/get?${query}`, { headers: { 'User-Agent': 'probe' } });
    expect(reply.status).toBe(200);
    other.kill('SIGTERM');
    expect(await other.exited).toBe(0);
    await destroyDataDir(dataDir);
    expect((await consumersOf(registry)).consumers).toMatchObject([{ client: 'probe', resolve_count: 2 }]);
  }, 60_000);
});
