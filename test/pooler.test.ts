import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openPool, run, statement, transaction, undo } from '../src/platform/db/database.ts';
import { balanced, basic, succeeding } from './helpers/balanced.ts';
import { findPgBouncer, startPgBouncer } from './helpers/pgbouncer.ts';
import { runCli, startServer } from './helpers/process.ts';
import { startReceiver } from './helpers/receiver.ts';
import { makeSite } from './helpers/site.ts';

const pgBouncer = await findPgBouncer();
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const POOLER = ['--database-pooler', 'transaction'];
const ADMIN = { ADMIN_USERNAME: 'admin', ADMIN_PASSWORD: 'correct horse battery' };
const env = {
  ...ADMIN,
  AUTH: 'on',
  MLFLOW_WEBHOOK_ALLOWED_SCHEMES: 'http,https',
  MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: 'true',
};

describe.skipIf(pgBouncer === null)('PgBouncer in transaction mode (skipped where it is not installed: apt-get install pgbouncer)', () => {
  it('serves three servers, started at once on an empty database, with fewer connections than they have requests', {
    timeout: 180_000,
  }, async () => {
    const { databaseUrl, start } = await makeSite(env);
    const through = await startPgBouncer(pgBouncer as string, databaseUrl, 4);
    const flags = ['--database-url', through, ...POOLER];
    const servers = await Promise.all([start(flags), start(flags), start(flags)]);
    const send = balanced(servers, { authorization: basic('admin', ADMIN.ADMIN_PASSWORD) });
    const ask = succeeding(send);
    const receiver = await startReceiver();
    const at = <T>(count: number, make: (i: number) => Promise<T>) => Promise.all(Array.from({ length: count }, (_, i) => make(i)));

    await ask('POST', '/api/3.0/mlflow/workspaces', { name: 'dev' });
    await ask('POST', '/api/1.0/registries', { name: 'shared' });
    const dev = { workspace: 'dev' };
    await ask(
      'POST',
      'webhooks',
      { name: 'hook', url: receiver.url, secret: 's', events: [{ entity: 'MODEL_VERSION', action: 'CREATED' }] },
      dev,
    );
    await ask('POST', 'registered-models/create', { name: 'fraud' }, dev);
    await new Promise((resolve) => setTimeout(resolve, 1200));

    const { experiment_id } = await ask<{ experiment_id: string }>('POST', 'experiments/create', { name: 'e' }, dev);
    type Run = { run: { info: { run_id: string; artifact_uri: string } } };
    const { info } = (await ask<Run>('POST', 'runs/create', { experiment_id }, dev)).run;
    await at(20, (i) => ask('POST', 'runs/log-metric', { run_id: info.run_id, key: 'auc', value: i, timestamp: 1, step: i }, dev));
    const folder = `${ARTIFACTS}/${info.artifact_uri.replace('mlflow-artifacts:/', '')}/model`;
    const files = Array.from({ length: 10 }, () => randomBytes(50_000));
    await at(10, (i) => ask('PUT', `${folder}/${i}.bin`, files[i] as Buffer, dev));

    const versions = await at(30, () =>
      ask<{ model_version: { version: string } }>(
        'POST',
        'model-versions/create',
        { name: 'fraud', source: `runs:/${info.run_id}/model`, run_id: info.run_id },
        dev,
      ),
    );
    const numbers = versions.map(({ model_version: { version } }) => Number(version));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    await at(30, (i) => ask('POST', 'registered-models/alias', { name: 'fraud', alias: `a${i % 5}`, version: String(i + 1) }, dev));
    await at(30, (i) => ask('POST', 'model-versions/set-tag', { name: 'fraud', version: String(i + 1), key: 'k', value: String(i) }, dev));
    const found = await at(60, (i) =>
      ask<{ model_versions: unknown[] }>(
        'GET',
        `model-versions/search?filter=${encodeURIComponent(`name = 'fraud' and tag.k = '${i % 30}'`)}`,
        undefined,
        dev,
      ),
    );
    expect(found.map(({ model_versions }) => model_versions.length)).toEqual(Array(60).fill(1));

    const promoted = await ask<{ target: { version: string } }>('POST', '/api/1.0/promotions', {
      source: { workspace: 'dev', name: 'fraud', version: '1' },
      target: { registry: 'shared' },
      set_aliases: ['champion'],
    });
    expect(promoted.target.version).toBe('1');
    const { artifact_uri } = await ask<{ artifact_uri: string }>(
      'GET',
      'model-versions/get-download-uri?name=shared.fraud&version=1',
      undefined,
      dev,
    );
    const reply = await fetch(`${servers[0]?.url}${ARTIFACTS}/${artifact_uri.replace('mlflow-artifacts:/', '')}/3.bin`, {
      headers: { Authorization: basic('admin', ADMIN.ADMIN_PASSWORD), 'X-MLFLOW-WORKSPACE': 'dev' },
    });
    expect(Buffer.from(await reply.arrayBuffer()).equals(files[3] as Buffer)).toBe(true);

    // A refusal that asks, in its transaction, why.
    expect((await send('POST', 'registered-models/create', { name: 'fraud' }, dev)).body).toMatchObject({
      error_code: 'RESOURCE_ALREADY_EXISTS',
    });
    const guesses = await at(3, () => send('GET', 'registered-models/search', undefined, { authorization: basic('admin', 'wrong') }));
    expect(guesses.map(({ status }) => status)).toEqual([401, 401, 401]);
    const { token } = await ask<{ token: string }>('POST', '/api/1.0/tokens', { name: 'ci' });
    expect(
      (await at(3, () => send('GET', 'users/current', undefined, { authorization: `Bearer ${token}` }))).map(({ status }) => status),
    ).toEqual([200, 200, 200]);
    await ask('DELETE', '/api/3.0/mlflow/workspaces/dev?mode=CASCADE');

    await receiver.first(30);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(new Set(receiver.received.map(({ headers }) => headers['x-mlflow-delivery-id'])).size).toBe(30);
    expect(receiver.received).toHaveLength(30);

    for (const server of servers) server.kill('SIGTERM');
    expect(await Promise.all(servers.map(({ exited }) => exited))).toEqual([0, 0, 0]);
    expect(servers.map(({ stderr }) => stderr())).toEqual(['', '', '']);
    const verify = runCli(['audit', 'verify', ...flags]);
    expect([await verify.exited, verify.stdout(), verify.stderr()]).toEqual([0, expect.stringMatching(/all is as it was written/), '']);
  });

  it('gets limits with each statement and transaction, and nothing is left on its connections', async () => {
    const { databaseUrl } = await makeSite();
    const through = await startPgBouncer(pgBouncer as string, databaseUrl, 1);
    const db = openPool(through, 4, 'transaction');
    const LIMITS = statement(
      'limits',
      `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
         current_setting('idle_in_transaction_session_timeout') as idle, :given::integer as given`,
    );
    const limits = { statement: '1min', lock: '20s', idle: '1min', given: 7 };
    try {
      expect(await run(db, LIMITS, { given: 7 })).toEqual([limits]);
      const inTransaction = await transaction(db, async (tx) => {
        const [before] = await run(tx, LIMITS, { given: 7 });
        await tx.query('set local statement_timeout = 0');
        const [changed] = await run(tx, LIMITS, { given: 7 });
        await expect(run(tx, statement('broken', 'select 1 / :zero::integer'), { zero: 0 })).rejects.toThrow('division by zero');
        await undo(tx);
        const [after] = await run(tx, LIMITS, { given: 7 });
        return [before, changed, after];
      });
      expect(inTransaction).toEqual([limits, { ...limits, statement: '0' }, limits]);
      // One connection for four clients: each statement would meet the names and settings of the others.
      const many = await Promise.all(Array.from({ length: 40 }, (_, given) => run(db, LIMITS, { given })));
      expect(many.flat()).toEqual(Array.from({ length: 40 }, (_, given) => ({ ...limits, given })));
      await expect(run(db, statement('fails', 'select :text::integer'), { text: 'x' })).rejects.toMatchObject({ code: '22P02' });
      const other = openPool(through, 1, 'transaction');
      const client = await other.connect();
      await client.query('begin; set local statement_timeout = default');
      expect((await client.query('select count(*)::integer as names from pg_prepared_statements')).rows).toEqual([{ names: 0 }]);
      await client.query('rollback');
      client.release();
      await other.end();
    } finally {
      await db.end();
    }
  });

  it('is told how to be used when the servers were not told of it', { timeout: 60_000 }, async () => {
    const { databaseUrl, dataDir } = await makeSite();
    const through = await startPgBouncer(pgBouncer as string, databaseUrl, 4);
    await expect(startServer(dataDir, ['--database-url', through])).rejects.toThrow(
      /unsupported startup parameter: options\. It is a connection pooler: set DATABASE_POOLER=transaction\.\n$/,
    );
  });
});
