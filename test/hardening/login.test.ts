import { expect, it } from 'vitest';
import { ADMIN, startServerWithLogin } from '../helpers/login.ts';

/** The rows of the attack list on login that are not tested with what they attack: G5 is in sessions.test.ts, G6 to G8 in access/users.test.ts. */
const server = await startServerWithLogin();
const { admin } = server;

const basic = (username: string, password: string) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
const BASES = ['/api/2.0', '/ajax-api/2.0', '/api/2.0/preview'];

it('G1: nothing is answered without credentials, not even that a path is unknown', async () => {
  const paths = ['/mlflow/registered-models/search', '/mlflow/runs/get?run_id=x', '/mlflow/nothing', '/mlflow-artifacts/artifacts?path=x'];
  for (const path of [...BASES.flatMap((base) => paths.map((rest) => base + rest)), '/get-artifact', '/graphql', '/api/1.0/registries']) {
    const reply = await server.withHeader(null).get(path);
    expect([path, reply.status, reply.headers['www-authenticate']]).toEqual([path, 401, 'Basic realm="mlflow"']);
  }
});

it.each([
  ['an empty header', ''],
  ['a wrong password', basic(ADMIN.username, 'wrong')],
  ['Bearer without a token', 'Bearer'],
  ['Digest', 'Digest username="admin", realm="mlflow"'],
  ['no base64', 'Basic not base64!'],
  ['no colon', `Basic ${Buffer.from('admin').toString('base64')}`],
  ['SQL', basic("' or 1=1 --", "' or 1=1 --")],
  ['5 000 characters', basic('a'.repeat(5000), 'b')],
  ['NUL in the name (G3)', basic('ad\0min', ADMIN.password)],
  ['a lone surrogate', basic('\ud800', 'x')],
])('G2: %s is 401 in JSON', async (_, header) => {
  const reply = await server.withHeader(header).get('registered-models/search');
  expect([reply.status, reply.type]).toEqual([401, 'application/json']);
  expect(['UNAUTHENTICATED', 'CUSTOMER_UNAUTHORIZED']).toContain(reply.body.error_code);
});

it('G9: who is denied a model gets neither it nor its files, whatever the way and the spelling', async () => {
  const { experiment_id } = (await admin.post('experiments/create', { name: 'secret' })).body;
  const { run_id } = (await admin.post('runs/create', { experiment_id })).body.run.info;
  const folder = `/api/2.0/mlflow-artifacts/artifacts/${experiment_id}/${run_id}/artifacts`;
  await admin.put(`${folder}/model/MLmodel`, 'flavors: {}').expect(200);
  await admin.post('registered-models/create', { name: 'secret' }).expect(200);
  await admin.post('model-versions/create', { name: 'secret', source: `runs:/${run_id}/model`, run_id }).expect(200);
  await admin.post('registered-models/alias', { name: 'secret', alias: 'champion', version: '1' }).expect(200);
  const uri = (await admin.get('model-versions/get-download-uri', { name: 'secret', version: '1' })).body.artifact_uri as string;
  const frozen = `/api/2.0/mlflow-artifacts/artifacts/${uri.replace('mlflow-artifacts:/', '')}`;
  const denied = await server.as(
    'denied',
    { scope: 'default', type: 'workspace', permission: 'MANAGE' },
    { scope: 'default', type: 'registered_model', pattern: 'secret', permission: 'DENY' },
    { scope: 'default', type: 'experiment', pattern: String(experiment_id), permission: 'DENY' },
  );
  const reads = [
    'registered-models/get?name=secret',
    'registered-models/get-latest-versions?name=secret',
    'registered-models/alias?name=secret&alias=champion',
    'model-versions/get?name=secret&version=1',
    'model-versions/get-download-uri?name=secret&version=1',
    `runs/get?run_id=${run_id}`,
    `artifacts/list?run_id=${run_id}`,
    `/get-artifact?run_id=${run_id}&path=model/MLmodel`,
    '/model-versions/get-artifact?name=secret&version=1&path=MLmodel',
    '/api/1.0/workspaces/default/models/secret/versions/1/manifest',
    '/api/1.0/workspaces/default/models/secret/versions/1/lineage',
    `/api/2.0/mlflow-artifacts/presigned/${experiment_id}/${run_id}/artifacts/model/MLmodel`,
    ...[`${folder}/model`, frozen].flatMap((at) =>
      ['/MLmodel', '/./MLmodel', '/%2e/MLmodel', '//MLmodel', '/%4dLmodel', '/MLmodel?x=1'].map((name) => at + name),
    ),
  ];
  for (const target of reads) {
    const reply = await denied.get(target);
    expect([target, [400, 404].includes(reply.status), reply.text.includes('flavors')]).toEqual([target, true, false]);
  }
  for (const target of ['registered-models/search', 'model-versions/search', 'experiments/search?max_results=10'])
    expect((await denied.get(target)).text).not.toContain('secret');
  // A run that is hidden is as one that is not there: a version of it has no files.
  await denied.post('registered-models/create', { name: 'mine' }).expect(200);
  await denied.post('model-versions/create', { name: 'mine', source: `runs:/${run_id}/model`, run_id });
  const { text } = await denied.get('/api/1.0/workspaces/default/models/mine/versions/1/manifest');
  expect(text).not.toContain('MLmodel');
  const writes = [
    denied.post('model-versions/create', { name: 'mine', source: 'models:/secret/1' }),
    denied.put(`${folder}/model/MLmodel`, 'changed'),
    denied.delete(`${folder}/model/MLmodel`),
    denied.put(`${frozen}/MLmodel`, 'changed'),
    denied.post(`/api/2.0/mlflow-artifacts/mpu/create/${experiment_id}/${run_id}/artifacts`, { path: 'x', num_parts: 1 }),
    denied.delete('model-versions/delete', { name: 'secret', version: '1' }),
    denied.post('registered-models/rename', { name: 'secret', new_name: 'mine-now' }),
  ];
  for (const reply of await Promise.all(writes)) expect([400, 403, 404]).toContain(reply.status);
  expect((await admin.get(`${frozen}/MLmodel`)).text).toBe('flavors: {}');
});

it('G12: what is checked and what is done are about the same name, however often it is given', async () => {
  await admin.post('registered-models/create', { name: 'theirs' }).expect(200);
  await admin.post('registered-models/create', { name: 'ours' }).expect(200);
  const reader = await server.as('reader', { scope: 'default', type: 'registered_model', pattern: 'ours', permission: 'READ' });
  for (const query of ['name=ours&name=theirs', 'name=theirs&name=ours', 'name=ours&NAME=theirs', 'name[]=theirs&name=ours']) {
    const reply = await reader.get(`registered-models/get?${query}`);
    expect(reply.text).not.toContain('"name":"theirs"');
    expect([200, 400, 404]).toContain(reply.status);
  }
  expect((await reader.get('registered-models/get?name=ours').send({ name: 'theirs' })).body.registered_model.name).toBe('ours');
});

it('G14: a password of a megabyte and a name with a blank are refused', async () => {
  const create = (username: string, password: string) => admin.post('users/create', { username, password });
  expect((await create('long', 'p'.repeat(900_000))).status).toBe(400);
  expect((await create('a b', 'correct horse battery')).status).toBe(400);
});
