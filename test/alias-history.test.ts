import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const aliasPath = (name: string, alias: string) => `/api/1.0/workspaces/default/models/${name}/aliases/${alias}`;
const setAlias = (name: string, alias: string, version: number) =>
  server.post('registered-models/alias', { name, alias, version: String(version) }).expect(200);
const history = async (name: string, alias: string, query = {}) =>
  (await server.get(`${aliasPath(name, alias)}/history`, query).expect(200)).body;
// Without a body and its content type, as `curl -X POST` sends it.
const rollBack = (name: string, alias: string) => request(server.url).post(`${aliasPath(name, alias)}:rollback`);
const target = async (name: string, alias: string) =>
  (await server.get('registered-models/alias', { name, alias }).expect(200)).body.model_version.version;

describe('the history of an alias', () => {
  it('has every move, newest first, and nothing of a move to where it was', async () => {
    const name = await seedModel(server, 3);
    for (const version of [1, 2, 2, 3]) await setAlias(name, 'champion', version);
    await server.delete('registered-models/alias', { name, alias: 'champion' }).expect(200);
    await setAlias(name, 'other', 1);
    const { moves } = await history(name, 'champion');
    expect(moves).toEqual([
      { from_version: '3', moved_by: '', moved_timestamp: expect.any(Number) },
      { from_version: '2', to_version: '3', moved_by: '', moved_timestamp: expect.any(Number) },
      { from_version: '1', to_version: '2', moved_by: '', moved_timestamp: expect.any(Number) },
      { to_version: '1', moved_by: '', moved_timestamp: expect.any(Number) },
    ]);
  });

  it('is read page by page', async () => {
    const name = await seedModel(server, 2);
    for (const version of [1, 2, 1, 2, 1]) await setAlias(name, 'a', version);
    const first = await history(name, 'a', { max_results: 3 });
    const second = await history(name, 'a', { max_results: 3, page_token: first.next_page_token });
    expect([first.moves.length, second.moves.length, second.next_page_token]).toEqual([3, 2, undefined]);
  });

  it('notes the end of an alias whose version is deleted', async () => {
    const name = await seedModel(server, 2);
    await setAlias(name, 'a', 2);
    await server.delete('model-versions/delete', { name, version: '2' }).expect(200);
    expect((await history(name, 'a')).moves[0]).toMatchObject({ from_version: '2' });
    expect((await server.get(aliasPath(name, 'a'))).status).toBe(404);
  });

  it('goes with its model', async () => {
    const name = await seedModel(server, 1);
    await setAlias(name, 'a', 1);
    await server.delete('registered-models/delete', { name }).expect(200);
    expect((await server.get(`${aliasPath(name, 'a')}/history`)).status).toBe(404);
  });

  it('says what an alias meant at a time', async () => {
    const name = await seedModel(server, 2);
    await setAlias(name, 'a', 1);
    const { moved_timestamp: first } = (await server.get(aliasPath(name, 'a'))).body;
    await expect.poll(() => Date.now()).toBeGreaterThan(first);
    await setAlias(name, 'a', 2);
    expect((await server.get(aliasPath(name, 'a'))).body).toMatchObject({ name, alias: 'a', version: '2' });
    expect((await server.get(aliasPath(name, 'a'), { as_of: first })).body.version).toBe('1');
    expect((await server.get(aliasPath(name, 'a'), { as_of: first - 1 })).status).toBe(404);
    expect((await server.get(aliasPath(name, 'a'), { as_of: 'yesterday' })).status).toBe(400);
  });
});

describe('rolling an alias back', () => {
  it('points it to the version before, and the next one forward again; both are in the history', async () => {
    const name = await seedModel(server, 2);
    await setAlias(name, 'a', 1);
    await setAlias(name, 'a', 2);
    expect((await rollBack(name, 'a')).body).toEqual({ name, alias: 'a', from_version: '2', version: '1' });
    expect(await target(name, 'a')).toBe('1');
    await rollBack(name, 'a').expect(200);
    expect(await target(name, 'a')).toBe('2');
    expect((await history(name, 'a')).moves).toHaveLength(4);
  });

  it('passes over versions that are gone', async () => {
    const name = await seedModel(server, 3);
    for (const version of [1, 2, 3]) await setAlias(name, 'a', version);
    await server.delete('model-versions/delete', { name, version: '2' }).expect(200);
    expect((await rollBack(name, 'a')).body.version).toBe('1');
  });

  it('is refused without a version before, and for what is not there', async () => {
    const name = await seedModel(server, 1);
    await setAlias(name, 'a', 1);
    const refused = await rollBack(name, 'a');
    expect([refused.status, refused.body.message]).toEqual([409, expect.stringContaining('no earlier version')]);
    expect([(await rollBack(name, 'b')).status, (await rollBack(freshName(), 'a')).status]).toEqual([404, 404]);
  });
});
