import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { freshName, seedModel } from '../helpers/seed.ts';
import { startTestServer } from '../helpers/server.ts';
import { ARTIFACT_BASES, type Attack, attack, BASES, refused } from './attack.ts';

// The rows of "Paths and files", A1 to A17.

const server = await startTestServer();
const outside = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-outside-'));
afterAll(() => fs.rm(outside, { recursive: true }));

const run = (await server.post('runs/create', { experiment_id: '0' }).expect(200)).body.run.info;
const root = run.artifact_uri.replace('mlflow-artifacts:/', '');
const put = (target: string, body: string | Buffer) => attack(server, { method: 'PUT', path: `${ARTIFACT_BASES[0]}/${target}`, body });
const files = async () => (await fs.readdir(server.artifactDir, { recursive: true })).toSorted();

const UP = ['../x', '..%2fx', '%2e%2e/x', '%252e%252e%252fx', '%25252e%25252e%25252fx', 'a/../../x', '%2e%2e%2f%2e%2e%2fx'];
const ABSOLUTE = ['/etc/passwd', '%2fetc%2fpasswd', 'file:///etc/passwd', 'file:%2f%2f%2fetc', 'C:%5cx', '%00/etc/passwd', 'x%23y'];
const ODD = ['..%5cx', '....//....//x', '%c0%ae%c0%ae/x', '..;/..;/x', 'a%00.png'];

/** Each on every base of the artifacts. */
const each = async (one: (base: string) => Attack, ...statuses: number[]) => {
  const messages: string[] = [];
  for (const base of ARTIFACT_BASES) messages.push(await refused(server, one(base), ...statuses));
  return messages;
};

it.each([
  ...UP.map((target) => ['A1', target, [400]] as const),
  ...ABSOLUTE.map((target) => ['A2', target, [400]] as const),
  ...ODD.map((target) => ['A3', target, [400, 404]] as const),
])('%s: reading %s is refused', async (_, target, statuses) => {
  await each((base) => ({ method: 'GET', path: `${base}/${target}` }), ...statuses);
});

it.each([...UP, ...ABSOLUTE])('A4: writing or deleting %s is a 400 and changes nothing', async (target) => {
  const before = await files();
  for (const method of ['PUT', 'DELETE']) await each((base) => ({ method, path: `${base}/${target}`, body: 'x' }), 400);
  expect(await files()).toEqual(before);
});

it('A5: a name of 300 characters and a path of 6000 are a 400 that names the limit', async () => {
  for (const message of await each((base) => ({ method: 'PUT', path: `${base}/${'x'.repeat(300)}`, body: 'x' }), 400))
    expect(message).toContain('255');
  for (const message of await each((base) => ({ method: 'PUT', path: `${base}/${'x/'.repeat(3000)}x`, body: 'x' }), 400))
    expect(message).toContain('1500');
});

it('A6: a NUL in a name is a 400', async () => {
  await each((base) => ({ method: 'PUT', path: `${base}/nul%00l.txt`, body: 'x' }), 400);
});
it('A7: a PUT to a folder is a 400', async () => {
  await each((base) => ({ method: 'PUT', path: `${base}/dir/`, body: 'x' }), 400);
});

it.each(['', '/', '/%2e', '/.'])('A8: a DELETE of everything, by "%s", is refused and deletes nothing', async (target) => {
  await put('a8/kept', 'x');
  await each((base) => ({ method: 'DELETE', path: `${base}${target}` }), 400, 404, 405);
  expect((await attack(server, { method: 'GET', path: `${ARTIFACT_BASES[0]}/a8/kept` })).text).toBe('x');
});

it.each(['..%2f', '%252e%252e', '/etc', '../..', '%2e%2e'])('A9: listing %s is a 400', async (folder) => {
  await each((base) => ({ method: 'GET', path: `${base}?path=${folder}` }), 400);
});

it('A10: a listing without a path shows what is in the workspace of the caller, and of no other', async () => {
  const name = freshName('team');
  await server.post('/api/3.0/mlflow/workspaces', { name }).expect(201);
  await put('a10/own', 'x');
  for (const path of ARTIFACT_BASES) {
    expect((await attack(server, { method: 'GET', path, headers: { 'X-MLFLOW-WORKSPACE': name } })).text).toBe('{}');
    expect((await attack(server, { method: 'GET', path })).text).toContain('"a10"');
  }
});

it.each(['../../etc/passwd', '..%252f..%252fetc', '%252e%252e%252fx', 'C:/x', '/etc/passwd', 'file:///etc/passwd'])(
  'A11: get-artifact of %s is a 400',
  async (target) => {
    await refused(server, { method: 'GET', path: `/get-artifact?path=${target}&run_uuid=${run.run_id}` }, 400);
    await refused(server, { method: 'GET', path: `/model-versions/get-artifact?path=${target}&name=x&version=1` }, 400);
  },
);

it('A12: get-artifact without a path is a 400, without a run a 404', async () => {
  await refused(server, { method: 'GET', path: `/get-artifact?run_uuid=${run.run_id}` }, 400);
  await refused(server, { method: 'GET', path: '/get-artifact?path=x' }, 404);
});

it('A13: get-artifact of a model without a version is a 400', async () => {
  for (const base of ['', '/ajax-api/2.0/mlflow']) {
    for (const version of ['', '&version=', '&version=x', '&version=1.0'])
      await refused(server, { method: 'GET', path: `${base}/model-versions/get-artifact?path=x&name=x${version}` }, 400);
  }
});

it.each(['../..', '%252e%252e', '/etc', '..%2f'])('A14: artifacts/list of %s is a 400', async (folder) => {
  for (const base of BASES)
    await refused(server, { method: 'GET', path: `${base}/artifacts/list?run_id=${run.run_id}&path=${folder}` }, 400);
});

it.each(['x.html', 'x.svg', 'x.xhtml', 'x.xml'])(
  'A15: %s with a script is an attachment that runs nowhere, by every door',
  async (file) => {
    await put(`${root}/${file}`, '<script>alert(1)</script>');
    const name = await seedModel(server);
    await server.post('model-versions/create', { name, source: run.artifact_uri, run_id: run.run_id }).expect(200);
    for (const door of [
      ...ARTIFACT_BASES.map((base) => `${base}/${root}/${file}`),
      `/get-artifact?path=${file}&run_uuid=${run.run_id}`,
      `/model-versions/get-artifact?path=${file}&name=${name}&version=1`,
      `/ajax-api/2.0/mlflow/model-versions/get-artifact?path=${file}&name=${name}&version=1`,
    ]) {
      const { status, headers } = await attack(server, { method: 'GET', path: door });
      expect([status, headers.get('x-content-type-options')], door).toEqual([200, 'nosniff']);
      expect(headers.get('content-disposition')).toMatch(/^attachment;/);
      expect(headers.get('content-security-policy')).toMatch(/\bsandbox\b(?!.*allow-scripts)/);
    }
  },
);

it('A16: a link planted among the files leads nowhere', async () => {
  await fs.writeFile(path.join(outside, 'secret'), 'a secret');
  await fs.symlink(outside, path.join(server.artifactDir, 'planted'));
  await fs.symlink(outside, path.join(server.artifactDir, 'blobs', 'planted'));
  for (const folder of ['planted', 'blobs/planted']) {
    for (const base of ARTIFACT_BASES) {
      await refused(server, { method: 'GET', path: `${base}/${folder}/secret` }, 404);
      expect((await attack(server, { method: 'GET', path: `${base}?path=${folder}` })).text).toBe('{}');
      await attack(server, { method: 'DELETE', path: `${base}/${folder}/secret` });
    }
  }
  expect(await fs.readFile(path.join(outside, 'secret'), 'utf8')).toBe('a secret');
});

it('A16: bytes that were replaced by a link to others are given to nobody', async () => {
  const own = randomBytes(50);
  const before = await files();
  await put('a16/file', own);
  const [blob = ''] = (await files()).filter((file) => !before.includes(file) && /^blobs\/..\/./.test(file));
  await fs.writeFile(path.join(outside, 'other'), randomBytes(50));
  await fs.rm(path.join(server.artifactDir, blob));
  await fs.symlink(path.join(outside, 'other'), path.join(server.artifactDir, blob));
  await refused(server, { method: 'GET', path: `${ARTIFACT_BASES[0]}/a16/file` }, 410);
});

it('A17: an archive is kept as it is, never unpacked', async () => {
  // A zip whose only member is `../evil`.
  const name = Buffer.from('../evil');
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50);
  local.writeUInt16LE(name.length, 26);
  const archive = Buffer.concat([local, name]);
  await put(`${root}/evil.zip`, archive);
  expect((await server.get('artifacts/list', { run_id: run.run_id })).body.files).toContainEqual({
    path: 'evil.zip',
    is_dir: false,
    file_size: archive.length,
  });
  expect((await files()).filter((file) => file.includes('evil'))).toEqual([]);
});
