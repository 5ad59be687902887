import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';

const LIMIT_MS = 240_000;

/** Runs a script against the server, in an environment without MLflow settings of the developer's own. Resolves to what it printed. */
export async function runPython(python: string, script: string, trackingUri: string): Promise<string> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('MLFLOW_')));
  const child = spawn(python, ['-W', 'ignore', script], {
    cwd: tmpdir(), // so that nothing a client writes beside itself lands in the repository
    env: { ...env, MLFLOW_TRACKING_URI: trackingUri, MLFLOW_DISABLE_TELEMETRY: 'true', PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${script} ended with ${signal ?? `exit code ${code}`}\n${output}`);
  return output;
}
