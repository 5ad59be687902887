import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BlobStore, StoredBlob } from '../src/artifacts/blobs/blob-store.ts';
import { openLocalStore } from '../src/artifacts/blobs/local.ts';
import { listExternal } from '../src/artifacts/copy-external.ts';
import { readConfig } from '../src/config.ts';
import { startMoto } from './helpers/emulators.ts';
import { startFaultProxy } from './helpers/fault-proxy.ts';
import { expectRefusal, rowCounts } from './helpers/refusal.ts';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const FILES = '/api/2.0/mlflow-artifacts/artifacts';
const MIB = 1024 * 1024;

Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_EC2_METADATA_DISABLED: 'true' });
const moto = await startMoto();
const proxy = await startFaultProxy(moto.url);
const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-adopt-'));
const local = await openLocalStore(folder);
// What a test does to the store's writes.
let write: BlobStore['write'] = local.write;
const store: BlobStore = { ...local, write: (body) => write(body) };
const allowed = { ADOPT_LOCATIONS: 's3://team/models/, s3://nothing', S3_ENDPOINT: proxy.url };
const server = await startTestServer(undefined, undefined, undefined, store, readConfig([], allowed).adoption);
afterAll(async () => {
  proxy.stop();
  moto.stop();
  await fs.rm(folder, { recursive: true, force: true });
});

// A stock client writes there with its own credentials, past this server.
const client = new S3Client({ endpoint: moto.url, forcePathStyle: true, region: 'us-east-1' });
await client.send(new CreateBucketCommand({ Bucket: 'team' }));
const put = (Key: string, Body: string | Buffer) => client.send(new PutObjectCommand({ Bucket: 'team', Key, Body }));

let number = 0;
beforeEach(() => {
  proxy.plan = () => undefined;
  write = local.write;
});

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
const pathOf = (name: string, version: string, workspace = 'default') =>
  `/api/1.0/workspaces/${workspace}/models/${encodeURIComponent(name)}/versions/${version}`;
const locationOf = async (name: string) => (await server.get('model-versions/get-download-uri', { name, version: '1' })).body.artifact_uri;
const manifestOf = async (name: string) => (await server.get(`${pathOf(name, '1')}/manifest`).expect(200)).body;

/** A version whose source a client has written to S3. */
async function seedReference(files: Record<string, string | Buffer>): Promise<{ name: string; source: string }> {
  const source = `s3://team/models/${number++}`;
  for (const [file, bytes] of Object.entries(files)) await put(`${source.slice('s3://team/'.length)}/${file}`, bytes);
  return { name: await seedVersion(source), source };
}

async function seedVersion(source: string): Promise<string> {
  const name = await seedModel(server);
  await server.post('model-versions/create', { name, source }).expect(200);
  return name;
}

/** A version at any location, also one that cannot be registered today. */
async function seedLocation(location: string): Promise<string> {
  const name = await seedVersion('s3://team/models/x');
  const ofModel = 'model_id = (select id from registered_models where name = $2)';
  await server.db.query(`update model_versions set storage_location = $1 where ${ofModel}`, [location, name]);
  return name;
}

async function adopt(name: string, version = '1', workspace = 'default') {
  const reply = await fetch(`${server.url}${pathOf(name, version, workspace)}:adopt`, { method: 'POST' });
  const lines = (await reply.text()).trimEnd().split('\n');
  return { status: reply.status, lines: lines.map((line) => JSON.parse(line)), body: JSON.parse(lines.at(-1) ?? '') };
}

/** Everything that a refused adoption must leave as it was. */
async function state(name: string) {
  const keys: string[] = [];
  for await (const { key } of local.list()) keys.push(key);
  const leftovers = await fs.readdir(path.join(folder, 'uploads'));
  return {
    keys: keys.sort(),
    leftovers,
    rows: await rowCounts(server),
    manifest: await manifestOf(name),
    location: await locationOf(name),
  };
}

describe('a version that a client has put into S3 by itself', () => {
  it('is copied, hashed and frozen when it is adopted, and loads from here from then on', async () => {
    const files = {
      Z: randomBytes(70_000),
      'a.txt': '22',
      'a/x': '1',
      'data/Größe 1+%41': '',
      large: randomBytes(9 * MIB + 1),
      same: '22',
    };
    const { name, source } = await seedReference(files);
    await put(`${source.slice('s3://team/'.length)}/`, '');
    await put(`${source.slice('s3://team/'.length)}-beside/x`, 'not of it');
    expect(await manifestOf(name)).toEqual({ name, version: '1', frozen: false, source, files: [] });
    expect(await locationOf(name)).toBe(source);

    const { status, lines } = await adopt(name);
    const manifest = await manifestOf(name);
    const bytes = Object.values(files).reduce((sum, content) => sum + Buffer.byteLength(content), 0);
    expect([status, lines.at(-1)]).toEqual([200, { status: 'ADOPTED', digest: manifest.digest, files: 6, bytes }]);
    expect(manifest).toEqual({
      name,
      version: '1',
      frozen: true,
      source,
      digest: expect.stringMatching(/^[\da-f]{64}$/),
      size: bytes,
      files: Object.entries(files).map(([file, content]) => ({ path: file, size: Buffer.byteLength(content), sha256: sha256(content) })),
    });
    const verified = await fetch(`${server.url}${pathOf(name, '1')}:verify`, { method: 'POST' });
    expect(JSON.parse((await verified.text()).trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ status: 'OK', digest: manifest.digest });

    const location = await locationOf(name);
    expect(location).toMatch(/^mlflow-artifacts:\/registered-models\/\d+\/versions\/1$/);
    for (const [file, content] of Object.entries(files)) {
      await client.send(new DeleteObjectCommand({ Bucket: 'team', Key: `${source.slice('s3://team/'.length)}/${file}` }));
      const at = `${location.slice('mlflow-artifacts:/'.length)}/${file.split('/').map(encodeURIComponent).join('/')}`;
      const reply = await fetch(`${server.url}${FILES}/${at}`);
      expect(Buffer.from(await reply.arrayBuffer()).equals(Buffer.from(content))).toBe(true);
    }
  });

  it('has the digest of the same files registered from here, shares their bytes, and can be copied', async () => {
    const content = randomBytes(1000);
    const { run } = (await server.post('runs/create', { experiment_id: '0' }).expect(200)).body;
    const root = run.info.artifact_uri.replace('mlflow-artifacts:/', '');
    await fetch(`${server.url}${FILES}/${root}/model/MLmodel`, { method: 'PUT', body: new Uint8Array(content) });
    const own = await seedModel(server);
    const source = `runs:/${run.info.run_id}/model`;
    await server.post('model-versions/create', { name: own, source, run_id: run.info.run_id }).expect(200);

    const { name } = await seedReference({ MLmodel: content });
    const keys = (await state(name)).keys;
    const { body } = await adopt(name);
    expect(body.digest).toBe((await manifestOf(own)).digest);
    expect((await state(name)).keys).toEqual(keys);

    const copy = await seedVersion(`models:/${name}/1`);
    expect(await manifestOf(copy)).toMatchObject({ frozen: true, digest: body.digest });
  });

  it('of a registry gets a location like those of its other versions, from which it loads', async () => {
    const registry = freshName('reg');
    await server.post('/api/1.0/registries', { name: registry }).expect(201);
    const { source } = await seedReference({ MLmodel: 'shared' });
    const name = await seedModel(server, 0, `${registry}.fraud`);
    await server.post('model-versions/create', { name, source }).expect(200);
    const adopted = await fetch(`${server.url}/api/1.0/registries/${registry}/models/fraud/versions/1:adopt`, { method: 'POST' });
    expect(await adopted.json()).toMatchObject({ status: 'ADOPTED', files: 1 });
    const location = await locationOf(name);
    expect(location).toMatch(new RegExp(`^mlflow-artifacts:/registries/${registry}/registered-models/\\d+/versions/1$`));
    const reply = await fetch(`${server.url}${FILES}/${location.slice('mlflow-artifacts:/'.length)}/MLmodel`);
    expect(await reply.text()).toBe('shared');
  });

  it('may be of a run whose artifacts are in S3', async () => {
    const artifact_location = `s3://team/models/experiment-${number++}`;
    const { experiment_id } = (await server.post('experiments/create', { name: artifact_location, artifact_location })).body;
    const { run } = (await server.post('runs/create', { experiment_id }).expect(200)).body;
    await put(`${run.info.artifact_uri.slice('s3://team/'.length)}/model/MLmodel`, 'of a run');
    const name = await seedModel(server);
    const source = `${run.info.artifact_uri}/model`;
    await server.post('model-versions/create', { name, source, run_id: run.info.run_id }).expect(200);
    expect((await adopt(name)).body).toMatchObject({ status: 'ADOPTED', files: 1, bytes: 8 });
    expect(await manifestOf(name)).toMatchObject({ frozen: true, source });
  });

  it('is adopted once: again it is refused, and of two at once one wins', async () => {
    const { name } = await seedReference({ MLmodel: randomBytes(1000), 'model.pkl': randomBytes(MIB) });
    let under = 0;
    write = async (body) => {
      under += 1;
      // Both have found a live reference by then.
      await vi.waitUntil(() => under >= 4, { timeout: 10_000 });
      return local.write(body);
    };
    const keys = (await state(name)).keys;
    const replies = await Promise.all([adopt(name), adopt(name)]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 409]);
    write = local.write;
    expect((await state(name)).keys).toHaveLength(keys.length + 2);
    const before = await state(name);
    const again = await adopt(name);
    expect([again.status, again.body.error_code, again.body.message]).toEqual([
      409,
      'INVALID_STATE',
      `Version 1 of ${name} is frozen already: its files are kept here.`,
    ]);
    expect(await state(name)).toEqual(before);
  });

  it('is not adopted when it, its model or its workspace is not there', async () => {
    const { name } = await seedReference({ MLmodel: 'x' });
    const replies = [adopt(name, '2'), adopt('nobody'), adopt(name, '1', 'nowhere'), adopt(name, 'x'), adopt(name, '1', 'No Workspace')];
    expect((await Promise.all(replies)).map(({ status }) => status)).toEqual([404, 404, 404, 400, 400]);
  });

  it('leaves nothing when it is deleted meanwhile', async () => {
    const { name } = await seedReference({ MLmodel: randomBytes(100) });
    const { name: other } = await seedReference({ MLmodel: randomBytes(100) });
    const before = await state(other);
    write = async (body) => {
      await server.delete('registered-models/delete', { name }).expect(200);
      return local.write(body);
    };
    expect(await adopt(name)).toMatchObject({ status: 404, body: { error_code: 'RESOURCE_DOES_NOT_EXIST' } });
    const after = await state(other);
    expect([after.keys, after.rows.blobs, after.rows.model_version_files]).toEqual([
      before.keys,
      before.rows.blobs,
      before.rows.model_version_files,
    ]);
  });
});

describe('where the server reads for its users', () => {
  it.each([
    's3://team/models-of-others/x',
    's3://team/model',
    's3://team',
    's3://team/',
    's3://team.other/models/x',
    's3://other/models/x',
    's3://team/Models/x',
    's3://team/%6dodels/x',
    's3://nothing.else/x',
  ])('is not %s, which ADOPT_LOCATIONS does not name', async (location) => {
    const name = await seedLocation(location);
    const before = await state(name);
    proxy.seen.length = 0;
    const { status, body } = await adopt(name);
    expect([status, body.error_code, body.message]).toEqual([
      403,
      'PERMISSION_DENIED',
      expect.stringContaining('the setting ADOPT_LOCATIONS'),
    ]);
    expect([await state(name), proxy.seen]).toEqual([before, []]);
  });

  it('is nowhere unless it is set', async () => {
    const closed = await startTestServer();
    await closed.post('registered-models/create', { name: 'm' }).expect(200);
    await closed.post('model-versions/create', { name: 'm', source: 's3://team/models/0' }).expect(200);
    const reply = await closed.post(`${pathOf('m', '1')}:adopt`).expect(403);
    expect(reply.body.message).toBe(
      'This server does not read s3://team/models/0 for its users. Its operator can allow that with the setting ADOPT_LOCATIONS.',
    );
  });

  it.each([
    'gs://team/models/x',
    'wasbs://team@account.blob.core.windows.net/models',
    'dbfs:/models/x',
    'mlflow-artifacts:/1/abc/artifacts/model',
    's3://team/models/x?versionId=1',
    's3:///team/models/x',
  ])('is not %s, which is no folder in S3', async (location) => {
    const name = await seedLocation(location);
    const { status, body } = await adopt(name);
    expect([status, body.error_code, body.message]).toEqual([
      400,
      'INVALID_PARAMETER_VALUE',
      `Only files in s3://bucket/folder can be adopted, not those at ${location}.`,
    ]);
  });

  it.each([
    's3://team/models/../secrets',
    's3://team/models/%2e%2e/secrets',
    's3://team/models/..%2Fsecrets',
    's3://team/models/./x',
    's3://team/models//x',
  ])('is not %s, which may be another folder', async (location) => {
    const name = await seedLocation(location);
    proxy.seen.length = 0;
    const { status, body } = await adopt(name);
    expectRefusal({ status, body });
    expect([status, body.error_code, proxy.seen]).toEqual([400, 'INVALID_PARAMETER_VALUE', []]);
  });

  it.each([
    ['team/models', 'ADOPT_LOCATIONS: must be s3://bucket/prefix, or several with commas between them'],
    ['s3://team,gs://team', 'ADOPT_LOCATIONS: must be s3://bucket/prefix'],
    ['s3://', 'ADOPT_LOCATIONS: must be s3://bucket/prefix'],
    ['s3://team/../x', 'ADOPT_LOCATIONS: must be s3://bucket/prefix'],
    ['s3://team//x', 'ADOPT_LOCATIONS: must be s3://bucket/prefix'],
    ['s3://team/x?y', 'ADOPT_LOCATIONS: must be s3://bucket/prefix'],
    ['s3://team/x, s3://own', 'ADOPT_LOCATIONS: s3://own has in it what ARTIFACTS_URL keeps there.'],
    ['s3://own/prefix/blobs/ab', 'ADOPT_LOCATIONS: s3://own/prefix/blobs/ab has in it what ARTIFACTS_URL keeps there.'],
  ])('cannot be set to %s', (value, message) => {
    const env = { ADOPT_LOCATIONS: value, ARTIFACTS_URL: 's3://own/prefix/' };
    expect(() => readConfig([], env)).toThrow(message);
  });

  it('is one folder or several', () => {
    const at = (value: string) => readConfig([], { ADOPT_LOCATIONS: value, ARTIFACTS_URL: 's3://own/prefix' }).adoption.locations;
    expect(at('')).toEqual([]);
    expect(at('s3://team')).toEqual(['s3://team']);
    expect(at('s3://team/a.b/..c/, s3://own/models')).toEqual(['s3://team/a.b/..c', 's3://own/models']);
  });
});

describe('what cannot be adopted', () => {
  const refusalOf = async (name: string) => {
    const before = await state(name);
    const { status, body } = await adopt(name);
    expect(await state(name)).toEqual(before);
    expect(body.message).not.toContain('secret-host');
    return [status, body.error_code, body.message];
  };

  it('is a folder without files', async () => {
    const { name, source } = await seedReference({});
    expect(await refusalOf(name)).toEqual([404, 'RESOURCE_DOES_NOT_EXIST', `There are no files at ${source}.`]);
    const nowhere = await seedVersion('s3://nothing/x');
    expect(await refusalOf(nowhere)).toEqual([404, 'RESOURCE_DOES_NOT_EXIST', 'There are no files at s3://nothing/x.']);
  });

  it.each(['a/../b', '%2e%2e/b', 'a//b', './b', '/b', `${'n'.repeat(256)}`])('is a file called %j', async (file) => {
    const { name } = await seedReference({ MLmodel: randomBytes(10), [file]: 'x' });
    const [status, code, message] = await refusalOf(name);
    expect([status, code, message]).toEqual([
      400,
      'INVALID_PARAMETER_VALUE',
      expect.stringMatching(/^The file ".*" cannot be taken over\. /),
    ]);
  });

  it('is a file that is a folder, too', async () => {
    const { name } = await seedReference({ 'a/b': 'a file', 'a/b/c/d': 'below it' });
    expect(await refusalOf(name)).toEqual([
      400,
      'INVALID_PARAMETER_VALUE',
      'The file "a/b/c/d" cannot be taken over. A part of its path is a file, "a/b".',
    ]);
  });

  it('is more than 100,000 files', async () => {
    const source = {
      async *files() {
        for (let i = 0; ; i++) yield { path: String(i), size: 1, file: null, open: () => Promise.reject(new Error('not to be read')) };
      },
    };
    await expect(listExternal(source, 's3://team/models')).rejects.toThrow('There are more than 100000 files at s3://team/models.');
  });

  it.each([
    ['the listing', 'GET /team?list-type=2'],
    ['a file', 'GET /team/models'],
  ])('is what S3 refuses or fails to give: %s', async (_, what) => {
    const { name, source } = await seedReference({ MLmodel: randomBytes(10), 'model.pkl': randomBytes(2 * MIB) });
    const failing = (status: number, code: string) => {
      proxy.plan = (asked) =>
        asked.replace('?x-id=GetObject', '').replace('/team/?', '/team?').startsWith(what) ? { status, code } : undefined;
    };
    failing(403, 'AccessDenied');
    expect(await refusalOf(name)).toEqual([403, 'PERMISSION_DENIED', `The credentials of this server do not let it read ${source}.`]);
    failing(400, 'SomethingElse');
    expect(await refusalOf(name)).toEqual([503, 'TEMPORARILY_UNAVAILABLE', expect.stringContaining('Try again shortly.')]);
    proxy.plan = () => undefined;
    expect((await adopt(name)).body).toMatchObject({ status: 'ADOPTED' });
  });

  it('is a file that is written to meanwhile', async () => {
    // Four are read at once, so the fifth is asked for when one of them was stored.
    const { name, source } = await seedReference(Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((file) => [file, randomBytes(1000)])));
    const before = await state(name);
    write = async (body) => {
      await put(`${source.slice('s3://team/'.length)}/e`, randomBytes(1000));
      return local.write(body);
    };
    const { status, body } = await adopt(name);
    expect([status, body.error_code, body.message]).toEqual([
      409,
      'INVALID_STATE',
      `Files at ${source} were written to while they were copied. Try again.`,
    ]);
    expect(await state(name)).toEqual(before);
    write = local.write;
    expect((await adopt(name)).body).toMatchObject({ status: 'ADOPTED', files: 5, bytes: 5000 });
  });

  async function* untilFull(body: Readable): AsyncGenerator<Buffer> {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      yield chunk;
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    }
  }

  it('is more than the artifact store has room for', async () => {
    const { name } = await seedReference({ a: randomBytes(1000), b: randomBytes(1000) });
    let writes = 0;
    write = async (body) => {
      if (writes++ === 0) return local.write(body);
      return local.write(Readable.from(untilFull(body), { objectMode: false }));
    };
    expect(await refusalOf(name)).toEqual([507, 'IO_ERROR', expect.stringContaining('The artifact store is full')]);
  });
});

describe('while it goes on', () => {
  const slowly = async (body: Readable, then: (body: Readable) => Promise<StoredBlob>) => {
    await sleep(1100);
    return then(body);
  };

  it('tells how far it is', async () => {
    const { name } = await seedReference({ MLmodel: randomBytes(10), 'model.pkl': randomBytes(3 * MIB) });
    write = (body) => slowly(body, local.write);
    const { status, lines } = await adopt(name);
    expect([status, lines.length > 1]).toEqual([200, true]);
    expect(lines[0]).toEqual({ files: 2, copied_bytes: expect.any(Number), bytes: 3 * MIB + 10 });
    expect(lines.at(-1)).toMatchObject({ status: 'ADOPTED' });
  });

  it('says in the last line what went wrong, and leaves nothing', async () => {
    const { name, source } = await seedReference({ MLmodel: randomBytes(10), 'model.pkl': randomBytes(3 * MIB) });
    const before = await state(name);
    proxy.plan = (asked) => (asked.includes('/model.pkl') ? 'cut reply' : undefined);
    write = (body) => slowly(body, local.write);
    const { status, lines, body } = await adopt(name);
    expect([status, lines.length > 1, body]).toEqual([
      200,
      true,
      { status: 'FAILED', error_code: 'TEMPORARILY_UNAVAILABLE', message: expect.stringContaining('Try again shortly.') },
    ]);
    expect(JSON.stringify(lines)).not.toContain(`${source.slice(5)}/model.pkl`);
    expect(await state(name)).toEqual(before);
  });

  it('goes on when the connection to S3 breaks off once', async () => {
    const content = randomBytes(3 * MIB);
    const { name } = await seedReference({ 'model.pkl': content });
    let cut = true;
    proxy.plan = (asked) => {
      if (!cut || !asked.includes('/model.pkl')) return undefined;
      cut = false;
      return 'cut reply';
    };
    expect((await adopt(name)).body).toMatchObject({ status: 'ADOPTED' });
    expect((await manifestOf(name)).files).toEqual([{ path: 'model.pkl', size: content.length, sha256: sha256(content) }]);
  });

  it('stops when the client goes away, and leaves nothing', async () => {
    const { name } = await seedReference({ MLmodel: randomBytes(10), 'model.pkl': randomBytes(3 * MIB) });
    const before = await state(name);
    const gone = new AbortController();
    let ended: Promise<unknown> = Promise.resolve();
    write = (body) => {
      gone.abort();
      const writing = slowly(body, local.write);
      ended = Promise.allSettled([ended, writing]);
      return writing;
    };
    const asked = fetch(`${server.url}${pathOf(name, '1')}:adopt`, { method: 'POST', signal: gone.signal });
    await expect(asked).rejects.toThrow();
    await ended;
    await vi.waitFor(async () => expect(await state(name)).toEqual(before), { timeout: 10_000 });
  });
});
