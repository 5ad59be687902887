import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { importCommand } from '../src/commands/import-artifacts.ts';
import { runCommand } from './helpers/command.ts';
import { INSTALL_MS, startMoto } from './helpers/emulators.ts';
import { runCli } from './helpers/process.ts';
import { startTestServer } from './helpers/server.ts';

const FILES = '/api/2.0/mlflow-artifacts/artifacts';
const server = await startTestServer();
const settings = ['--database-url', String(server.db.options.connectionString), '--artifacts-url', pathToFileURL(server.artifactDir).href];

const start = (...flags: string[]) => runCli(['import-artifacts', ...settings, ...flags]);

const run = (...flags: string[]) => runCommand(importCommand, [...settings, ...flags]);

/** An artifact root of a stock server, beside the store so that it is on the same file system. */
async function oldRoot(files: Record<string, string | Buffer>): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-old-'));
  onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await fs.mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await fs.writeFile(path.join(folder, name), content);
  }
  return folder;
}

async function get(at: string, headers: Record<string, string> = {}) {
  const reply = await fetch(`${server.url}${FILES}/${at}`, { headers });
  return reply.ok ? await reply.text() : reply.status;
}

describe('import-artifacts', () => {
  it('links the files of an old root into the store, at their paths, and passes over what is here when it runs again', async () => {
    const root = await oldRoot({
      '7/abc/artifacts/model/MLmodel': 'linked',
      '7/abc/artifacts/ü %41.txt': 'a name',
      '7/abc/artifacts/empty': '',
    });
    expect(await run(root)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(': 3 linked, 0 copied, 0 here already, 0 not imported.'),
    });
    expect(await get('7/abc/artifacts/model/MLmodel')).toBe('linked');
    expect(await get(`7/abc/artifacts/${encodeURIComponent('ü %41.txt')}`)).toBe('a name');
    expect((await fs.stat(path.join(root, '7/abc/artifacts/model/MLmodel'))).nlink).toBe(2);
    expect(await run(pathToFileURL(root).href, '--check')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('0 linked, 0 copied, 3 here already'),
    });
    await fs.rm(root, { recursive: true });
    expect(await get('7/abc/artifacts/model/MLmodel')).toBe('linked');
  });

  it('copies when it is told to, to a folder that is named', async () => {
    const root = await oldRoot({ 'a/b': 'copied' });
    expect(await run(root, '--copy', '--to', 'mlflow-artifacts:/old/root')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 copied'),
    });
    expect((await fs.stat(path.join(root, 'a/b'))).nlink).toBe(1);
    expect(await get('old/root/a/b')).toBe('copied');
  });

  it('replaces nothing, and reports what it cannot take', async () => {
    const root = await oldRoot({
      'own/same-size': 'theirs',
      'own/other-size': 'theirs, longer',
      'own/ok': 'fine',
      'registered-models/1/versions/1/x': 'reserved',
      'own/bad\nname': 'x',
      'own/file/below': 'x',
    });
    for (const at of ['own/same-size', 'own/other-size', 'own/file'])
      await fetch(`${server.url}${FILES}/${at}`, { method: 'PUT', body: 'ours..' });
    await fs.symlink('/etc/hostname', path.join(root, 'own/link'));
    await promisify(execFile)('mkfifo', [path.join(root, 'own/pipe')]);

    const { code, stdout } = await run(root, '--check');
    expect(code).toBe(1);
    expect(stdout).toContain('not imported: own/link: it is a symbolic link\n');
    expect(stdout).toContain('not imported: own/pipe: it is no plain file\n');
    expect(stdout).toContain('not imported: own/same-size: another file is there already\n');
    expect(stdout).toContain('not imported: own/other-size: another file is there already\n');
    expect(stdout).toContain('not imported: registered-models/1/versions/1/x: only registered versions have files in that folder\n');
    expect(stdout).toContain('not imported: own/file/below: it is a folder there, or a part of its path is a file\n');
    expect(stdout).toContain('1 linked, 0 copied, 0 here already, 7 not imported.');
    const bySize = await run(root);
    expect(bySize.stdout).toContain('not imported: own/other-size: another file is there already\n');
    expect(bySize.stdout).toContain('0 linked, 0 copied, 2 here already, 6 not imported.');
    expect([await get('own/same-size'), await get('own/other-size'), await get('own/ok')]).toEqual(['ours..', 'ours..', 'fine']);
  });

  it('brings files to the workspace that is named, or that the path names', async () => {
    for (const name of ['team-a', 'team-b']) await server.post('/api/3.0/mlflow/workspaces', { name }).expect(201);
    const inWorkspace = (name: string) => ({ 'X-MLFLOW-WORKSPACE': name });
    const root = await oldRoot({ '1/r/artifacts/f': 'for a', 'workspaces/team-b/1/r/artifacts/f': 'for b' });
    expect(await run(root, '--workspace', 'team-a')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("it belongs to the workspace 'team-b'"),
    });
    expect(await get('1/r/artifacts/f', inWorkspace('team-a'))).toBe('for a');
    expect(await get('1/r/artifacts/f')).toBe(404);
    expect(await run(root)).toMatchObject({ code: 0 });
    expect(await get('1/r/artifacts/f', inWorkspace('team-b'))).toBe('for b');
    expect(await run(root, '--workspace', 'nobody')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Workspace 'nobody' not found"),
    });
  });

  it('goes on where a killed import was', async () => {
    const root = await oldRoot(Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`killed/${i}`, randomBytes(200_000)])));
    const killed = start(root, '--copy');
    const rows = async () => (await server.db.query("select from artifacts where path like 'killed/%'")).rows.length;
    for (let waited = 0; waited < 40_000 && (await rows()) === 0; waited += 10) await sleep(10);
    killed.killGroup('SIGKILL');
    await killed.exited;
    const before = await rows();
    expect(before).toBeGreaterThan(0);
    const { code, stdout } = await run(root);
    expect(code).toBe(0);
    const [, linked, , present] = /: (\d+) linked, (\d+) copied, (\d+) here already/.exec(stdout)?.map(Number) ?? [];
    expect(present).toBeGreaterThanOrEqual(before);
    expect(Number(linked) + Number(present)).toBe(400);
    expect(await rows()).toBe(400);
  }, 60_000);

  it(
    'copies what lies in a bucket',
    async () => {
      const moto = await startMoto();
      onTestFinished(moto.stop);
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'testing');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'testing');
      vi.stubEnv('AWS_REGION', 'us-east-1');
      onTestFinished(() => void vi.unstubAllEnvs());
      const client = new S3Client({ endpoint: moto.url, forcePathStyle: true });
      await client.send(new CreateBucketCommand({ Bucket: 'old' }));
      const objects = { 'root/3/r/artifacts/f': 'from a bucket', 'root/3/r/artifacts/': '', 'rootless/x': 'beside it' };
      for (const [Key, Body] of Object.entries(objects)) await client.send(new PutObjectCommand({ Bucket: 'old', Key, Body }));
      const flags = ['--s3-endpoint', moto.url];
      expect(await run('s3://old/root', ...flags)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('0 linked, 1 copied, 0 here'),
      });
      expect(await get('3/r/artifacts/f')).toBe('from a bucket');
      expect(await run('s3://old/root', ...flags)).toMatchObject({ code: 0, stdout: expect.stringContaining('0 copied, 1 here already') });
      expect(await run('s3://nothing/root', ...flags)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('s3://nothing/root cannot be read'),
      });
    },
    INSTALL_MS,
  );

  it('stops cleanly on Ctrl-C', async () => {
    const root = await oldRoot(Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`stopped/${i}`, randomBytes(200_000)])));
    const uploads = () => fs.readdir(path.join(server.artifactDir, 'uploads'));
    const before = await uploads();
    const cli = start(root, '--copy');
    for (let waited = 0; waited < 40_000 && !cli.stderr().includes('Found'); waited += 10) await sleep(10);
    cli.killGroup('SIGINT');
    cli.killGroup('SIGINT');
    expect(await cli.exited).toBe(1);
    expect(cli.stderr()).toMatch(/Stopped before the end\. Run it again to go on\.\n$/);
    expect(await uploads()).toEqual(before);
  }, 60_000);

  it.each([
    [['http://x/y'], 'only a folder, file:///folder or s3://bucket/prefix can be imported'],
    [['/no/such/folder'], '/no/such/folder: there is no such folder.'],
    [[server.artifactDir], 'this server keeps its own artifacts there'],
    [[path.dirname(server.artifactDir)], 'this server keeps its own artifacts there'],
    [['/tmp', '--copy', '--in-place'], '--in-place and --copy cannot go together.'],
    [['s3://bucket/x', '--in-place'], '--in-place: files in S3 can only be copied.'],
    [['/tmp', '--to', '../x'], '--to: Invalid path'],
  ])('refuses %j', async (flags, sentence) => {
    expect(await run(...flags)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(sentence) });
  });
});
