import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { BlobStore } from '../src/artifacts/blobs/blob-store.ts';
import { openLocalStore } from '../src/artifacts/blobs/local.ts';
import { sweepUploads } from '../src/artifacts/sweep-uploads.ts';
import { type CollectionOptions, collect, countCollection } from '../src/registry/collect.ts';
import { runCli } from './helpers/process.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer, type TestServer } from './helpers/server.ts';

const FILES = '/api/2.0/mlflow-artifacts/artifacts';
const DAY_MS = 86_400_000;

const optionsOf = (change: Partial<CollectionOptions> = {}): CollectionOptions => ({
  ageMs: 0,
  minAgeMs: 0,
  only: null,
  signal: new AbortController().signal,
  onProgress() {},
  ...change,
});

const put = (server: TestServer, at: string, body: string | Buffer) => fetch(`${server.url}${FILES}/${at}`, { method: 'PUT', body });
const get = async (server: TestServer, at: string) => {
  const reply = await fetch(`${server.url}${FILES}/${at}`);
  return reply.ok ? await reply.text() : reply.status;
};

async function makeRun(server: TestServer, experimentId = '0'): Promise<{ id: string; root: string }> {
  const { body } = await server.post('runs/create', { experiment_id: experimentId, start_time: 1 }).expect(200);
  return { id: body.run.info.run_id, root: body.run.info.artifact_uri.replace('mlflow-artifacts:/', '') };
}

async function register(server: TestServer, name: string, source: string, more: object = {}): Promise<string> {
  await server.post('registered-models/create', { name });
  const { body } = await server.post('model-versions/create', { name, source, ...more }).expect(200);
  return body.model_version.version;
}

async function folderOf(server: TestServer, name: string, version: string): Promise<string> {
  const { body } = await server.get('model-versions/get-download-uri', { name, version }).expect(200);
  return body.artifact_uri.replace('mlflow-artifacts:/', '');
}

/** All deleted things count as old. */
async function age(server: TestServer, ms = 1000): Promise<void> {
  await server.db.query('update runs set deleted_time = deleted_time - $1', [ms]);
  await server.db.query('update logged_models set last_updated_timestamp_ms = last_updated_timestamp_ms - $1', [ms]);
  await server.db.query('update experiments set last_update_time = last_update_time - $1', [ms]);
  await server.db.query('update deleted_model_versions set deleted_timestamp = deleted_timestamp - $1', [ms]);
  await server.db.query('update blobs set creation_timestamp = creation_timestamp - $1', [ms]);
}

async function bytesIn(blobs: BlobStore): Promise<number> {
  let sum = 0;
  for await (const { size } of blobs.list()) sum += size;
  return sum;
}

async function startWithStore() {
  const server = await startTestServer();
  return { server, blobs: await openLocalStore(server.artifactDir) };
}

describe('gc', () => {
  it('says what it would remove, removes that, and leaves what a version holds', async () => {
    const { server, blobs } = await startWithStore();
    const run = await makeRun(server);
    const kept = await makeRun(server);
    await put(server, `${run.root}/model/MLmodel`, 'in a version');
    await put(server, `${run.root}/plots/a.png`, 'only in the run');
    await put(server, `${run.root}/plots/same.png`, 'also in another run');
    await put(server, `${kept.root}/same.png`, 'also in another run');
    await server.post('runs/log-metric', { run_id: run.id, key: 'm', value: 1, timestamp: 1 }).expect(200);
    await server.post('runs/log-parameter', { run_id: run.id, key: 'p', value: '1' }).expect(200);
    const name = freshName();
    const version = await register(server, name, `runs:/${run.id}/model`, { run_id: run.id });
    await server.post('runs/delete', { run_id: run.id }).expect(200);

    expect(await countCollection(server.db, blobs, optionsOf({ ageMs: DAY_MS }))).toMatchObject({
      runs: { count: 0 },
      blobs: { count: 0, bytes: 0 },
    });
    await age(server);
    const told = await countCollection(server.db, blobs, optionsOf());
    expect(told).toMatchObject({ runs: { count: 1, files: 3 }, blobs: { count: 1, bytes: 'only in the run'.length }, still_read: [] });
    expect(await get(server, `${run.root}/plots/a.png`)).toBe('only in the run');

    const before = await bytesIn(blobs);
    expect(await collect(server.db, blobs, optionsOf())).toEqual(told);
    expect(before - (await bytesIn(blobs))).toBe('only in the run'.length);
    await server.get('runs/get', { run_id: run.id }).expect(404);
    const tables = ['run_metrics', 'run_latest_metrics', 'run_params', 'run_tags'].map((table) => `select run_id from ${table}`);
    expect((await server.db.query(`select run_id from (${tables.join(' union all ')}) t where run_id = $1`, [run.id])).rows).toEqual([]);
    expect(await get(server, `${run.root}/plots/a.png`)).toBe(404);
    expect(await get(server, `${kept.root}/same.png`)).toBe('also in another run');
    expect(await get(server, `${await folderOf(server, name, version)}/MLmodel`)).toBe('in a version');
    expect(await collect(server.db, blobs, optionsOf())).toMatchObject({ runs: { count: 0 }, blobs: { count: 0 } });
  });

  it('keeps a run and a logged model that a version without files of its own reads', async () => {
    const { server, blobs } = await startWithStore();
    const run = await makeRun(server);
    const { body } = await server.post('logged-models', { experiment_id: '0', name: 'm' }).expect(200);
    const model = body.model.info;
    await register(server, freshName(), `runs:/${run.id}/model`, { run_id: run.id });
    await register(server, freshName(), `models:/${model.model_id}`, { model_id: model.model_id });
    await put(server, `${run.root}/model/MLmodel`, 'written later');
    await put(server, `${model.artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`, 'written later, too');
    await server.post('runs/delete', { run_id: run.id }).expect(200);
    await server.delete(`logged-models/${model.model_id}`).expect(200);
    await age(server);

    const still_read = expect.arrayContaining([
      { kind: 'run', id: run.id },
      { kind: 'logged model', id: model.model_id },
    ]);
    const none = { runs: { count: 0 }, logged_models: { count: 0 }, blobs: { count: 0 }, still_read };
    expect(await countCollection(server.db, blobs, optionsOf())).toMatchObject(none);
    expect(await collect(server.db, blobs, optionsOf())).toMatchObject(none);
    expect(await get(server, `${run.root}/model/MLmodel`)).toBe('written later');
  });

  it('removes a deleted experiment with its runs and logged models, but none with an active run', async () => {
    const { server, blobs } = await startWithStore();
    const made = async () => {
      const { body } = await server.post('experiments/create', { name: freshName() }).expect(200);
      const run = await makeRun(server, body.experiment_id);
      const { body: logged } = await server.post('logged-models', { experiment_id: body.experiment_id, name: 'm' }).expect(200);
      await put(server, `${logged.model.info.artifact_uri.replace('mlflow-artifacts:/', '')}/MLmodel`, body.experiment_id);
      await server.post('experiments/delete', { experiment_id: body.experiment_id }).expect(200);
      return { id: body.experiment_id as string, run };
    };
    const [gone, kept] = [await made(), await made()];
    await server.post('runs/restore', { run_id: kept.run.id }).expect(200);
    await age(server);
    const told = await countCollection(server.db, blobs, optionsOf());
    expect(told).toMatchObject({
      runs: { count: 1 },
      logged_models: { count: 1, files: 1 },
      experiments: { count: 1 },
      blobs: { count: 1 },
    });
    expect(await collect(server.db, blobs, optionsOf())).toEqual(told);
    await server.get('experiments/get', { experiment_id: gone.id }).expect(404);
    await server.get('experiments/get', { experiment_id: kept.id }).expect(200);
  });

  it('removes only what was named', async () => {
    const { server, blobs } = await startWithStore();
    const runs = [await makeRun(server), await makeRun(server)] as const;
    for (const { id } of runs) await server.post('runs/delete', { run_id: id }).expect(200);
    await age(server);
    const only = { runIds: [runs[0].id], modelIds: [], experimentIds: [] };
    expect(await collect(server.db, blobs, optionsOf({ only }))).toMatchObject({ runs: { count: 1 } });
    await server.get('runs/get', { run_id: runs[1].id }).expect(200);
  });

  it('keeps the files of a deleted version for as long as it was told', async () => {
    const { server, blobs } = await startWithStore();
    const run = await makeRun(server);
    await put(server, `${run.root}/model/MLmodel`, 'deleted with its version');
    const name = freshName();
    const version = await register(server, name, `runs:/${run.id}/model`, { run_id: run.id });
    await fetch(`${server.url}${FILES}/${run.root}`, { method: 'DELETE' });
    await server.delete('model-versions/delete', { name, version }).expect(200);
    await age(server);
    expect(await collect(server.db, blobs, optionsOf({ ageMs: DAY_MS }))).toMatchObject({
      deleted_versions: { count: 0 },
      blobs: { count: 0 },
    });
    const told = await countCollection(server.db, blobs, optionsOf());
    expect(told).toMatchObject({ deleted_versions: { count: 1, files: 1 }, blobs: { count: 1 } });
    expect(await collect(server.db, blobs, optionsOf())).toEqual(told);
    expect(await bytesIn(blobs)).toBe(0);
  });

  it('leaves blobs and bytes alone that are younger than it was told', async () => {
    const { server, blobs } = await startWithStore();
    await put(server, 'a', 'young');
    await put(server, 'b', 'other');
    await fetch(`${server.url}${FILES}/a`, { method: 'DELETE' });
    const shard = path.join(server.artifactDir, 'blobs', 'st');
    await fs.mkdir(shard);
    await fs.writeFile(path.join(shard, 'stray'), 'x');
    const young = { blobs: { count: 0 }, strays: { count: 0 } };
    expect(await collect(server.db, blobs, optionsOf({ minAgeMs: DAY_MS }))).toMatchObject(young);
    await age(server);
    await sleep(20);
    const old = { blobs: { count: 1, bytes: 5 }, strays: { count: 1, bytes: 1 } };
    expect(await countCollection(server.db, blobs, optionsOf({ minAgeMs: 10 }))).toMatchObject(old);
    expect(await collect(server.db, blobs, optionsOf({ minAgeMs: 10 }))).toMatchObject(old);
    expect(await get(server, 'b')).toBe('other');
  });

  it("touches nothing in a store that is another database's", async () => {
    const { server, blobs } = await startWithStore();
    await put(server, 'a', 'precious');
    const other = await startTestServer();
    for (const state of ['empty', 'with blobs of its own']) {
      if (state !== 'empty') await put(other, 'b', 'elsewhere');
      expect(await countCollection(other.db, blobs, optionsOf())).toMatchObject({ strays: null });
      expect(await collect(other.db, blobs, optionsOf())).toMatchObject({ strays: null });
    }
    expect(await get(server, 'a')).toBe('precious');
  });

  it('gives up uploads in parts that were begun long ago, and no others', async () => {
    const { server, blobs } = await startWithStore();
    const begin = async (at: string) => {
      const reply = await fetch(`${server.url}/api/2.0/mlflow-artifacts/mpu/create/${at}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ path: 'big.bin', num_parts: 2 }),
      });
      return ((await reply.json()) as { upload_id: string }).upload_id;
    };
    const [old, leased, young] = [await begin('a'), await begin('b'), await begin('c')];
    const long = [DAY_MS + 1000, [old, leased]];
    await server.db.query('update artifact_uploads set creation_timestamp = creation_timestamp - $1 where id = any ($2)', long);
    await server.db.query('update artifact_uploads set leased_until = now_ms() + 60000 where id = $1', [leased]);
    expect(await sweepUploads(server.db, blobs)).toBe(1);
    const { rows } = await server.db.query('select id from artifact_uploads order by creation_timestamp');
    expect(rows.map(({ id }) => id)).toEqual([leased, young]);
    expect(await fs.readdir(path.join(server.artifactDir, 'parts'))).toHaveLength(2);
  });

  it('waits for a registration that read its files before they were deleted', async () => {
    const { server, blobs } = await startWithStore();
    await put(server, 'folder/file', 'almost free');
    await age(server);
    const registering = await server.db.connect();
    await registering.query('begin');
    const { rows } = await registering.query("select blob_id from artifacts where path = 'folder/file'");
    await fetch(`${server.url}${FILES}/folder`, { method: 'DELETE' });
    let ended = false;
    const collection = collect(server.db, blobs, optionsOf()).finally(() => {
      ended = true;
    });
    await sleep(300);
    expect(ended).toBe(false);
    await registering.query("insert into artifacts (scope_id, path, blob_id) values (1, 'copy', $1)", [rows[0]?.blob_id]);
    await registering.query('commit');
    registering.release();
    expect(await collection).toMatchObject({ blobs: { count: 0 } });
    expect(await get(server, 'copy')).toBe('almost free');
  });

  it('loses nothing while files of the same content come and go, versions are made, and two collections run', async () => {
    const { server, blobs } = await startWithStore();
    const contents = Array.from({ length: 8 }, () => randomBytes(2000).toString('base64'));
    const until = Date.now() + 8000;
    const registered: { name: string; version: string; sha256: string }[] = [];
    const problems: string[] = [];
    let [collected, rounds] = [0, 0];

    const collecting = async () => {
      while (Date.now() < until) {
        // Bytes without a row are given more time: a server is on its way to the row.
        await server.db.query('update blobs set creation_timestamp = creation_timestamp - 60000');
        const { blobs: freed } = await collect(server.db, blobs, optionsOf({ minAgeMs: 5000 }));
        collected += freed.count;
      }
    };
    const writing = async (worker: number) => {
      const name = freshName();
      for (let i = 0; Date.now() < until; i++) {
        const run = await makeRun(server);
        // Two workers at a time have the same one. The last ones are only ever in versions that go again.
        const index = (Math.floor(worker / 2) + i) % contents.length;
        const content = contents[index] ?? '';
        const reply = await put(server, `${run.root}/model/file`, content);
        if (!reply.ok) problems.push(`PUT ${reply.status} ${await reply.text()}`);
        const read = await get(server, `${run.root}/model/file`);
        if (read !== content) problems.push(`after PUT: ${String(read).slice(0, 100)}`);
        if (i % 3 !== 0) {
          const version = await register(server, name, `runs:/${run.id}/model`, { run_id: run.id });
          if (index < 2) registered.push({ name, version, sha256: createHash('sha256').update(content).digest('hex') });
          else await server.delete('model-versions/delete', { name, version }).expect(200);
        }
        await fetch(`${server.url}${FILES}/${run.root}`, { method: 'DELETE' });
        await server.post('runs/delete', { run_id: run.id }).expect(200);
        if (i % 20 === 19)
          for (const { name, version } of registered.splice(0, 10)) await server.delete('model-versions/delete', { name, version });
        rounds++;
      }
    };
    await Promise.all([collecting(), collecting(), ...[0, 1, 2, 3].map(writing)]);

    expect(problems).toEqual([]);
    expect(rounds).toBeGreaterThan(20);
    expect(collected).toBeGreaterThan(0);
    const { rows } = await server.db.query<{ storage_key: string; size: number }>('select storage_key, size from blobs');
    for (const { storage_key, size } of rows) expect(await blobs.sizeOf(storage_key)).toBe(size);
    for (const { name, version, sha256 } of registered) {
      const text = await get(server, `${await folderOf(server, name, version)}/file`);
      expect(createHash('sha256').update(String(text)).digest('hex'), `${name} ${version}: ${String(text).slice(0, 50)}`).toBe(sha256);
    }
  }, 60_000);

  it('is a command that tells in JSON or words, and needs --delete to change anything', async () => {
    const { server } = await startWithStore();
    const run = await makeRun(server);
    await put(server, `${run.root}/a`, 'x'.repeat(1500));
    await server.post('runs/delete', { run_id: run.id }).expect(200);
    await age(server, 40 * DAY_MS);
    const settings = [
      '--database-url',
      String(server.db.options.connectionString),
      '--artifacts-url',
      pathToFileURL(server.artifactDir).href,
    ];

    const dry = runCli(['gc', ...settings, '-o', 'json']);
    expect(await dry.exited, dry.stderr()).toBe(0);
    expect(JSON.parse(dry.stdout())).toMatchObject({
      deleted: false,
      runs: { count: 1, files: 1, bytes: 1500 },
      blobs: { count: 1, bytes: 1500 },
    });
    expect(await get(server, `${run.root}/a`)).toHaveLength(1500);
    const real = runCli(['gc', '--delete', ...settings]);
    expect(await real.exited, real.stderr()).toBe(0);
    expect(real.stdout()).toMatch(/^Removed:\n {2}1 deleted run \(1 file, 1\.5 kB\)\n[\s\S]*Freed 1\.5 kB\.\n$/);
    expect(await get(server, `${run.root}/a`)).toBe(404);
  }, 60_000);
});
