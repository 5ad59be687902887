import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Running, tailOf } from './processes.ts';

const READY_WITHIN_MS = 240_000;
const ASK_EVERY_MS = 10;

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}

/** Resolves when `isReady` says yes. Throws with the end of the log when the process ends before, or takes longer than four minutes. */
export async function waitUntil(isReady: () => Promise<boolean>, running: Running): Promise<void> {
  const until = Date.now() + READY_WITHIN_MS;
  while (!(await isReady())) {
    if (running.hasEnded() || Date.now() > until)
      throw new Error(`a server did not get ready; its log ends with:\n${tailOf(running.logFile)}`);
    await sleep(ASK_EVERY_MS);
  }
}

/** Whether the server answers GET /health with 200. */
export function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path: '/health', agent: false, timeout: 5_000 }, (reply) => {
      reply.resume();
      resolve(reply.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}
