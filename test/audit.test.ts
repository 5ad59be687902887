import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { getHead, seal } from '../src/access/audit/chain.ts';
import { redactorOf } from '../src/access/audit/describe.ts';
import { verifyChain } from '../src/access/audit/verify.ts';
import { audit } from '../src/commands/audit.ts';
import { endpoints } from '../src/endpoints.ts';
import { openPool } from '../src/platform/db/database.ts';
import { runCommand } from './helpers/command.ts';
import { ADMIN, startServerWithLogin } from './helpers/login.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startServerWithLogin();
const { admin, db } = server;
const url = String(db.options.connectionString);
await admin.post('/api/3.0/mlflow/workspaces', { name: 'dev' }).expect(201);
await admin.post('/api/1.0/registries', { name: 'shared', visibility: 'PRIVATE' }).expect(201);

type Event = Record<string, unknown>;

async function eventsOf(filter: string): Promise<Event[]> {
  const reply = await admin.get('/api/1.0/audit-events', { filter, max_results: 1000 }).expect(200);
  return reply.body.audit_events;
}

/** Events that are written some time after the request. */
async function counted(filter: string, least = 1): Promise<Event[]> {
  for (let tries = 0; tries < 50; tries++) {
    const events = await eventsOf(filter);
    if (events.reduce((sum, { count }) => sum + Number(count), 0) >= least) return events;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return eventsOf(filter);
}

const verify = (...flags: string[]) => runCommand(audit, ['verify', '--database-url', url, ...flags]);

async function makeModel(scope = 'default', versions = 1): Promise<string> {
  const name = freshName();
  const full = scope === 'shared' ? `shared.${name}` : name;
  await admin.post('registered-models/create', { name: full }, scope === 'dev' ? scope : undefined).expect(200);
  for (let i = 0; i < versions; i++) await admin.post('model-versions/create', { name: full, source: 's3://bucket/model' }).expect(200);
  return name;
}

/** What somebody can do who may write to all tables. */
async function doctor(...statements: string[]): Promise<void> {
  const client = await db.connect();
  try {
    await client.query('begin; set local session_replication_role = replica');
    for (const statement of statements) await client.query(statement);
    await client.query('commit');
  } finally {
    client.release();
  }
}

describe('a write', () => {
  it('has an event with actor, scope, resource, before and after, client and request id', async () => {
    const name = await makeModel('default', 2);
    await admin.post('registered-models/alias', { name, alias: 'champion', version: '1' }).expect(200);
    const reply = await admin
      .post('registered-models/alias', { name, alias: 'champion', version: '2' })
      .set('User-Agent', 'mlflow-python-client/3.5.0')
      .set('X-Request-Id', 'req-1')
      .expect(200);
    expect(reply.headers['x-request-id']).toBe('req-1');
    const [event] = await eventsOf(`resource = '${name}' AND op = 'registered_model.set_alias'`);
    expect(event).toMatchObject({
      actor: ADMIN.username,
      via: 'password',
      outcome: 'SUCCESS',
      scope: 'default',
      resource_type: 'registered_model',
      resource: name,
      version: '2',
      input: { name, alias: 'champion', version: 2 },
      before: { alias: 'champion', version: 1 },
      after: { alias: 'champion', version: 2 },
      client: 'mlflow-python-client/3.5.0',
      request_id: 'req-1',
      count: 1,
    });
    expect(Math.abs(Number(event?.timestamp) - Date.now())).toBeLessThan(60_000);
  });

  it('tells of models, versions, tags, experiments, workspaces, registries and webhooks how they were and are', async () => {
    const name = await makeModel();
    await admin.patch('registered-models/update', { name, description: 'new' }).expect(200);
    await admin.post('registered-models/rename', { name, new_name: `${name}-2` }).expect(200);
    await admin.post('model-versions/transition-stage', { name: `${name}-2`, version: '1', stage: 'Production' }).expect(200);
    await admin.post('model-versions/set-tag', { name: `${name}-2`, version: '1', key: 'k', value: 'v' }).expect(200);
    await admin.delete('registered-models/delete', { name: `${name}-2` }).expect(200);
    const { experiment_id } = (await admin.post('experiments/create', { name }).expect(200)).body;
    await admin.post('experiments/update', { experiment_id, new_name: `${name}-3` }).expect(200);
    await admin.patch('/api/3.0/mlflow/workspaces/dev', { description: name }).expect(200);
    await admin.patch('/api/1.0/registries/shared', { owner: name }).expect(200);
    const told = async (op: string, resource: string) => {
      const [{ before, after } = {}] = await eventsOf(`op = '${op}' AND resource = '${resource}'`);
      return { before, after };
    };
    expect(await told('registered_model.update', name)).toMatchObject({ before: { description: '' }, after: { description: 'new' } });
    expect(await told('registered_model.rename', name)).toMatchObject({ before: { name }, after: { name: `${name}-2` } });
    expect(await told('model_version.transition_stage', `${name}-2`)).toMatchObject({
      before: { stage: 'None' },
      after: { stage: 'Production' },
    });
    expect(await told('model_version.set_tag', `${name}-2`)).toEqual({ before: undefined, after: { key: 'k', value: 'v' } });
    expect(await told('registered_model.delete', `${name}-2`)).toMatchObject({ before: { description: 'new', last_version: 1 } });
    expect((await told('registered_model.delete', `${name}-2`)).after).toBeUndefined();
    expect(await told('experiment.update', experiment_id)).toMatchObject({ before: { name }, after: { name: `${name}-3` } });
    expect(await told('workspace.update', 'dev')).toMatchObject({ after: { description: name } });
    expect(await told('registry.update', 'shared')).toMatchObject({ before: { owner: '' }, after: { owner: name } });
    expect(await told('model_version.create', name)).toMatchObject({ after: { version: '1', source: 's3://bucket/model' } });
  });

  it('that fails leaves no event, and a dry run neither', async () => {
    const name = await makeModel();
    const before = (await eventsOf(`resource = '${name}'`)).length;
    expect((await admin.post('registered-models/create', { name })).status).toBe(400);
    expect((await admin.post('registered-models/alias', { name, alias: 'a', version: '99' })).status).toBe(404);
    expect((await admin.post('registered-models/rename', { name, new_name: '' })).status).toBe(400);
    const promotion = { source: { workspace: 'default', name, version: '1' }, target: { registry: 'shared' }, dry_run: true };
    expect((await admin.post('/api/1.0/promotions', promotion)).body.message).toMatch(/no files on this server/);
    expect(await eventsOf(`resource = '${name}'`)).toHaveLength(before);
  });

  it('of a file has its event after it is stored', async () => {
    const { body } = await admin.post('runs/create', { experiment_id: '0' }).expect(200);
    const path = `${body.run.info.artifact_uri.replace('mlflow-artifacts:/', '')}/f.txt`;
    await admin.put(`/api/2.0/mlflow-artifacts/artifacts/${path}`, 'text').expect(200);
    expect(await counted(`resource = '${path}'`)).toMatchObject([{ op: 'artifact.upload', outcome: 'SUCCESS' }]);
    await admin.put(`/api/2.0/mlflow-artifacts/artifacts/${path}/../x`, 'text');
    expect(await eventsOf(`op = 'artifact.upload' AND resource LIKE '%/x'`)).toEqual([]);
  });

  it('of more than 8 KiB is kept as its size and SHA-256', async () => {
    const { run_id } = (await admin.post('runs/create', { experiment_id: '0' }).expect(200)).body.run.info;
    const params = Array.from({ length: 100 }, (_, i) => ({ key: `p${i}`, value: 'x'.repeat(100) }));
    await admin.post('runs/log-batch', { run_id, params }).expect(200);
    const json = JSON.stringify({ run_id, metrics: [], params, tags: [] });
    expect(await eventsOf(`op = 'run.log_batch' AND resource = '${run_id}'`)).toMatchObject([
      { input: { size: json.length, sha256: createHash('sha256').update(json).digest('hex') } },
    ]);
  });

  it('that the database refused says why, as without an audit', async () => {
    const { run_id } = (await admin.post('runs/create', { experiment_id: '0' }).expect(200)).body.run.info;
    await admin.post('runs/log-parameter', { run_id, key: 'p', value: '1' }).expect(200);
    const changed = await admin.post('runs/log-parameter', { run_id, key: 'p', value: '2' });
    expect([changed.status, changed.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(await eventsOf(`op = 'run.log_parameter' AND resource = '${run_id}'`)).toHaveLength(1);
  });

  it('never shows a secret', async () => {
    const secret = `hidden-${freshName()}`;
    const { body } = await admin
      .post('webhooks', {
        name: 'hook',
        url: 'https://93.184.215.14/',
        events: [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }],
        secret,
      })
      .expect(200);
    await admin.patch(`webhooks/${body.webhook.webhook_id}`, { secret: `${secret}2` }).expect(200);
    const events = await eventsOf(`op IN ('webhook.create', 'webhook.update')`);
    expect(events).toMatchObject([{ input: { secret: '***' } }, { input: { secret: '***' } }]);
    await server.withHeader(`Basic ${Buffer.from(`${secret}:${secret}`).toString('base64')}`).get('registered-models/search');
    const { rows } = await db.query("select 1 from audit_events where input::text || before::text || after::text like '%' || $1 || '%'", [
      secret,
    ]);
    expect(rows).toEqual([]);
  });

  it('names what acts in whose name, of administrators and service accounts only', async () => {
    const grants = { scope: 'dev', type: 'workspace', permission: 'MANAGE' };
    const [robot, ann] = [await server.as('robot', grants), await server.as('ann', grants)];
    await db.query("update users set kind = 'SERVICE_ACCOUNT' where username = 'robot'");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    for (const caller of [robot, ann, admin])
      await caller.post('registered-models/create', { name: freshName() }, 'dev').set('X-On-Behalf-Of', 'ben').expect(200);
    const events = await eventsOf("op = 'registered_model.create' AND scope = 'dev'");
    expect(events.map(({ actor, on_behalf_of }) => [actor, on_behalf_of])).toEqual([
      [ADMIN.username, 'ben'],
      ['ann', undefined],
      ['robot', 'ben'],
    ]);
    expect(events.map(({ token_id }) => typeof token_id)).toEqual(['undefined', 'string', 'string']);
  });

  it('costs no transaction and leaves no event while there is no audit', async () => {
    const plain = await startTestServer();
    await plain.post('registered-models/create', { name: 'm' }).expect(200);
    expect((await plain.db.query('select 1 from audit_events')).rows).toEqual([]);
  });
});

describe('a refusal', () => {
  it('is kept: of who lacks the right, and of a write to what is hidden', async () => {
    const name = await makeModel();
    const reader = await server.as(freshName(), { scope: 'default', type: 'registered_model', pattern: name, permission: 'READ' });
    const stranger = await server.as(`stranger-${name}`);
    expect((await reader.patch('registered-models/update', { name, description: 'x' })).status).toBe(403);
    expect((await stranger.patch('registered-models/update', { name, description: 'x' })).status).toBe(404);
    expect((await stranger.get('registered-models/get', { name })).status).toBe(404);
    expect((await stranger.post('registered-models/create', { name: 'x' }, 'dev')).status).toBe(404);
    const [hidden, lacking, ...more] = await eventsOf(`resource = '${name}' AND outcome = 'DENIED'`);
    expect(hidden).toMatchObject({ actor: `stranger-${name}`, op: 'registered_model.update', scope: 'default' });
    expect(lacking).toMatchObject({ op: 'registered_model.update', input: { name, description: 'x' } });
    expect(more).toEqual([]);
    expect(await eventsOf(`actor = 'stranger-${name}' AND scope = 'dev'`)).toMatchObject([{ outcome: 'DENIED' }]);
    expect((await stranger.post(`/api/1.0/registries/shared/models/${name}/aliases/a:rollback`)).status).toBe(404);
    expect((await stranger.post(`/registries/shared/api/2.0/mlflow/registered-models/create`, { name })).status).toBe(404);
    const inRegistry = await eventsOf(`actor = 'stranger-${name}' AND scope = 'shared'`);
    expect(inRegistry.map(({ op }) => op)).toEqual(['registered_model.create', 'alias.roll_back']);
  });

  it('of a wrong password is counted by the name that was tried', async () => {
    const header = `Basic ${Buffer.from('mallory:a wrong password').toString('base64')}`;
    for (const target of ['registered-models/search', 'registered-models/search', '/api/2.0/nothing'])
      expect((await server.withHeader(header).get(target)).status).toBe(401);
    const events = await counted("actor = 'mallory'", 3);
    expect(events.every(({ outcome, via }) => outcome === 'UNAUTHENTICATED' && via === 'none')).toBe(true);
    expect(events.reduce((sum, { count }) => sum + Number(count), 0)).toBe(3);
    expect(JSON.stringify(events)).not.toContain('a wrong password');
  });
});

describe('who signs in', () => {
  it('on the page is in the audit, and who fails to', async () => {
    const signIn = (password: string) => request(server.url).post('/login').type('form').send({ username: ADMIN.username, password });
    expect((await signIn('a wrong password')).status).toBe(401);
    expect((await signIn(ADMIN.password)).status).toBe(303);
    expect(await eventsOf("op = 'session.begin'")).toMatchObject([{ actor: ADMIN.username, via: 'session', outcome: 'SUCCESS' }]);
    expect(await counted("op = 'session.login'")).toMatchObject([{ actor: ADMIN.username, outcome: 'UNAUTHENTICATED' }]);
  });

  it('and what is granted and made for that, without passwords and tokens', async () => {
    const username = freshName();
    const password = `password of ${username}`;
    await admin.post('/api/2.0/mlflow/users/create', { username, password }).expect(200);
    const { token } = (await admin.post('/api/1.0/tokens', { name: 'ci', username }).expect(201)).body;
    await admin
      .post(
        '/api/3.0/mlflow/users/permissions/grant',
        { username, resource_type: 'registered_model', resource_id: 'x', permission: 'READ' },
        'dev',
      )
      .expect(200);
    const events = await eventsOf("op IN ('user.create', 'token.create', 'grant.add')");
    expect(events.map(({ op, resource }) => [op, resource])).toEqual([
      ['grant.add', username],
      ['token.create', expect.stringMatching(/^[\da-f-]{36}$/)],
      ['user.create', username],
    ]);
    expect(events[2]).toMatchObject({ input: { username, password: '***' } });
    const { rows } = await db.query('select e::text as event from audit_events e');
    expect(rows.filter(({ event }) => event.includes(password) || event.includes(token))).toEqual([]);
  });

  it('cannot guess the current password for ever, though a refused change is undone', async () => {
    const username = freshName();
    await admin.post('/api/2.0/mlflow/users/create', { username, password: 'the right password' }).expect(200);
    const own = server.withHeader(`Bearer ${await server.tokenOf(username)}`);
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) {
      const body = { username, password: 'a new password', current_password: `wrong ${i}` };
      statuses.push((await own.patch('/api/2.0/mlflow/users/update-password', body)).status);
    }
    expect(statuses.slice(-2)).toEqual([429, 429]);
  });
});

it('counts reads of versions of registries, and of no others', async () => {
  const [shared, own] = [await makeModel('shared'), await makeModel()];
  const reader = await server.as(`reader-${shared}`, { scope: 'shared', type: 'registry', permission: 'READ' });
  for (let i = 0; i < 3; i++) await reader.get('model-versions/get', { name: `shared.${shared}`, version: '1' }).expect(200);
  await reader.get('model-versions/get-download-uri', { name: `shared.${shared}`, version: '1' }).expect(200);
  await admin.get('model-versions/get', { name: own, version: '1' }).expect(200);
  const events = await counted(`op = 'model_version.read' AND resource = '${shared}'`, 4);
  expect(events.reduce((sum, { count }) => sum + Number(count), 0)).toBe(4);
  expect(events[0]).toMatchObject({ actor: `reader-${shared}`, scope: 'shared', version: '1' });
  expect(await eventsOf(`op = 'model_version.read' AND resource = '${own}'`)).toEqual([]);
});

describe('GET audit-events', () => {
  it('is for administrators, and of a workspace or registry for who manages it', async () => {
    const model = freshName();
    await admin.post('registered-models/create', { name: model }, 'dev').expect(200);
    const manager = await server.as(freshName(), { scope: 'dev', type: 'workspace', permission: 'MANAGE' });
    const other = await server.as(freshName(), { scope: 'dev', type: 'workspace', permission: 'EDIT' });
    const seen: Event[] = (await manager.get('/api/1.0/audit-events', { max_results: 1000 }).expect(200)).body.audit_events;
    expect(seen.some(({ resource }) => resource === model)).toBe(true);
    expect(new Set(seen.map(({ scope }) => scope))).toEqual(new Set(['dev']));
    expect((await other.get('/api/1.0/audit-events')).body).toEqual({ audit_events: [] });
    expect((await other.get('/api/1.0/audit-events:export')).text).toBe('');
    for (const target of ['/api/1.0/audit-events', '/api/1.0/audit-events:export']) {
      expect((await server.withHeader(null).get(target)).status).toBe(401);
    }
  });

  it('filters by times and texts, page by page, and refuses what it does not know', async () => {
    const all = await eventsOf('');
    const middle = all[Math.floor(all.length / 2)] ?? {};
    const since = await eventsOf(`timestamp >= ${middle.timestamp}`);
    expect(since).toEqual(await eventsOf(`timestamp >= '${new Date(Number(middle.timestamp)).toISOString()}'`));
    expect(since).toEqual(all.filter(({ timestamp }) => Number(timestamp) >= Number(middle.timestamp)));
    const paged: Event[] = [];
    let token: string | undefined;
    do {
      const { body } = await admin.get('/api/1.0/audit-events', { max_results: 7, ...(token && { page_token: token }) }).expect(200);
      paged.push(...body.audit_events);
      token = body.next_page_token;
    } while (token);
    expect(paged.map(({ event_id }) => event_id)).toEqual((await eventsOf('')).map(({ event_id }) => event_id));
    for (const filter of ["nothing = 'x'", 'actor > 3', "timestamp = 'noon'", "actor IN 'x'", 'actor = 3'])
      expect((await admin.get('/api/1.0/audit-events', { filter })).body.error_code).toBe('INVALID_PARAMETER_VALUE');
  });

  it('exports lines from which anybody can recompute the chain, and CSV', async () => {
    await admin.post('registered-models/create', { name: `=1+1,"${freshName()}` }).expect(200);
    await seal(db);
    const text = (await admin.get('/api/1.0/audit-events:export')).text;
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    let before = Buffer.alloc(32);
    for (const { sequence, hash, ...event } of lines.filter((line) => line.sequence !== null).toSorted((a, b) => a.sequence - b.sequence)) {
      before = createHash('sha256').update(before).update(JSON.stringify(event)).digest();
      expect([sequence, hash]).toEqual([sequence, before.toString('hex')]);
    }
    const csv = (await admin.get('/api/1.0/audit-events:export', { format: 'csv', filter: "resource LIKE '=1+1%'" })).text.split('\r\n');
    expect(csv[0]).toMatch(/^actor,actor_id,after,/);
    expect(csv[1]).toContain(`,"'=1+1,""`);
    expect((await admin.get('/api/1.0/audit-events:export', { format: 'xml' })).status).toBe(400);
  });
});

describe('the chain', () => {
  it('is complete after 64 writers at once, while several servers seal it', async () => {
    const other = openPool(url, 4);
    let writing = true;
    const sealing = [db, other, other].map(async (pool) => {
      while (writing) await seal(pool);
    });
    const name = await makeModel();
    const replies = await Promise.all(
      Array.from({ length: 64 }, (_, i) => admin.post('model-versions/set-tag', { name, version: '1', key: `k${i}`, value: 'v' })),
    );
    writing = false;
    await Promise.all(sealing);
    await seal(db);
    await other.end();
    expect(replies.filter(({ status }) => status !== 200)).toEqual([]);
    const events = await eventsOf(`resource = '${name}' AND op = 'model_version.set_tag'`);
    expect(new Set(events.map(({ sequence }) => sequence)).size).toBe(64);
    const { damage, waiting } = await verifyChain(db, null);
    expect({ damage, waiting }).toEqual({ damage: [], waiting: 0 });
  });

  it('takes in what commits late, after what was written later', async () => {
    const client = await db.connect();
    await client.query('begin');
    const insert = (target: typeof db | typeof client, op: string) =>
      target.query(
        `with e as (insert into audit_events (actor, via, on_behalf_of, op, outcome, scope, resource_type, resource, version, client, request_id)
           values ('', 'none', '', $1, 'SUCCESS', '', '', '', '', '', '') returning event_id)
         insert into audit_unsealed select event_id from e`,
        [op],
      );
    await insert(client, 'test.late');
    await insert(db, 'test.early');
    await seal(db);
    await client.query('commit');
    client.release();
    await seal(db);
    const [early, late] = [(await eventsOf("op = 'test.early'"))[0], (await eventsOf("op = 'test.late'"))[0]];
    expect(Number(late?.event_id)).toBeLessThan(Number(early?.event_id));
    expect(Number(late?.sequence)).toBeGreaterThan(Number(early?.sequence));
    expect((await verifyChain(db, null)).damage).toEqual([]);
  });

  it('cannot be changed through the triggers', async () => {
    for (const table of ['audit_events', 'audit_chain'])
      for (const sql of [
        `update ${table} set ${table === 'audit_events' ? 'actor' : 'hash'} = default`,
        `delete from ${table}`,
        `truncate ${table}`,
      ])
        await expect(db.query(sql)).rejects.toThrow('the audit is append-only');
  });

  it('can neither be changed by the role of the server, with the tables given to another as docs/audit.md says', async () => {
    const docs = await fs.readFile(new URL('../docs/audit.md', import.meta.url), 'utf8');
    const [, sql = ''] = /```sql\n([\s\S]*?)```/.exec(docs) ?? [];
    const { db: own } = await startTestServer();
    await own.query('create role audited_server');
    await own.query('grant select, insert, update, delete on all tables in schema public to audited_server');
    await own.query('revoke all on audit_events, audit_chain from audited_server');
    await own.query(sql.replaceAll('model_commons', 'audited_server'));
    const client = await own.connect();
    try {
      await client.query('set role audited_server');
      await client.query(
        `with e as (insert into audit_events (actor, via, on_behalf_of, op, outcome, scope, resource_type, resource, version, client, request_id)
           values ('', 'none', '', 'x.y', 'SUCCESS', '', '', '', '', '', '') returning event_id)
         insert into audit_unsealed select event_id from e`,
      );
      expect(await seal(client)).toBe(1);
      for (const table of ['audit_events', 'audit_chain'])
        for (const forbidden of [
          `update ${table} set ${table === 'audit_events' ? 'actor' : 'hash'} = default`,
          `delete from ${table}`,
          `truncate ${table}`,
          `alter table ${table} disable trigger all`,
          `drop table ${table}`,
        ])
          await expect(client.query(forbidden)).rejects.toThrow(/permission denied|must be owner/);
    } finally {
      await client.query('reset role');
      client.release();
    }
  });

  // The last one: it leaves the chain broken.
  it('shows what was changed, removed, put in or cut off, and names it', async () => {
    const name = await makeModel('default', 3);
    await seal(db);
    const whole = await verify();
    expect(whole).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/all is as it was written\.\nHead: sequence \d+, hash [\da-f]{64}\n$/),
    });
    const noted = (await getHead(db)).hash.toString('hex');
    expect((await verify('--head', noted)).code).toBe(0);
    expect(await verify('--head', 'f'.repeat(64))).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('the noted head is not in the chain'),
    });
    expect((await verify('--head', 'x')).code).toBe(2);

    const [third, second, first] = await eventsOf(`resource = '${name}' AND op = 'model_version.create'`);
    await doctor(`update audit_events set actor = 'nobody' where event_id = ${first?.event_id}`);
    const changed = await verify();
    expect(changed.code).toBe(1);
    expect(changed.stdout).toMatch(
      new RegExp(`^sequence ${first?.sequence}: event ${first?.event_id} \\(model_version.create by 'nobody', .*\\) was changed\n`),
    );
    expect(changed.stdout.match(/was changed/g)).toHaveLength(1);

    await doctor(
      `delete from audit_events where event_id = ${second?.event_id}`,
      `delete from audit_chain where event_id = ${third?.event_id}`,
      `insert into audit_events (actor, via, on_behalf_of, op, outcome, scope, resource_type, resource, version, client, request_id)
       values ('', 'none', '', 'x.y', 'SUCCESS', '', '', '', '', '', '')`,
    );
    const { stdout } = await verify();
    expect(stdout).toContain(`sequence ${second?.sequence}: event ${second?.event_id} was removed\n`);
    expect(stdout).toContain(`event ${third?.event_id} is not in the chain`);
    expect(stdout.match(/is not in the chain: it was put there/g)).toHaveLength(2);

    await doctor('delete from audit_chain where sequence > 1');
    expect((await verify('--head', noted)).stdout).toContain('the noted head is not in the chain');
  });
});

/** Names of fields, at any depth, that look like what nobody may read. */
function secretsIn(schema: z.ZodType): string[] {
  const shape = (schema as { shape?: Record<string, z.ZodType> }).shape ?? {};
  return Object.entries(shape).flatMap(([name, field]) => {
    const isSecret = /password|secret|credential/i.test(name) || name === 'token';
    return isSecret && redactorOf(field) === null ? [name] : [];
  });
}

it('every endpoint marks what is secret in its input', () => {
  const writes = endpoints.filter(({ effect }) => effect === 'write');
  expect(writes.flatMap(({ op, input }) => secretsIn(input).map((field) => `${op}: ${field}`))).toEqual([]);
});

it('of every write that changes a named thing the audit has the name', async () => {
  const { rows } = await db.query<{ op: string }>(
    "select distinct op from audit_events where resource = '' and outcome = 'SUCCESS' and op not like 'test.%' and op <> 'x.y'",
  );
  expect(rows).toEqual([]);
});

it('gives each request an id of its own where it brings no sane one', async () => {
  const ids = await Promise.all(
    ['', 'x'.repeat(200), 'a b', 'a\\"b'].map(
      async (id) => (await request(server.url).get('/health').set('X-Request-Id', id)).headers['x-request-id'],
    ),
  );
  expect(ids.every((id) => /^[\da-f-]{36}$/.test(id ?? ''))).toBe(true);
  expect(new Set(ids).size).toBe(4);
});
