import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { download } from '../src/commands/download.ts';
import { digestOf } from '../src/registry/model-versions/manifest.ts';
import { runCommand } from './helpers/command.ts';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const FILES = '/api/2.0/mlflow-artifacts/artifacts';
const server = await startTestServer();

const run = (url: string, ...flags: string[]) => runCommand(download, [...flags, '--tracking-uri', url]);

async function emptyFolder(): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-download-'));
  onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
  return folder;
}

async function seedVersion(files: Record<string, string>, headers: Record<string, string> = {}): Promise<string> {
  const post = async (at: string, body: object) => {
    const reply = await fetch(`${server.url}/api/2.0/mlflow/${at}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    expect(reply.status).toBe(200);
    // biome-ignore lint/suspicious/noExplicitAny: a reply.
    return (await reply.json()) as any;
  };
  const { experiment_id } = await post('experiments/create', { name: freshName() });
  const { run_id, artifact_uri } = (await post('runs/create', { experiment_id, start_time: 1 })).run.info;
  for (const [name, body] of Object.entries(files)) {
    const at = `${artifact_uri.replace('mlflow-artifacts:/', '')}/model/${name}`.split('/').map(encodeURIComponent).join('/');
    await fetch(`${server.url}${FILES}/${at}`, { method: 'PUT', body, headers });
  }
  const name = freshName();
  await post('registered-models/create', { name });
  await post('model-versions/create', { name, source: `runs:/${run_id}/model`, run_id });
  return name;
}

const filesIn = async (folder: string) =>
  (await fs.readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();

type Sent = { path: string; content: Buffer; sha256?: string };

/** A server that has one version, and does with the first requests for a file what `misbehave` does. */
async function startFake(
  sent: Sent[],
  misbehave: (req: http.IncomingMessage, res: http.ServerResponse, content: Buffer) => boolean = () => false,
) {
  const files = sent.map(({ path: at, content, sha256 }) => ({
    path: at,
    size: content.length,
    sha256: sha256 ?? createHash('sha256').update(content).digest('hex'),
  }));
  const asked: { path: string; range: string | undefined }[] = [];
  const fake = http.createServer((req, res) => {
    const url = decodeURIComponent(req.url ?? '');
    if (url.endsWith('/manifest'))
      return res.end(JSON.stringify({ name: 'm', version: '1', frozen: true, source: 's', digest: digestOf(files), size: 1, files }));
    if (url.includes('get-download-uri'))
      return res.end(JSON.stringify({ artifact_uri: 'mlflow-artifacts:/registered-models/1/versions/1' }));
    const file = sent.find(({ path: at }) => url === `${FILES}/registered-models/1/versions/1/${at}`);
    if (!file) return res.writeHead(404).end();
    asked.push({ path: file.path, range: req.headers.range });
    if (misbehave(req, res, file.content)) return;
    const start = Number(/bytes=(\d+)-/.exec(req.headers.range ?? '')?.[1] ?? 0);
    return res.writeHead(start > 0 ? 206 : 200).end(file.content.subarray(start));
  });
  await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    fake.closeAllConnections();
    fake.close();
  });
  return { url: `http://127.0.0.1:${(fake.address() as AddressInfo).port}`, asked };
}

describe('download', () => {
  it('brings the files of a version, by number, alias or latest, and checks the digest', async () => {
    const files = { MLmodel: 'flavors', 'data/model.bin': 'x'.repeat(100_000), 'ä %41.txt': 'odd name', empty: '' };
    const name = await seedVersion(files);
    await server.post('registered-models/alias', { name, alias: 'champion', version: '1' }).expect(200);
    for (const uri of [`models:/${name}/1`, `models:/${name}@champion`, `models:/${name}/latest`]) {
      const to = await emptyFolder();
      const { code, stdout, stderr } = await run(server.url, uri, '--to', to);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/: 4 files \(100 kB\)\.\nChecked against the digest [\da-f]{64}\.\n$/);
      expect(await filesIn(to)).toEqual(Object.keys(files).sort());
      for (const [file, content] of Object.entries(files)) expect(await fs.readFile(path.join(to, file), 'utf8')).toBe(content);
      await fs.writeFile(path.join(to, 'MLmodel'), 'changed');
      expect((await run(server.url, uri, '--to', to)).stdout).toContain('4 files (100 kB), 3 of them here already.');
      expect(await fs.readFile(path.join(to, 'MLmodel'), 'utf8')).toBe('flavors');
    }
  });

  it('asks for the workspace that is named', async () => {
    await server.post('/api/3.0/mlflow/workspaces', { name: 'team-a' }).expect(201);
    const name = await seedVersion({ f: 'for a' }, { 'X-MLFLOW-WORKSPACE': 'team-a' });
    const to = await emptyFolder();
    expect(await run(server.url, `models:/${name}/1`, '--to', to)).toMatchObject({ code: 1, stderr: expect.stringContaining('not found') });
    expect(await run(server.url, `models:/${name}/1`, '--to', to, '--workspace', 'team-a')).toMatchObject({ code: 0 });
    expect(await fs.readFile(path.join(to, 'f'), 'utf8')).toBe('for a');
  });

  it('goes on where a connection broke off, and where an earlier download did', async () => {
    const content = randomBytes(3_000_000);
    let asked = 0;
    const fake = await startFake([{ path: 'big.bin', content }], (_, res, all) => {
      asked += 1;
      if (asked > 2) return false;
      if (asked === 2) res.writeHead(404).end();
      else {
        res.writeHead(200, { 'Content-Length': all.length });
        res.write(all.subarray(0, 1_000_000), () => setTimeout(() => res.destroy(), 50));
      }
      return true;
    });
    const to = await emptyFolder();
    expect(await run(fake.url, 'models:/m/1', '--to', to)).toMatchObject({ code: 1, stderr: expect.stringContaining('answered 404') });
    expect(await fs.readdir(to)).toEqual(['.model-commons-parts']);
    expect(await run(fake.url, 'models:/m/1', '--to', to)).toMatchObject({ code: 0 });
    const starts = fake.asked.map(({ range }) => Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0));
    // How much of what was sent arrives before the connection breaks is the system's choice.
    expect(starts).toEqual([0, starts[1], starts[1]]);
    expect(starts[1]).toBeGreaterThan(0);
    expect((await fs.readFile(path.join(to, 'big.bin'))).equals(content)).toBe(true);
    expect(await filesIn(to)).toEqual(['big.bin']);
  });

  it('starts again when a server gives no ranges', async () => {
    const content = randomBytes(500_000);
    let asked = 0;
    const fake = await startFake([{ path: 'big.bin', content }], (_, res, all) => {
      const isFirst = asked++ === 0;
      res.writeHead(200, { 'Content-Length': all.length });
      if (isFirst) res.write(all.subarray(0, 100_000), () => setTimeout(() => res.destroy(), 50));
      else res.end(all);
      return true;
    });
    const to = await emptyFolder();
    expect(await run(fake.url, 'models:/m/1', '--to', to)).toMatchObject({ code: 0 });
    expect((await fs.readFile(path.join(to, 'big.bin'))).equals(content)).toBe(true);
  });

  it('gives no file its name that is not what the version holds', async () => {
    const fake = await startFake([{ path: 'model.bin', content: Buffer.from('other bytes'), sha256: 'a'.repeat(64) }]);
    const to = await emptyFolder();
    const { code, stderr } = await run(fake.url, 'models:/m/1', '--to', to);
    expect([code, stderr]).toEqual([1, expect.stringContaining('model.bin is not what the version holds')]);
    expect(await filesIn(to)).toEqual([]);
  });

  it.each(['../escape', '/etc/cron.d/x', 'a/../../b', 'a\\..\\b', 'C:/x', 'a//b', 'a\u0000b', '.'])(
    'refuses the path %j of a server',
    async (at) => {
      const fake = await startFake([{ path: at, content: Buffer.from('x') }]);
      const to = path.join(await emptyFolder(), 'in');
      const { code, stderr } = await run(fake.url, 'models:/m/1', '--to', to);
      expect([code, stderr]).toEqual([1, expect.stringContaining('not a safe path')]);
      expect(await filesIn(path.dirname(to))).toEqual([]);
    },
  );

  it('lists folders where the server has no manifest, as a stock one', async () => {
    const name = await seedVersion({ MLmodel: 'flavors', 'data/model.bin': 'bytes', empty: '' });
    const stock = http.createServer(async (req, res) => {
      if (req.url?.startsWith('/api/1.0/')) return void res.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>Not Found</h1>');
      const reply = await fetch(server.url + req.url);
      res.writeHead(reply.status).end(Buffer.from(await reply.arrayBuffer()));
    });
    await new Promise<void>((resolve) => stock.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void stock.close());
    const to = await emptyFolder();
    const { code, stdout } = await run(`http://127.0.0.1:${(stock.address() as AddressInfo).port}/`, `models:/${name}/1`, '--to', to);
    expect([code, stdout]).toEqual([0, expect.stringContaining('only sizes were compared')]);
    expect(await filesIn(to)).toEqual(['MLmodel', 'data/model.bin', 'empty']);
  });

  it('says where the files are when they are not with the server', async () => {
    const name = await seedModel(server, 1);
    const { code, stderr } = await run(server.url, `models:/${name}/1`, '--to', await emptyFolder());
    expect([code, stderr]).toEqual([
      1,
      `The files are at s3://bucket/${name}/1, not with the server: get them there (mlflow artifacts download -u s3://bucket/${name}/1).`,
    ]);
  });

  it.each([
    [[], 'Name one version'],
    [['models:/a/1', 'models:/b/1'], 'Name one version'],
    [['runs:/a/b'], 'must be models:/name/version'],
    [['models:/m-0123'], 'must be models:/name/version'],
    [['models:/a/1', '--port', '3'], '--port: not a known option'],
    [['models:/a/1', '--tracking-uri', 'file:///x'], 'must be the http:// or https:// address'],
  ])('refuses %j', async (flags, sentence) => {
    expect(await runCommand(download, flags)).toMatchObject({ code: 2, stderr: expect.stringContaining(sentence) });
  });
});
