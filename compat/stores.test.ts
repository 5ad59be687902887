import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { runPython } from './run-python.ts';
import { type Server, startServer } from './server.ts';
import { type Moto, startMoto } from './servers/moto.ts';

const scripts = ['artifacts.py', 'artifacts_in_parts.py', 'register_and_load.py'];

// A server that runs already has the store that it has.
describe.skipIf(process.env.COMPAT_URL)('with artifacts in S3', () => {
  let [folder, moto, server]: [string, Moto | undefined, Server | undefined] = ['', undefined, undefined];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'model-commons-compat-s3-'));
    moto = await startMoto(folder);
    server = await startServer({
      ARTIFACTS_URL: 's3://models/compat',
      S3_ENDPOINT: moto.url,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_REGION: 'us-east-1',
      // A database belongs to one store.
      DATABASE_URL: '',
    });
  });
  afterAll(async () => {
    await server?.stop();
    await moto?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it.each(scripts)('%s passes with the stock mlflow 3.17 client', async (script) => {
    const output = await runPython(inject('pythons')['3.17'], join(import.meta.dirname, 'stock', script), server?.url ?? '');
    expect(output).toMatch(/^ok /m);
    expect(output).not.toMatch(/^not ok /m);
  });

  it('keeps the bytes there', async () => {
    const listing = await (await fetch(`${moto?.url}/models?list-type=2&max-keys=5`)).text();
    expect(listing).toContain('<Key>compat/blobs/');
  });
});
