import { join } from 'node:path';
import { freePort, waitUntil } from './ports.ts';
import { start } from './processes.ts';
import { ensureVenv, findPython } from './venv.ts';

export type Moto = { url: string; stop(): Promise<void> };

/** Starts the S3 server of the Python package moto, which keeps all in memory; its log goes to `folder`. */
export async function startMoto(folder: string): Promise<Moto> {
  const command = await ensureVenv('moto', await findPython());
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const running = start({
    command,
    args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)],
    cwd: folder,
    logFile: join(folder, 'moto.log'),
  });
  const answers = () =>
    fetch(`${url}/moto-api/`).then(
      (reply) => reply.ok,
      () => false,
    );
  await waitUntil(answers, running);
  return { url, stop: () => running.stop() };
}
