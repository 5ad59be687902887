import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { type Logger, pino } from 'pino';
import request from 'supertest';
import { afterAll, inject } from 'vitest';
import { openAudit } from '../../src/access/audit/open.ts';
import { type AuthSettings, openAccess } from '../../src/access/open.ts';
import { createApp } from '../../src/app.ts';
import type { BlobStore } from '../../src/artifacts/blobs/blob-store.ts';
import { openLocalStore } from '../../src/artifacts/blobs/local.ts';
import type { AdoptionSettings } from '../../src/artifacts/external-location.ts';
import { readConfig } from '../../src/config.ts';
import { type ObserveSettings, observe } from '../../src/observe.ts';
import { openPool } from '../../src/platform/db/database.ts';
import type { SecuritySettings } from '../../src/platform/http/security.ts';
import { createServer } from '../../src/platform/http/server.ts';
import type { LocationRules } from '../../src/platform/uri.ts';
import { openConsumers } from '../../src/registry/consumers/open.ts';
import { openWebhooks, type WebhookSettings } from '../../src/registry/webhooks/open.ts';
import { databaseUrl, TEMPLATE } from './global-setup.ts';

type Body = Record<string, unknown> | string | unknown[];

/**
 * A server of a test file's own: a database cloned from the template and an empty artifact folder, unless it gets a `store`. It is closed after the file; the database goes with the whole PostgreSQL.
 * Paths are relative to /api/2.0/mlflow unless they start with `/`.
 */
export async function startTestServer(
  security: SecuritySettings = readConfig([], {}).security,
  webhooks: Partial<WebhookSettings> = {},
  locations: LocationRules = readConfig([], {}).locations,
  store?: BlobStore,
  adoption: AdoptionSettings = readConfig([], {}).adoption,
  auth: AuthSettings = readConfig([], {}).auth,
  audited = auth.on,
  { log = pino({ level: 'silent' }), ...observed }: Partial<ObserveSettings> & { log?: Logger } = {},
) {
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  await admin.query(`create database ${database} template ${TEMPLATE} strategy file_copy`);
  await admin.end();
  const artifactDir = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-artifacts-'));
  const db = openPool(databaseUrl(inject('postgresUrl'), database), 10);
  const blobs = store ?? (await openLocalStore(artifactDir));
  const { watch, metricsText, pool, attempted, stop } = await observe({ ...readConfig([], {}).observe, ...observed }, log);
  pool('primary', db);
  const hooks = await openWebhooks(db, { ...readConfig(['--data-dir', artifactDir], {}).webhooks, ...webhooks }, log, attempted);
  const access = await openAccess(db, auth);
  const audit = audited ? openAudit(db, log, 100) : null;
  const consumers = openConsumers(db, log, 50);
  const { http: server } = createServer(
    createApp({
      db,
      replicas: null,
      blobs,
      webhooks: hooks,
      consumers,
      links: readConfig([], {}).links,
      locations,
      adoption,
      log,
      security,
      access,
      audit,
      watch,
      metricsText,
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await hooks.stop();
    await consumers.stop();
    access?.stop();
    await audit?.stop();
    await db.end();
    await stop();
    await fs.rm(artifactDir, { recursive: true, force: true });
  });

  const at = (target: string) => (target.startsWith('/') ? target : `/api/2.0/mlflow/${target}`);
  const send = (method: 'post' | 'put' | 'patch' | 'delete', target: string, body: Body = {}) =>
    request(url)
      [method](at(target))
      .set('Content-Type', 'application/json')
      .send(typeof body === 'string' ? body : JSON.stringify(body));
  return {
    url,
    http: server,
    db,
    metricsText,
    artifactDir,
    get: (target: string, query: Record<string, string | number | boolean | string[]> = {}) => request(url).get(at(target)).query(query),
    post: (target: string, body?: Body) => send('post', target, body),
    put: (target: string, body?: Body) => send('put', target, body),
    patch: (target: string, body?: Body) => send('patch', target, body),
    delete: (target: string, body?: Body) => send('delete', target, body),
  };
}

export type TestServer = Awaited<ReturnType<typeof startTestServer>>;
