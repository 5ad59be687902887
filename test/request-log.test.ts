import { pino } from 'pino';
import { expect, it, vi } from 'vitest';
import { startServerWithLogin } from './helpers/login.ts';

type Line = Record<string, unknown>;
const lines: Line[] = [];
const log = pino({ level: 'debug' }, { write: (line) => lines.push(JSON.parse(line)) });

const lineOf = (requestId: string): Promise<Line> =>
  vi.waitFor(() => {
    const line = lines.find((one) => one.requestId === requestId && one.msg === 'request');
    if (!line) throw new Error('not logged yet');
    return line;
  });

const server = await startServerWithLogin({}, undefined, { log });

it('has a line for each request: what was asked, by whom, how it ended and how long it took', async () => {
  await server.admin.post('registered-models/create', { name: 'm' }).set('X-Request-Id', 'made');
  const path = '/api/2.0/mlflow/registered-models/create';
  const line = await lineOf('made');
  expect(line).toMatchObject({ level: 30, op: 'registered_model.create', method: 'POST', path, status: 200, user: 'admin' });
  expect(line.ms).toBeGreaterThan(0);
});

it('has one for who is not let in, and for what there is not', async () => {
  await server.get('registered-models/search').set('X-Request-Id', 'stranger');
  expect(await lineOf('stranger')).toMatchObject({ op: 'registered_model.search', status: 401 });
  expect(await lineOf('stranger')).not.toHaveProperty('user');
  await server.admin.get('/nonesuch').set('X-Request-Id', 'nonesuch');
  expect(await lineOf('nonesuch')).toMatchObject({ op: 'none', path: '/nonesuch', status: 404 });
});

it('has no secret: no query, no header, no body', async () => {
  const query = { signature: 'sesame', expires: '1' };
  await server.get('/api/2.0/mlflow-artifacts/signed/0/f', query).set('X-Request-Id', 'signed').set('Cookie', 'session=sesame');
  await server.admin.post('users/create', { username: 'u', password: 'sesame sesame sesame' }).set('X-Request-Id', 'user');
  await lineOf('signed');
  await lineOf('user');
  expect(JSON.stringify(lines)).not.toContain('sesame');
});

it('has lines of probes only where more than usual is logged', async () => {
  for (const path of ['/health', '/version', '/metrics']) {
    await server.get(path).set('X-Request-Id', path.slice(1));
    expect((await lineOf(path.slice(1))).level).toBe(20);
  }
});
