import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';

const LIMIT_MS = 240_000;

/** Runs a script against the server. Resolves to what it printed. */
export function runPython(python: string, script: string, trackingUri: string): Promise<string> {
  return runClient(python, ['-W', 'ignore', script], { MLFLOW_TRACKING_URI: trackingUri }, LIMIT_MS);
}

/**
 * Runs a client with these variables, in an environment without MLflow settings of the developer's own. Resolves to what it printed; throws with
 * that when it fails or takes longer than the limit.
 */
export async function runClient(command: string, args: string[], settings: Record<string, string>, limitMs: number): Promise<string> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('MLFLOW_')));
  const child = spawn(command, args, {
    cwd: tmpdir(), // so that nothing a client writes beside itself lands in the repository
    env: { ...env, MLFLOW_DISABLE_TELEMETRY: 'true', PYTHONDONTWRITEBYTECODE: '1', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limitMs,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${signal ?? `exit code ${code}`}\n${output}`);
  return output;
}
