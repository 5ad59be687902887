import fs from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import request from 'supertest';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { endpoints } from '../src/endpoints.ts';
import { startServerWithLogin } from './helpers/login.ts';
import { makeDataDir, startServer, workersOf } from './helpers/process.ts';
import { type Metrics, readMetrics } from './helpers/prometheus.ts';
import { startReceiver } from './helpers/receiver.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer, type TestServer } from './helpers/server.ts';

const server = await startTestServer(undefined, { allowedSchemes: ['http'], allowPrivateIps: true, maxRetries: 0 });

const WITHIN_MS = 10_000;

type Dashboard = {
  schemaVersion: number;
  templating: { list: { name: string }[] };
  panels: {
    id: number;
    type: string;
    title: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets: { expr: string }[];
  }[];
};

async function scrape({ url }: { url: string } = server): Promise<Metrics> {
  const reply = await fetch(`${url}/metrics`);
  expect(reply.status).toBe(200);
  return readMetrics(await reply.text());
}

/** Metrics once a reply that was just read has been counted, too. */
const scrapeUntil = (isThere: (metrics: Metrics) => boolean) =>
  vi.waitFor(async () => {
    const metrics = await scrape();
    expect(isThere(metrics)).toBe(true);
    return metrics;
  }, WITHIN_MS);

/** Makes the database of a server not answer in time. */
function silence({ db }: TestServer): void {
  const spy = vi.spyOn(db, 'query').mockImplementation(() => sleep(4000).then(() => Promise.reject(new Error('timeout exceeded'))));
  onTestFinished(() => spy.mockRestore());
}

const REQUESTS = 'mlflow_http_request_total';
const SECONDS = 'mlflow_http_request_duration_seconds';
const STATEMENTS = 'model_commons_db_statement_duration_seconds_count';

describe('GET /metrics', () => {
  it('counts requests and their time by operation and status, those without an endpoint too', async () => {
    const before = await scrape();
    const name = freshName();
    await server.post('registered-models/create', { name });
    await server.post('registered-models/create', { name });
    await server.get('/nonesuch');
    await server.get('registered-models/create');
    const op = 'registered_model.create';
    const after = await scrapeUntil((metrics) => metrics.sum(REQUESTS, { op: 'none' }) - before.sum(REQUESTS, { op: 'none' }) === 2);
    const more = (metric: string, labels: Record<string, string>) => after.sum(metric, labels) - before.sum(metric, labels);
    expect(more(REQUESTS, { op, method: 'POST', status: '200' })).toBe(1);
    expect(more(REQUESTS, { op, method: 'POST', status: '400' })).toBe(1);
    expect(more(REQUESTS, { op: 'none', status: '404' })).toBe(1);
    expect(more(REQUESTS, { op: 'none', status: '405' })).toBe(1);
    expect(more(`${SECONDS}_count`, { op, status: '2xx' })).toBe(1);
    expect(more(`${SECONDS}_bucket`, { op, status: '2xx', le: '+Inf' })).toBe(1);
    expect(more(`${SECONDS}_sum`, { op, status: '2xx' })).toBeGreaterThan(0.0001);
    expect(more(STATEMENTS, { statement: 'insert_registered_model' })).toBe(2);
  });

  it('has labels of few values, whatever callers send', async () => {
    const calls = (word: string) => [
      server.get('registered-models/get', { name: word }),
      server.get('model-versions/search', { filter: `name = '${word}' and tag.${word} = '${word}'` }),
      server.post('runs/search', { experiment_ids: ['0'], filter: `params.${word} = '${word}'` }),
      server.get(`/${word}`),
      server.get(`/api/2.0/mlflow-artifacts/artifacts/${word}`),
      server.post('registered-models/create', { name: word }).set('X-MLFLOW-WORKSPACE', word).set('User-Agent', word),
    ];
    const seriesAfter = async (words: string[]): Promise<string[]> => {
      for (const word of words) await Promise.all(calls(word));
      await sleep(50);
      const { samples } = await scrape();
      return samples.filter(({ name }) => /^(mlflow|model_commons)_/.test(name)).map(({ name, labels }) => JSON.stringify([name, labels]));
    };
    const few = await seriesAfter(['word-a']);
    const many = await seriesAfter(Array.from({ length: 30 }, (_, i) => `word-${i}`));
    expect(many.filter((series) => !few.includes(series))).toEqual([]);
    expect(many.join()).not.toContain('word');
    const ops = new Set(endpoints.map(({ op }) => op)).add('none');
    expect((await scrape()).samples.map(({ labels }) => labels.op).filter((op) => op !== undefined && !ops.has(op))).toEqual([]);
  });

  it('counts the bytes of artifacts that come and go, with a length and without', async () => {
    const of = (metrics: Metrics, op: string, direction: string) => metrics.sum('model_commons_http_stream_bytes_total', { op, direction });
    const path = '/api/2.0/mlflow-artifacts/artifacts/0/f';
    for (const headers of [{ 'Content-Length': '300000' }, {}]) {
      const before = await scrape();
      await new Promise((resolve) => {
        const put = http.request(server.url + path, { method: 'PUT', headers }, (res) => res.resume().once('end', resolve));
        put.write(Buffer.alloc(100_000));
        setTimeout(() => put.end(Buffer.alloc(200_000)), 50);
      });
      await server.get(path);
      const after = await scrapeUntil((metrics) => of(metrics, 'artifact.download', 'out') > of(before, 'artifact.download', 'out'));
      const sent = of(after, 'artifact.upload', 'in') - of(before, 'artifact.upload', 'in');
      const got = of(after, 'artifact.download', 'out') - of(before, 'artifact.download', 'out');
      // Without a length, what came with the headers is not seen, and chunks have a few bytes of their own.
      expect(sent).toBeGreaterThanOrEqual('Content-Length' in headers ? 300_000 : 200_000);
      expect(sent).toBeLessThan(302_000);
      expect(got).toBeGreaterThanOrEqual(300_000);
      expect(got).toBeLessThan(302_000);
    }
  });

  it('tells of the pool, of requests in flight and of what runs', async () => {
    const blocker = await server.db.connect();
    await blocker.query('begin; lock table registered_models in share mode');
    const waiting = Array.from({ length: 12 }, () =>
      server.post('registered-models/create', { name: freshName() }).then(({ status }) => status),
    );
    // A scrape would ask the database, too.
    const counted = vi.waitFor(async () => {
      const metrics = readMetrics(await server.metricsText());
      expect(metrics.sum('model_commons_http_requests_in_flight')).toBe(12);
      // The blocker has one of ten; what the server does by itself may wait, too.
      expect(metrics.sum('model_commons_db_pool_waiting', { pool: 'primary' })).toBeGreaterThanOrEqual(3);
      return metrics;
    }, WITHIN_MS);
    const metrics = await counted.finally(async () => {
      await blocker.query('rollback');
      blocker.release();
    });
    expect(metrics.sum('model_commons_db_pool_max', { pool: 'primary' })).toBe(10);
    expect(metrics.sum('model_commons_db_pool_connections', { pool: 'primary' })).toBe(10);
    expect(metrics.sum('model_commons_build_info', { mlflow_version: '3.17.2', node_version: process.version })).toBe(1);
    expect(metrics.sum('nodejs_heap_size_used_bytes')).toBeGreaterThan(1_000_000);
    expect(metrics.names).toContain('nodejs_eventloop_lag_p99_seconds');
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([200]));
  });

  it('tells of webhooks, the audit, uploads and contents', async () => {
    const receiver = await startReceiver();
    const events = [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }];
    await server.post('webhooks', { name: 'hook', url: receiver.url, events });
    receiver.replies.push({}, { status: 500 });
    await server.post('registered-models/create', { name: freshName() });
    await receiver.first(1);
    await server.post('registered-models/create', { name: freshName() });
    await receiver.first(2);
    await server.db.query(`
      insert into webhook_deliveries (webhook_id, body, next_attempt) select webhook_id, '{}', now() + interval '1 day' from webhooks;
      insert into audit_unsealed select generate_series(1, 3);
      insert into artifact_uploads (scope_id, path, storage_key, store_upload_id, part_count) select id, 'p', 'k', 'u', 1 from scopes where name = 'default';
      analyze blobs`);
    const attempts = (metrics: Metrics, outcome: string) => metrics.sum('model_commons_webhook_attempts_total', { outcome });
    const metrics = await scrapeUntil((metrics) => attempts(metrics, 'failed') === 1);
    expect(attempts(metrics, 'delivered')).toBe(1);
    expect(metrics.sum('model_commons_webhook_deliveries_pending')).toBe(1);
    expect(metrics.sum('model_commons_audit_events_unsealed')).toBe(3);
    expect(metrics.sum('model_commons_artifact_uploads_open')).toBe(1);
    expect(metrics.sum('model_commons_blobs')).toBe(Number((await server.db.query('select count(*) from blobs')).rows[0].count));
    expect(metrics.sum('model_commons_database_up')).toBe(1);
  });

  it('answers while the database does not', async () => {
    silence(server);
    const metrics = await scrape();
    expect(metrics.samples.find(({ name }) => name === 'model_commons_database_up')?.value).toBe(0);
    expect(metrics.names).not.toContain('model_commons_webhook_deliveries_pending');
    expect(metrics.sum(REQUESTS)).toBeGreaterThan(0);
  });

  it('is what Prometheus reads: nothing twice', async () => {
    const { samples } = await scrape();
    const series = samples.map(({ name, labels }) => JSON.stringify([name, labels]));
    expect(series).toEqual([...new Set(series)]);
    expect((await fetch(`${server.url}/metrics`)).headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  it('needs nothing of OpenTelemetry but the API that prom-client brings', () => {
    const loaded = Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes('@opentelemetry'));
    expect(loaded.filter((file) => !file.includes('@opentelemetry/api/'))).toEqual([]);
  });
});

describe('the dashboard and the documentation', () => {
  const read = (file: string) => fs.readFile(new URL(`../docs/${file}`, import.meta.url), 'utf8');
  const METRIC = /\b(?:mlflow_http|model_commons|nodejs|process)_[a-z0-9_]*[a-z0-9]\b/g;

  it('ask for metrics there are', async () => {
    const dashboard = JSON.parse(await read('grafana/model-commons.json')) as Dashboard;
    const { names } = await scrape();
    const asked = dashboard.panels.filter(({ type }) => type !== 'row');
    for (const { title, targets } of asked) {
      expect(targets, title).not.toEqual([]);
      for (const { expr } of targets) {
        const metrics = expr.match(METRIC) ?? [];
        expect(metrics, expr).not.toEqual([]);
        expect([...names], title).toEqual(expect.arrayContaining(metrics));
      }
    }
    const documented: string[] = (await read('observability.md')).match(METRIC) ?? [];
    const families = [...names].map((name) => name.replace(/_(bucket|sum|count)$/, ''));
    expect([...new Set(documented)].filter((name) => !names.has(name) && !families.includes(name))).toEqual([]);
    expect(families.filter((name) => /^(mlflow|model_commons)_/.test(name) && !documented.includes(name))).toEqual([]);
  });

  it('is one that Grafana imports: panels of their own numbers that do not overlap, on a data source that is chosen', async () => {
    const { panels, schemaVersion, templating } = JSON.parse(await read('grafana/model-commons.json')) as Dashboard;
    expect(schemaVersion).toBeGreaterThanOrEqual(36);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
    const variables = templating.list.map(({ name }) => name);
    const used = JSON.stringify(panels).match(/\$\{?(?!__)\w+/g) ?? [];
    expect(new Set(used.map((name) => name.replace(/^\$\{?/, '')))).toEqual(new Set(variables));
  });
});

describe('GET /metrics with login', async () => {
  const metricsToken = 'a-token-of-a-scraper';
  const server = await startServerWithLogin({ metricsToken });
  const get = (token: string, path = '/metrics') => request(server.url).get(path).set('Authorization', `Bearer ${token}`);

  it('is for administrators, and for who has METRICS_TOKEN', async () => {
    const member = await server.as('member', { scope: 'default', type: 'workspace', permission: 'MANAGE' });
    expect((await server.get('/metrics')).status).toBe(401);
    expect((await member.get('/metrics')).status).toBe(403);
    expect((await get(`${metricsToken}x`)).status).toBe(401);
    expect((await server.admin.get('/metrics')).status).toBe(200);
    const reply = await get(metricsToken);
    expect(reply.status).toBe(200);
    expect(readMetrics(reply.text).sum(REQUESTS, { op: 'server.metrics', status: '401' })).toBe(2);
  });

  it('is all that METRICS_TOKEN opens', async () => {
    for (const path of ['/api/2.0/mlflow/registered-models/search', '/api/2.0/mlflow/users/list', '/api/1.0/audit-events'])
      expect((await get(metricsToken, path)).status, path).toBe(401);
  });

  it('answers who has the token while the database does not', async () => {
    silence(server);
    expect(readMetrics((await get(metricsToken)).text).sum('model_commons_database_up')).toBe(0);
  });
});

describe('GET /metrics of several processes', async () => {
  const dataDir = await makeDataDir();
  const cli = await startServer(dataDir, ['--workers', '2']);
  afterAll(async () => {
    cli.killGroup('SIGKILL');
    await fs.rm(dataDir, { recursive: true, force: true });
  });
  const op = 'registered_model.search';
  const answered = async () => (await scrape(cli)).sum(REQUESTS, { op, status: '200' });

  it('is of all of them, and does not fall when one is lost', { timeout: 120_000 }, async () => {
    const search = () =>
      fetch(`${cli.url}/api/2.0/mlflow/registered-models/search`, { headers: { Connection: 'close' } }).then((reply) => reply.text());
    await Promise.all(Array.from({ length: 40 }, search));
    await expect.poll(answered, { timeout: WITHIN_MS }).toBe(40);
    expect((await scrape(cli)).sum('model_commons_db_pool_max')).toBe(32);
    const [lost = 0] = workersOf(cli);
    process.kill(lost, 'SIGKILL');
    await sleep(500);
    expect(await answered()).toBe(40);
    await search();
    await expect.poll(answered, { timeout: 30_000 }).toBe(41);
    await expect.poll(async () => (await scrape(cli)).sum('model_commons_db_pool_max'), { timeout: 60_000 }).toBe(32);
  });
});
