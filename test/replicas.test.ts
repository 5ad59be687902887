import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { endpoints } from '../src/endpoints.ts';
import { balanced, basic, type Send, succeeding } from './helpers/balanced.ts';
import { callOf, sendCall } from './helpers/endpoint-calls.ts';
import { makeWorld } from './helpers/endpoint-world.ts';
import { destroyDataDir, makeDataDir, type ServerProcess, startServer } from './helpers/process.ts';
import { query, startWithReplica } from './helpers/replica.ts';
import { freshName } from './helpers/seed.ts';

/** Two servers on one PostgreSQL with a replica that streams from it, behind a balancer without sticky sessions. */
type Model = { registered_model: { name: string; description?: string } };

let postgres: Awaited<ReturnType<typeof startWithReplica>>;
let dataDir: string;
let servers: ServerProcess[];

let send: Send;
let asking: ReturnType<typeof succeeding>;
const ask = <Body>(method: string, target: string, body?: object): Promise<Body> => asking(method, target, body) as Promise<Body>;

const make = (name: string) => ask('POST', 'registered-models/create', { name });
const describeAs = (name: string, description: string) => ask('PATCH', 'registered-models/update', { name, description });
const descriptionOf = async (name: string) =>
  (await ask<Model>('GET', `registered-models/get?name=${name}`)).registered_model.description ?? '';

const onReplica = (sql: string) => query<Record<string, never>>(postgres.replicaUrl, sql);
const onPrimary = (sql: string) => query<Record<string, never>>(postgres.primaryUrl, sql);

const logOf = (server: ServerProcess) => (server.stdout() + server.stderr()).replace(/^.*"msg":"request".*\n/gm, '');

/** Waits until both servers say that they use the replica, or not, after what they have said before. */
async function waitUntil(said: RegExp, since: number[]): Promise<void> {
  await vi.waitFor(
    () => {
      for (const [i, server] of servers.entries()) expect(logOf(server).slice(since[i])).toMatch(said);
    },
    { timeout: 30_000, interval: 50 },
  );
}
const now = () => servers.map((server) => logOf(server).length);
const USED = /reads use this replica/;

const isAdmitted = async () => (await onPrimary('select admitted_on is not null as yes from read_replicas'))[0]?.yes as boolean | undefined;

/** The statements of servers that were last run somewhere. */
const statementsAt = async (url: string) =>
  (await query<{ query: string }>(url, "select query from pg_stat_activity where application_name = 'model-commons'")).map(
    ({ query }) => query,
  );

beforeAll(async () => {
  postgres = await startWithReplica();
  dataDir = await makeDataDir();
  const flags = ['--database-url', postgres.primaryUrl, '--database-replica-urls', postgres.replicaUrl, '--log-level', 'info'];
  servers = await Promise.all([startServer(dataDir, flags), startServer(dataDir, flags)]);
  send = balanced(servers);
  asking = succeeding(send);
  await waitUntil(USED, [0, 0]);
}, 120_000);

afterAll(async () => {
  for (const server of servers ?? []) server.killGroup('SIGKILL');
  await postgres?.stop();
  if (dataDir) await destroyDataDir(dataDir);
}, 60_000);

// What a test did to the replica is over before the next.
beforeEach(async () => {
  await vi.waitFor(async () => expect(await isAdmitted()).toBe(true), { timeout: 30_000, interval: 100 });
  await sleep(500);
});

describe('with a read replica', { timeout: 90_000 }, () => {
  it('reads from it, and writes to the primary', async () => {
    const name = freshName();
    await make(name);
    for (let i = 0; i < 20; i++) await descriptionOf(name);
    const isRead = (sql: string) => /^select.*registered_model_tags/is.test(sql);
    expect((await statementsAt(postgres.replicaUrl)).some(isRead)).toBe(true);
    expect((await statementsAt(postgres.primaryUrl)).some(isRead)).toBe(false);
  });

  it('writes nothing in an endpoint that is declared to read', async () => {
    const secret = 'correct horse battery';
    const flags = ['--database-url', postgres.primaryUrl, '--database-replica-urls', postgres.replicaUrl, '--log-level', 'info'];
    const server = await startServer(dataDir, flags, { AUTH: 'on', ADMIN_PASSWORD: secret });
    onTestFinished(() => server.killGroup('SIGKILL'));
    const authorization = basic('admin', secret);
    const send = balanced([server], { authorization });
    const by = (method: string) => (path: string, body: object | string, workspace: string | undefined) =>
      send(method, path, typeof body === 'string' ? Buffer.from(body) : body, workspace === undefined ? {} : { workspace });
    const admin = { post: by('POST'), put: by('PUT') } as unknown as Parameters<typeof makeWorld>[0]['admin'];
    const world = await makeWorld({ admin } as Parameters<typeof makeWorld>[0], 'read');
    await vi.waitFor(() => expect(logOf(server)).toMatch(USED), { timeout: 20_000 });
    const reads = endpoints.filter(({ effect }) => effect === 'read');
    for (const endpoint of reads) {
      const call = callOf(endpoint, world);
      const { status, body } = await sendCall(server.url, { ...call, headers: { ...call.headers, Authorization: authorization } });
      expect([500, 503], `${endpoint.op}: ${body}`).not.toContain(status);
    }
    const form = { method: 'POST', body: new URLSearchParams({ username: 'admin', password: secret }), redirect: 'manual' } as const;
    const signedIn = await fetch(`${server.url}/login`, form);
    expect(signedIn.status).toBe(303);
    const headers = { Cookie: String(signedIn.headers.get('set-cookie')).split(';')[0] as string };
    expect((await fetch(`${server.url}/api/1.0/session`, { headers })).status).toBe(200);
    expect((await fetch(`${server.url}/logout`, { method: 'POST', headers, redirect: 'manual' })).status).toBe(303);
    await vi.waitFor(async () => expect((await fetch(`${server.url}/api/1.0/session`, { headers })).status).toBe(401), { timeout: 5000 });
    expect(await postgres.refusedWrites()).toEqual([]);
    expect((await statementsAt(postgres.replicaUrl)).length).toBeGreaterThan(3);
  });

  it('shows who got the answer to a write what was written, whichever server is asked, while the replica is late', async () => {
    const name = freshName();
    await make(name);
    await onReplica("alter system set recovery_min_apply_delay = '300ms'");
    await onReplica('select pg_reload_conf()');
    try {
      for (let i = 0; i < 8; i++) {
        await describeAs(name, `text ${i}`);
        expect(await Promise.all([descriptionOf(name), descriptionOf(name)])).toEqual([`text ${i}`, `text ${i}`]);
        const file = `/api/2.0/mlflow-artifacts/artifacts/0/${name}/artifacts/${i}.bin`;
        await asking('PUT', file, Buffer.from(`bytes ${i}`));
        expect((await send('GET', file)).text).toBe(`bytes ${i}`);
      }
      expect(await isAdmitted()).toBe(true);
    } finally {
      await onReplica('alter system reset recovery_min_apply_delay');
      await onReplica('select pg_reload_conf()');
    }
  });

  it('reads from the primary after a write that the replica does not get, which waits for that once; and from the replica when that is back', async () => {
    const name = freshName();
    await make(name);
    await describeAs(name, 'before');
    const since = now();
    await onReplica('select pg_wal_replay_pause()');
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      const began = performance.now();
      await describeAs(name, `text ${i}`);
      waits.push(performance.now() - began);
      for (let reads = 0; reads < 4; reads++) expect(await descriptionOf(name)).toBe(`text ${i}`);
    }
    expect(waits[0]).toBeGreaterThan(1000);
    expect(waits[3]).toBeLessThan(900);
    await waitUntil(/a replica is behind its primary/, since);
    await onReplica('select pg_wal_replay_resume()');
    await waitUntil(USED, since);
    expect(await descriptionOf(name)).toBe('text 3');
  });

  it('never shows less than an answered write while the replica stops and catches up all the time, under load', async () => {
    const names = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const name = freshName();
        await make(name);
        return name;
      }),
    );
    let isOver = false;
    const disturbing = (async () => {
      while (!isOver) {
        await onReplica('select pg_wal_replay_pause()');
        await sleep(Math.random() * 1800);
        await onReplica('select pg_wal_replay_resume()');
        await sleep(Math.random() * 300);
      }
    })();
    const until = performance.now() + 12_000;
    let reads = 0;
    await Promise.all(
      names.map(async (name) => {
        for (let i = 0; performance.now() < until; i++) {
          await describeAs(name, String(i));
          const readUntil = performance.now() + Math.random() * 400;
          do {
            expect(await descriptionOf(name)).toBe(String(i));
            reads++;
          } while (performance.now() < readUntil);
        }
      }),
    ).finally(() => {
      isOver = true;
    });
    await disturbing;
    expect(reads).toBeGreaterThan(100);
  });

  it('does again on the primary what the replica breaks off, and goes without it while it is gone', async () => {
    const name = freshName();
    await make(name);
    let isOver = false;
    const since = now();
    const reading = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (!isOver) expect(await descriptionOf(name)).toBe('');
      }),
    );
    await sleep(300);
    await postgres.killReplica();
    await waitUntil(/a replica does not answer/, since).finally(() => {
      isOver = true;
    });
    await reading;
    const other = freshName();
    try {
      await make(other);
      expect(await descriptionOf(other)).toBe('');
      await vi.waitFor(async () => expect(await isAdmitted()).toBe(false));
      // For so long after it was suspended writes wait for it.
      await sleep(1500);
      const began = performance.now();
      await describeAs(other, 'quick');
      await describeAs(other, 'again');
      expect(performance.now() - began).toBeLessThan(1000);
    } finally {
      await postgres.startReplica();
    }
    await waitUntil(USED, since);
    expect(await descriptionOf(other)).toBe('again');
  });

  it('does not read from a replica that was promoted', async () => {
    const name = freshName();
    await make(name);
    const since = now();
    await postgres.promoteReplica();
    await query(postgres.replicaUrl, `update registered_models set description = 'elsewhere'`);
    await waitUntil(/this is a primary, and no replica/, since);
    expect(await descriptionOf(name)).toBe('');
    await describeAs(name, 'here');
    expect(await Promise.all([descriptionOf(name), descriptionOf(name)])).toEqual(['here', 'here']);
  });
});
