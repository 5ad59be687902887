import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');

/** A version with these files, made from a run. */
async function seedVersion(
  files: Record<string, string | Buffer>,
): Promise<{ name: string; version: string; runId: string; root: string }> {
  const name = await seedModel(server);
  const { run } = (await server.post('runs/create', { experiment_id: '0' }).expect(200)).body;
  const root: string = run.info.artifact_uri.replace('mlflow-artifacts:/', '');
  for (const [file, bytes] of Object.entries(files)) {
    await request(server.url)
      .put(`${ARTIFACTS}/${root}/model/${encodeURI(file).replaceAll('\\', '%5C')}`)
      .send(Buffer.from(bytes))
      .expect(200);
  }
  const runId: string = run.info.run_id;
  const created = await server.post('model-versions/create', { name, source: `runs:/${runId}/model`, run_id: runId }).expect(200);
  return { name, version: created.body.model_version.version, runId, root };
}

const pathOf = (name: string, version: string, workspace = 'default') =>
  `/api/1.0/workspaces/${workspace}/models/${encodeURIComponent(name)}/versions/${version}`;
const manifestOf = (name: string, version: string) => server.get(`${pathOf(name, version)}/manifest`);

async function verify(name: string, version: string): Promise<{ status: number; lines: Record<string, unknown>[] }> {
  const reply = await fetch(`${server.url}${pathOf(name, version)}:verify`, { method: 'POST' });
  return {
    status: reply.status,
    lines: (await reply.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  };
}

async function storedFile(digest: string): Promise<string> {
  const { rows } = await server.db.query('select storage_key from blobs where sha256 = $1', [digest]);
  const key: string = rows[0].storage_key;
  return path.join(server.artifactDir, 'blobs', key.slice(0, 2), key);
}

describe('the manifest of a version', () => {
  it('lists every file with size and SHA-256 in byte order, and the digest that sha256sum gives for a downloaded copy', async () => {
    const files = { 'a/x': '1', 'a.txt': '22', 'data/Größe 1': '', 'z\\z': '4', Z: randomBytes(70_000) };
    const { name, version } = await seedVersion(files);
    const { body } = await manifestOf(name, version).expect(200);
    expect(body.files).toEqual([
      { path: 'Z', size: 70_000, sha256: sha256(files.Z) },
      { path: 'a.txt', size: 2, sha256: sha256('22') },
      { path: 'a/x', size: 1, sha256: sha256('1') },
      { path: 'data/Größe 1', size: 0, sha256: sha256('') },
      { path: 'z\\z', size: 1, sha256: sha256('4') },
    ]);
    expect(body).toMatchObject({ name, version: '1', frozen: true, size: 70_004 });

    const copy = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-copy-'));
    const { artifact_uri } = (await server.get('model-versions/get-download-uri', { name, version })).body;
    for (const file of body.files) {
      const reply = await fetch(
        `${server.url}${ARTIFACTS}/${artifact_uri.replace('mlflow-artifacts:/', '')}/${encodeURI(file.path).replaceAll('\\', '%5C')}`,
      );
      await fs.mkdir(path.dirname(path.join(copy, file.path)), { recursive: true });
      await fs.writeFile(path.join(copy, file.path), Buffer.from(await reply.arrayBuffer()));
    }
    // The command that docs/frozen-versions.md gives.
    const docs = await fs.readFile('docs/frozen-versions.md', 'utf8');
    const command = /^cd model && (find .*sha256sum)$/m.exec(docs)?.[1] ?? '';
    const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: copy });
    expect(stdout.split(' ')[0]).toBe(body.digest);
    await fs.rm(copy, { recursive: true });
  });

  it('stays when the run and its files are deleted', async () => {
    const { name, version, runId, root } = await seedVersion({ MLmodel: 'x' });
    const { body } = await manifestOf(name, version);
    await server.post('runs/delete', { run_id: runId }).expect(200);
    await server.delete(`${ARTIFACTS}/${root}`).expect(200);
    expect((await manifestOf(name, version)).body).toEqual(body);
    expect((await verify(name, version)).lines.at(-1)).toMatchObject({ status: 'OK' });
  });

  it('says of a version whose files are elsewhere that it is a live reference', async () => {
    const name = await seedModel(server);
    await server.post('model-versions/create', { name, source: 's3://bucket/model' }).expect(200);
    expect((await manifestOf(name, '1')).body).toEqual({ name, version: '1', frozen: false, source: 's3://bucket/model', files: [] });
    const refused = await fetch(`${server.url}${pathOf(name, '1')}:verify`, { method: 'POST' });
    expect([refused.status, ((await refused.json()) as { message: string }).message]).toEqual([
      409,
      expect.stringContaining('live reference to s3://bucket/model'),
    ]);
  });

  it('is not there for an unknown version, model or workspace, nor for a number that is none', async () => {
    const { name } = await seedVersion({ MLmodel: 'x' });
    const statuses = [
      manifestOf(name, '2'),
      manifestOf('nobody', '1'),
      server.get(`${pathOf(name, '1', 'nowhere')}/manifest`),
      manifestOf(name, 'x'),
      server.get(`${pathOf(name, '1', 'No Workspace')}/manifest`),
    ].map(async (reply) => (await reply).status);
    expect(await Promise.all(statuses)).toEqual([404, 404, 404, 400, 400]);
  });
});

describe('verifying a version', () => {
  it('finds it whole', async () => {
    const { name, version } = await seedVersion({ MLmodel: 'x', 'model.pkl': randomBytes(1000) });
    const { digest } = (await manifestOf(name, version)).body;
    expect(await verify(name, version)).toEqual({ status: 200, lines: [{ status: 'OK', digest, digest_matches: true, damaged: [] }] });
  });

  it('names the files that are changed or missing, and refuses them from then on', async () => {
    const [changed, gone] = [randomBytes(1000), randomBytes(1000)];
    const { name, version } = await seedVersion({ MLmodel: 'x', changed, gone });
    await fs.writeFile(await storedFile(sha256(changed)), randomBytes(1000));
    await fs.rm(await storedFile(sha256(gone)));
    expect((await verify(name, version)).lines.at(-1)).toMatchObject({
      status: 'DAMAGED',
      digest_matches: true,
      damaged: [
        { path: 'changed', state: 'changed' },
        { path: 'gone', state: 'missing' },
      ],
    });
    const reply = await server.get('/model-versions/get-artifact', { name, version, path: 'changed' });
    expect([reply.status, reply.body.error_code]).toEqual([410, 'DATA_LOSS']);
  });

  it('finds it whole again when the bytes are back', async () => {
    const bytes = randomBytes(1000);
    const { name, version } = await seedVersion({ 'model.pkl': bytes });
    const file = await storedFile(sha256(bytes));
    await fs.writeFile(file, 'other');
    expect((await verify(name, version)).lines.at(-1)).toMatchObject({ status: 'DAMAGED' });
    await fs.writeFile(file, bytes);
    expect((await verify(name, version)).lines.at(-1)).toMatchObject({ status: 'OK' });
    expect((await server.get('/model-versions/get-artifact', { name, version, path: 'model.pkl' })).status).toBe(200);
  });

  it('finds a manifest that somebody changed in the database', async () => {
    const { name, version } = await seedVersion({ MLmodel: 'x', extra: 'y' });
    await server.db.query(
      `delete from model_version_files where path = 'extra' and model_id = (select id from registered_models where name = $1)`,
      [name],
    );
    expect((await verify(name, version)).lines.at(-1)).toMatchObject({ status: 'DAMAGED', digest_matches: false, damaged: [] });
  });
});
