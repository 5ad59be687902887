import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { balanced } from './helpers/balanced.ts';
import { checkOut, findPreviousRelease } from './helpers/previous-release.ts';
import { makeSite } from './helpers/site.ts';

const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const WRITERS = 4;
const TOGETHER_MS = 4000;

const previous = await findPreviousRelease();

type Failure = { request: string; status: number; text: string };

it.skipIf(previous === null)(
  'the previous release goes on while the new one migrates, and both serve together (skipped without the history in git)',
  { timeout: 180_000 },
  async () => {
    const folder = await checkOut(previous?.commit ?? '');
    onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
    const { databaseUrl, start } = await makeSite();
    const old = await start([], folder);
    expect(await appliedTo(databaseUrl)).toEqual(previous?.migrations);

    const servers = [old];
    const send = balanced(servers);
    const failures: Failure[] = [];
    const made: string[] = [];
    let writing = true;
    /** The life of a model, over and over; each step may come to another server. */
    const writer = async (number: number) => {
      const step = async (method: string, target: string, body?: object | Buffer) => {
        const reply = await send(method, target, body).catch((error: Error) => ({ status: 0, text: String(error.cause ?? error) }));
        if (reply.status !== 200) failures.push({ request: `${method} ${target}`, status: reply.status, text: reply.text });
        return reply;
      };
      for (let i = 0; writing; i++) {
        const name = `m-${number}-${i}`;
        const bytes = randomBytes(2000);
        await step('PUT', `${ARTIFACTS}/models/${name}/model.bin`, bytes);
        await step('POST', 'registered-models/create', { name, tags: [{ key: 'k', value: 'v' }] });
        await step('POST', 'model-versions/create', { name, source: `s3://bucket/${name}` });
        await step('POST', 'registered-models/alias', { name, alias: 'champion', version: '1' });
        await step('POST', 'model-versions/set-tag', { name, version: '1', key: 'k', value: 'v' });
        await step('POST', 'model-versions/transition-stage', {
          name,
          version: '1',
          stage: 'Production',
          archive_existing_versions: false,
        });
        await step('GET', `registered-models/alias?${new URLSearchParams({ name, alias: 'champion' })}`);
        await step('GET', `model-versions/search?${new URLSearchParams({ filter: `name = '${name}'` })}`);
        await step('GET', `${ARTIFACTS}/models/${name}/model.bin`);
        made.push(name);
      }
    };
    const writers = Array.from({ length: WRITERS }, (_, number) => writer(number));
    await sleep(TOGETHER_MS / 2);
    const before = made.length;
    const fresh = await start();
    const during = made.length - before;
    servers.push(fresh);
    await sleep(TOGETHER_MS);
    if (await startsOnNewerSchema(folder)) servers.push(await start([], folder));
    servers.shift();
    old.kill('SIGTERM');
    expect(await old.exited).toBe(0);
    await sleep(TOGETHER_MS / 4);
    writing = false;
    await Promise.all(writers);

    expect(failures).toEqual([]);
    expect([before > 0, during > 0]).toEqual([true, true]);
    expect(await appliedTo(databaseUrl)).toEqual((await fs.readdir(new URL('../migrations', import.meta.url))).toSorted());
    for (const name of made.slice(0, 20).concat(made.slice(-20))) {
      const { status, body } = await send('GET', `registered-models/alias?${new URLSearchParams({ name, alias: 'champion' })}`);
      expect([status, body]).toMatchObject([200, { model_version: { name, version: '1', current_stage: 'Production' } }]);
    }
    expect([old.stderr(), fresh.stderr()]).toEqual(['', '']);
  },
);

/** Releases from before docs/decisions/0011-upgrades.md refuse a schema that is newer than they are. */
const startsOnNewerSchema = async (folder: string): Promise<boolean> =>
  (await fs.readFile(path.join(folder, 'src/platform/db/migrate.ts'), 'utf8')).includes('disableMigrationsListValidation');

async function appliedTo(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ name: string }>('select name from schema_migrations order by name');
  await client.end();
  return rows.map(({ name }) => name);
}
