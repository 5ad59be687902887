import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';

const put = (target: string, bytes: string | Buffer) => request(server.url).put(`${ARTIFACTS}/${target}`).send(Buffer.from(bytes));
const get = (target: string) => request(server.url).get(`${ARTIFACTS}/${target}`).buffer(true);
const textOf = async (target: string) => (await fetch(`${server.url}${ARTIFACTS}/${target}`)).text();
const list = (folder: string) => server.get(ARTIFACTS, folder ? { path: folder } : {});

async function storedFiles(): Promise<string[]> {
  const entries = await fs.readdir(server.artifactDir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

describe('uploading', () => {
  it('stores the body as it is, whatever its content type, and answers with nothing', async () => {
    const headers = { 'Content-Type': 'application/json' };
    const reply = await fetch(`${server.url}${ARTIFACTS}/up/a.json`, { method: 'PUT', body: '{"not": parsed', headers });
    expect([reply.status, await reply.text()]).toEqual([200, '']);
    expect(await textOf('up/a.json')).toBe('{"not": parsed');
  });

  it('replaces a file', async () => {
    await put('up/b.txt', 'one');
    await put('up/b.txt', 'two');
    expect(await textOf('up/b.txt')).toBe('two');
  });

  it('keeps equal bytes once', async () => {
    await put('once/a', 'the same bytes');
    const before = await storedFiles();
    await put('once/b', 'the same bytes');
    expect(await storedFiles()).toEqual(before);
    expect(await textOf('once/b')).toBe('the same bytes');
  });

  it('refuses a path that runs through a file, or that is a folder', async () => {
    await put('clash/file', 'x');
    for (const target of ['clash/file/below', 'clash']) {
      const reply = await put(target, 'y');
      expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    }
  });

  it('leaves nothing of a body that breaks off', async () => {
    const before = await storedFiles();
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write(`PUT ${ARTIFACTS}/broken/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n0123456789`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    socket.destroy();
    await expect.poll(async () => (await storedFiles()).length).toBe(before.length);
    expect((await get('broken/half')).status).toBe(404);
  });

  it('shows one whole body when many write to one path at once', async () => {
    const bodies = Array.from({ length: 12 }, (_, i) => String(i).repeat(100_000));
    const replies = await Promise.all(bodies.map((body) => put('race/file', body)));
    expect(replies.map(({ status }) => status)).toEqual(bodies.map(() => 200));
    expect(bodies).toContain(await textOf('race/file'));
  });
});

describe('downloading', () => {
  it('answers ranges, and 416 beyond the end', async () => {
    await put('range/digits', '0123456789');
    const ranges = { 'bytes=2-4': [206, '234'], 'bytes=7-': [206, '789'], 'bytes=-3': [206, '789'], 'bytes=8-100': [206, '89'] };
    for (const [header, expected] of Object.entries(ranges)) {
      const reply = await get('range/digits').set('Range', header).responseType('blob');
      expect([reply.status, reply.body.toString()]).toEqual(expected);
    }
    const beyond = await get('range/digits').set('Range', 'bytes=10-');
    expect([beyond.status, beyond.headers['content-range']]).toEqual([416, 'bytes */10']);
    for (const header of ['lines=1-2', 'bytes=4-2']) expect((await get('range/digits').set('Range', header)).status).toBe(400);
  });

  it('names the bytes by their SHA-256 and answers 304 to who has them', async () => {
    await put('etag/file', 'known');
    const etag = `"${createHash('sha256').update('known').digest('hex')}"`;
    expect((await get('etag/file')).headers.etag).toBe(etag);
    expect((await get('etag/file').set('If-None-Match', etag)).status).toBe(304);
  });

  it('sends every file as an attachment that cannot run scripts', async () => {
    await put('attach/Größe 1.html', '<script>');
    const { headers } = await get(`attach/${encodeURIComponent('Größe 1.html')}`);
    expect(headers['content-disposition']).toBe(`attachment; filename="Groe 1.html"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.html`);
    expect(headers['content-security-policy']).toContain('sandbox');
    expect(headers['content-type']).toBe('text/html');
  });

  it.each([
    ['MLmodel', 'text/plain'],
    ['a.json', 'text/plain'],
    ['a.html', 'text/html'],
    ['html', 'application/octet-stream'],
    ['a.tar.gz', 'application/x-tar'],
    ['a.tgz', 'application/x-tar'],
    ['a.gz', 'application/octet-stream'],
    ['a.h5', 'application/x-hdf5'],
    ['.gitignore', 'application/octet-stream'],
  ])('takes the type of %s from its name: %s', async (name, type) => {
    await put(`types/${name}`, 'x');
    expect((await get(`types/${name}`)).headers['content-type']).toBe(type);
  });

  it.each([
    ["it's", "filename=it's"],
    ['a b', 'filename="a b"'],
    ['say "hi"', 'filename="say \\"hi\\""'],
    ['\u6f22', "filename=download; filename*=UTF-8''%E6%BC%A2"],
  ])('names the attachment %s so that it can be read', async (name, expected) => {
    await put(`names/${encodeURIComponent(name)}`, 'x');
    expect((await get(`names/${encodeURIComponent(name)}`)).headers['content-disposition']).toBe(`attachment; ${expected}`);
  });

  it('tells a missing file from a folder', async () => {
    await put('missing/here', 'x');
    expect((await get('missing/not-here')).body).toMatchObject({
      error_code: 'RESOURCE_DOES_NOT_EXIST',
      message: "No such artifact: 'missing/not-here'",
    });
    expect((await get('missing')).status).toBe(400);
  });

  it('answers HEAD with the length and no body', async () => {
    await put('head/file', '12345');
    const reply = await request(server.url).head(`${ARTIFACTS}/head/file`);
    expect([reply.status, reply.headers['content-length']]).toEqual([200, '5']);
  });
});

describe('listing and deleting', () => {
  it('lists bare names in order, folders and empty files without a size', async () => {
    for (const [target, text] of Object.entries({
      'tree/b.txt': 'bb',
      'tree/a/x': '1',
      'tree/a/y/z': '2',
      'tree/a.txt': 'a',
      'tree/empty': '',
    }))
      await put(target, text);
    expect((await list('tree')).body.files).toEqual([
      { path: 'a', is_dir: true },
      { path: 'a.txt', is_dir: false, file_size: 1 },
      { path: 'b.txt', is_dir: false, file_size: 2 },
      { path: 'empty', is_dir: false },
    ]);
    expect((await list('')).body.files).toContainEqual({ path: 'tree', is_dir: true });
  });

  it('answers {} for a folder that is not there', async () => {
    expect((await list('nowhere')).body).toEqual({});
  });

  it('deletes a folder with all in it, and only that', async () => {
    for (const target of ['gone/a', 'gone/b/c', 'gone2/a']) await put(target, 'x');
    expect((await request(server.url).delete(`${ARTIFACTS}/gone`)).body).toEqual({});
    expect((await list('gone')).body).toEqual({});
    expect((await get('gone2/a')).status).toBe(200);
    expect((await request(server.url).delete(`${ARTIFACTS}/never-there`)).status).toBe(200);
  });
});

describe('paths that could lead elsewhere', () => {
  const bad = [
    '..%2fx',
    '%2e%2e/x',
    '%252e%252e%252fx',
    '%25252e%25252e/x',
    'a/..%2f..%2fx',
    '%2fetc%2fpasswd',
    'file:%2f%2f%2fetc%2fpasswd',
    'C:%5cx',
    '%00/etc/passwd',
    'x%23y',
    'nul%00l.txt',
    'a%2f%2fb',
    '.%2fx',
    'a/..;',
    'x'.repeat(300),
    `${'x/'.repeat(3000)}x`,
    '%zz',
  ];

  it.each(bad)('%s is a 400 in MLflow’s shape for reading and writing, and nothing is written', async (target) => {
    const before = await storedFiles();
    for (const reply of [await get(target), await put(target, 'x'), await request(server.url).delete(`${ARTIFACTS}/${target}`)]) {
      expect(reply.status).toBe(400);
      expect(reply.body.message).toBeTypeOf('string');
    }
    expect(await storedFiles()).toEqual(before);
  });

  it.each(['../x', '/etc', '%2e%2e'])('listing %s is a 400', async (folder) => {
    expect((await list(folder)).status).toBe(400);
  });

  it('keeps a name that only looks encoded', async () => {
    await put('odd/100%2525.txt', 'x');
    expect((await list('odd')).body.files).toEqual([{ path: '100%25.txt', is_dir: false, file_size: 1 }]);
  });

  it('refuses to write below the registered versions', async () => {
    const reply = await put('registered-models/1/versions/1/model.pkl', 'x');
    expect([reply.status, reply.body.error_code]).toEqual([403, 'PERMISSION_DENIED']);
  });
});

it('answers 405 with the methods there are for a path with parameters', async () => {
  const reply = await request(server.url).post(`${ARTIFACTS}/some/file`);
  expect([reply.status, reply.headers.allow, reply.body.error_code]).toEqual([405, 'PUT, GET, DELETE, HEAD, OPTIONS', 'BAD_REQUEST']);
});
