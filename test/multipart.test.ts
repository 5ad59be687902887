import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const MPU = '/api/2.0/mlflow-artifacts/mpu';
const NO_RUN = '0'.repeat(32);

const post = (path: string, body: object) => request(server.url).post(path).send(body);
const seedRunId = async (experimentId = '0'): Promise<string> =>
  (await server.post('runs/create', { experiment_id: experimentId }).expect(200)).body.run.info.run_id;

describe('uploads in parts', () => {
  type Credential = { url: string; part_number: number; headers: Record<string, string> };
  type Begun = { upload_id: string; credentials: Credential[] };
  const begin = async (folder: string, path: string, num_parts: number): Promise<Begun> => {
    const reply = await post(`${MPU}/create/${folder}`, { path, num_parts }).expect(200);
    return reply.body;
  };
  const send = async ({ url, part_number, headers }: Credential, body: Uint8Array | string) => {
    const reply = await fetch(url, { method: 'PUT', body: body as string, headers });
    return { part_number, status: reply.status, etag: reply.headers.get('etag') ?? '', url };
  };
  const complete = (folder: string, path: string, upload_id: string, parts: object[]) =>
    post(`${MPU}/complete/${folder}`, { path, upload_id, parts });
  const download = (path: string) => fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}`);
  const storedIn = async (folder: string) => {
    const entries = await fs.readdir(path.join(server.artifactDir, folder), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).length;
  };

  it('puts parts together that came in any order, with the SHA-256 of the whole, and leaves nothing else behind', async () => {
    const bytes = randomBytes(2_500_000);
    const { upload_id, credentials } = await begin('0/run/artifacts', '/home/me/model.pkl', 3);
    const slices = [bytes.subarray(0, 1_000_000), bytes.subarray(1_000_000, 2_000_000), bytes.subarray(2_000_000)];
    const parts = await Promise.all([2, 0, 1].map((i) => send(credentials[i] as Credential, slices[i] as Buffer)));
    expect((await download('0/run/artifacts/model.pkl')).status).toBe(404);
    const reply = await complete('0/run/artifacts', '/home/me/model.pkl', upload_id, parts);
    expect([reply.status, reply.body]).toEqual([200, {}]);
    const whole = await download('0/run/artifacts/model.pkl');
    expect(whole.headers.get('etag')).toBe(`"${createHash('sha256').update(bytes).digest('hex')}"`);
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    expect(await storedIn('parts')).toBe(0);
  });

  it('takes a file of one part, and one from Windows', async () => {
    const { upload_id, credentials } = await begin('one', 'C:\\models\\tiny.bin', 1);
    await complete('one', 'C:\\models\\tiny.bin', upload_id, [await send(credentials[0] as Credential, 'tiny')]).expect(200);
    expect(await (await download('one/tiny.bin')).text()).toBe('tiny');
  });

  it('keeps the last bytes that were sent for a part', async () => {
    const { upload_id, credentials } = await begin('again', 'a', 2);
    const [first, last] = credentials as [Credential, Credential];
    await send(first, 'wrong');
    await send(last, 'longer than before');
    const parts = [await send(first, 'right'), await send(last, 'end')];
    await complete('again', 'a', upload_id, parts).expect(200);
    expect(await (await download('again/a')).text()).toBe('rightend');
  });

  it('answers an upload that is complete as complete, also to many at once', async () => {
    const { upload_id, credentials } = await begin('twice', 'a', 1);
    const parts = [await send(credentials[0] as Credential, 'once')];
    const replies = await Promise.all([1, 2, 3].map(() => complete('twice', 'a', upload_id, parts)));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await complete('twice', 'a', upload_id, parts)).status).toBe(200);
    expect((await send(credentials[0] as Credential, 'late')).status).toBe(404);
  });

  it('keeps equal bytes once', async () => {
    await request(server.url).put('/api/2.0/mlflow-artifacts/artifacts/equal/whole').send(Buffer.from('equal bytes'));
    const before = await storedIn('blobs');
    const { upload_id, credentials } = await begin('equal', 'parts', 2);
    const [first, last] = credentials as [Credential, Credential];
    await complete('equal', 'parts', upload_id, [await send(first, 'equal '), await send(last, 'bytes')]).expect(200);
    expect(await storedIn('blobs')).toBe(before);
    expect(await (await download('equal/parts')).text()).toBe('equal bytes');
  });

  it('refuses to complete what is missing, unequal or named wrongly, and can be mended', async () => {
    const { upload_id, credentials } = await begin('mend', 'a', 3);
    const [one, two, three] = credentials as [Credential, Credential, Credential];
    const first = await send(one, '12');
    const third = await send(three, '5');
    const missing = await complete('mend', 'a', upload_id, [first, third]);
    expect([missing.status, missing.body.message]).toEqual([400, expect.stringContaining('Part 2 of 3 was not uploaded')]);
    expect((await send(two, '345')).status).toBe(400);
    const second = await send(two, '34');
    const misnamed = await complete('mend', 'a', upload_id, [first, { ...second, etag: 'x' }, third]);
    expect([misnamed.status, misnamed.body.message]).toEqual([400, expect.stringContaining('does not name part 2')]);
    expect((await download('mend/a')).status).toBe(404);
    await complete('mend', 'a', upload_id, [third, second, first]).expect(200);
    expect(await (await download('mend/a')).text()).toBe('12345');
  });

  it('does not count a part whose connection was cut', async () => {
    const { upload_id, credentials } = await begin('cut', 'a', 1);
    const { host, pathname, search, port } = new URL((credentials[0] as Credential).url);
    const socket = net.connect(Number(port), '127.0.0.1');
    socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\n0123456789`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    socket.destroy();
    const reply = await complete('cut', 'a', upload_id, [{ part_number: 1, etag: '"1-1000"' }]);
    expect(reply.body.message).toContain('Part 1 of 1 was not uploaded');
  });

  it('forgets what is given up', async () => {
    const before = await storedIn('parts');
    const { upload_id, credentials } = await begin('gone', 'a', 1);
    await send(credentials[0] as Credential, 'x');
    for (const _ of [1, 2]) expect((await post(`${MPU}/abort/gone`, { path: 'a', upload_id })).body).toEqual({});
    expect(await storedIn('parts')).toBe(before);
    expect((await complete('gone', 'a', upload_id, [])).status).toBe(404);
    expect((await send(credentials[0] as Credential, 'x')).status).toBe(404);
  });

  it('does not keep a workspace from being removed', async () => {
    await server.post('/api/3.0/mlflow/workspaces', { name: 'short-lived' }).expect(201);
    await post(`${MPU}/create/a`, { path: 'b', num_parts: 1 }).set('X-MLFLOW-WORKSPACE', 'short-lived').expect(200);
    await server.delete('/api/3.0/mlflow/workspaces/short-lived').expect(204);
  });

  it('refuses a part with a changed address, number or signature, and one without its length', async () => {
    const { credentials } = await begin('signed', 'a', 2);
    const { url } = credentials[0] as Credential;
    const statusOf = async (address: string) => (await fetch(address, { method: 'PUT', body: 'x' })).status;
    expect(await statusOf(url.replace(/\/1\?/, '/2?'))).toBe(403);
    expect(await statusOf(url.replace(/expires=\d+/, 'expires=9999999999999'))).toBe(403);
    expect(await statusOf(url.replace(/signature=.*/, 'signature=x'))).toBe(403);
    expect(await statusOf(url.replace(/\?.*/, ''))).toBe(400);
    const chunked = await fetch(url, { method: 'PUT', body: new Blob(['x']).stream(), duplex: 'half' } as RequestInit);
    expect(chunked.status).toBe(411);
  });

  it.each([
    [{ path: 'a', num_parts: 0 }, 400],
    [{ path: 'a' }, 400],
    [{ path: 'a', num_parts: 10_001 }, 400],
    [{ path: 'folder/', num_parts: 1 }, 400],
    [{ path: '..', num_parts: 1 }, 400],
    [{ num_parts: 1 }, 400],
  ])('create of %j is refused with %i', async (body, status) => {
    expect((await post(`${MPU}/create/refused`, body)).status).toBe(status);
  });

  it('refuses paths that lead elsewhere, below registered versions, in another workspace, and what is missing', async () => {
    expect((await post(`${MPU}/create/..%2fx`, { path: 'a', num_parts: 1 })).body.message).toBe('Invalid path');
    expect((await post(`${MPU}/create/registered-models/1/versions/1`, { path: 'a', num_parts: 1 })).status).toBe(403);
    expect((await post(`${MPU}/complete/a`, { path: 'a' })).body.message).toContain("required parameter 'parts'");
    await server.post('/api/3.0/mlflow/workspaces', { name: 'other-team' }).expect(201);
    const elsewhere = await post(`${MPU}/create/workspaces/other-team/a`, { path: 'a', num_parts: 1 });
    expect([elsewhere.status, elsewhere.body.message]).toEqual([400, expect.stringContaining("targets workspace 'other-team'")]);
    const { upload_id, credentials } = await begin('mine', 'a', 1);
    const parts = [await send(credentials[0] as Credential, 'x')];
    const stranger = await complete('mine', 'a', upload_id, parts).set('X-MLFLOW-WORKSPACE', 'other-team');
    expect(stranger.status).toBe(404);
  });
});

describe('downloads in parts', () => {
  const presign = (path: string) => request(server.url).get(`/ajax-api/2.0/mlflow-artifacts/presigned/${path}`);

  it('gives an address that serves ranges without a login, and the size', async () => {
    await request(server.url).put('/api/2.0/mlflow-artifacts/artifacts/down/Größe 1.bin').send(Buffer.from('0123456789'));
    const { body } = await presign('down/Größe 1.bin').expect(200);
    expect(body).toEqual({ url: expect.stringContaining(server.url), headers: {}, file_size: 10 });
    const part = await fetch(body.url, { headers: { Range: 'bytes=2-4' } });
    expect([part.status, await part.text()]).toEqual([206, '234']);
    expect(part.headers.get('content-disposition')).toContain('Gr%C3%B6%C3%9Fe%201.bin');
    expect((await fetch(body.url.replace('?', 'x?'))).status).toBe(403);
    expect((await fetch(body.url.replace(/[\da-f]{64}/, '0'.repeat(64)))).status).toBe(404);
  });

  it('gives an empty file its size too', async () => {
    await request(server.url).put('/api/2.0/mlflow-artifacts/artifacts/down/empty').send(Buffer.alloc(0));
    expect((await presign('down/empty')).body.file_size).toBe(0);
  });

  it('is refused for folders, missing files and paths that lead elsewhere', async () => {
    const statuses = await Promise.all(['down', 'down/nothing', '%252e%252e/x'].map(async (path) => (await presign(path)).status));
    expect(statuses).toEqual([400, 404, 400]);
  });
});

describe('the address of the server in what it hands out', () => {
  const address = (headers: Record<string, string>) =>
    request(server.url).post(`${MPU}/create/proxy`).set(headers).send({ path: 'a', num_parts: 1 });
  const advertised = async (headers: Record<string, string>) =>
    (await server.get('/api/3.0/mlflow/server-info').set(headers)).body.multipart_downloads_enabled;

  it('is what the proxy says', async () => {
    const { body } = await address({ 'X-Forwarded-Host': 'models.example.com', 'X-Forwarded-Proto': 'https' });
    expect(body.credentials[0].url).toMatch(/^https:\/\/models\.example\.com\/api\/2\.0\//);
  });

  it('is not advertised to clients behind a proxy that does not say it', async () => {
    expect(await advertised({})).toBe(true);
    expect(await advertised({ 'X-Forwarded-For': '10.0.0.1' })).toBe(false);
    expect(await advertised({ 'X-Forwarded-For': '10.0.0.1', 'X-Forwarded-Host': 'models.example.com' })).toBe(true);
  });
});

describe('presigned addresses of a run or logged model', () => {
  it('are not given for artifacts that this server keeps itself', async () => {
    const run = await seedRunId();
    const model = (await server.post('logged-models', { experiment_id: '0' })).body.model.info.model_id;
    for (const owner of [{ run_id: run }, { model_id: model }]) {
      const reply = await server.post('artifacts/presigned-upload-url', { ...owner, path: 'a' });
      expect([reply.status, reply.body.message]).toEqual([
        400,
        'Presigned upload is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts). ' +
          'This endpoint requires a direct cloud storage artifact URI.',
      ]);
    }
    const reply = await server.post('artifacts/presigned-download-url', { run_id: run, path: 'a' });
    expect(reply.body.message).toContain('Presigned download is not supported for runs with proxied artifact storage');
  });

  it('are unsupported for artifacts that are elsewhere', async () => {
    const made = await server.post('experiments/create', { name: 'elsewhere', artifact_location: 's3://bucket/root' }).expect(200);
    const reply = await server.post('artifacts/presigned-download-url', { run_id: await seedRunId(made.body.experiment_id), path: 'a' });
    expect([reply.status, reply.body.message]).toEqual([501, 'Presigned download is not supported for the current artifact repository']);
  });

  it.each([
    ['upload', { path: 'a' }, 400],
    ['upload', { run_id: NO_RUN, model_id: 'm', path: 'a' }, 400],
    ['upload', { run_id: NO_RUN, path: '../a' }, 400],
    ['upload', { run_id: NO_RUN, path: 'a' }, 404],
    ['download', { run_id: NO_RUN, path: 'a' }, 404],
    ['download', { run_id: NO_RUN, path: 'a', expiration: 604_801 }, 400],
  ])('%s of %j is refused with %i', async (kind, body, status) => {
    expect((await server.post(`artifacts/presigned-${kind}-url`, body)).status).toBe(status);
  });
});
