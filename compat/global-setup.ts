import type { TestProject } from 'vitest/node';
import { type Server, startServer } from './server.ts';
import { ensureVenv, findPython } from './servers/venv.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Base URL of the server under test. */
    trackingUri: string;
    /** The python of each environment in requirements/. */
    pythons: { '3.17': string; '2.22': string; '1.30': string };
  }
}

let server: Server | undefined;

export async function setup(project: TestProject): Promise<void> {
  const python = await findPython();
  const [newest, last2, last1] = await Promise.all([
    ensureVenv('mlflow-3.17.2', python),
    ensureVenv('mlflow-2.22', python),
    ensureVenv('mlflow-1.30', python),
  ]);
  // The receiver of stock/webhooks.py is on this machine.
  server = await startServer({ MLFLOW_WEBHOOK_ALLOWED_SCHEMES: 'http,https', MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: 'true' });
  project.provide('pythons', { '3.17': newest, '2.22': last2, '1.30': last1 });
  project.provide('trackingUri', server.url);
}

export async function teardown(): Promise<void> {
  await server?.stop();
}
