import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runClient } from './run-python.ts';
import { type Server, startServer } from './server.ts';
import { ensureVenv, findPython } from './servers/venv.ts';

const LIMIT_MS = 240_000;
const ADMIN = { ADMIN_USERNAME: 'admin', ADMIN_PASSWORD: 'correct horse battery' };

// A server that runs already has login on or off.
describe.skipIf(process.env.COMPAT_URL)('with login', () => {
  let server: Server | undefined;
  beforeAll(async () => {
    server = await startServer({ AUTH: 'on', ...ADMIN });
  });
  afterAll(() => server?.stop());

  it.each([
    ['auth_2_22.py', '2.22'],
    ['auth_3_10.py', '3.10'],
    ['auth_3_17.py', '3.17.2'],
    ...['1.30', '2.9', '2.22', '3.0', '3.5', '3.10', '3.17.2'].map((version) => ['signing_in.py', version] as const),
  ] as const)('%s passes with the stock mlflow %s client', async (script, version) => {
    const python = await ensureVenv(`mlflow-${version}`, await findPython());
    const settings = { MLFLOW_TRACKING_URI: server?.url ?? '', ...ADMIN };
    const output = await runClient(python, ['-W', 'ignore', join(import.meta.dirname, 'stock-auth', script)], settings, LIMIT_MS);
    expect(output).toMatch(/^ok /m);
  });
});
