import path from 'node:path';
import { freePort, isHealthy, waitUntil } from '../compat/servers/ports.ts';
import { start, tailOf } from '../compat/servers/processes.ts';
import type { Site } from '../compat/servers/servers.ts';
import { applyLoad } from './load.ts';
import { get } from './requests.ts';

/** What the generator can drive at most: requests per second of a process that answers 400 bytes without reading the request, for each number of connections. */
export async function measureCeilings(
  site: Site,
  { connections: numbers, seconds }: { connections: number[]; seconds: number },
): Promise<{ connections: number; perSecond: number }[]> {
  const port = await freePort();
  const responder = `
    const reply = Buffer.from('HTTP/1.1 200 OK\\r\\nContent-Length: 400\\r\\n\\r\\n' + 'x'.repeat(400));
    require('net').createServer((socket) => socket.setNoDelay(true).on('error', () => {}).on('data', () => socket.write(reply))).listen(${port}, '127.0.0.1');`;
  const logFile = path.join(site.folder, 'ceiling.log');
  const running = start({ command: process.execPath, args: ['-e', responder], cwd: site.folder, logFile });
  await waitUntil(() => isHealthy(port), running);
  const request = get({ label: 'ceiling', port }, '/health');
  const ceilings = [];
  for (const connections of numbers) {
    const { perSecond, failures } = await applyLoad({ port, next: () => request, check: () => {}, connections, seconds });
    if (Object.keys(failures).length > 0) throw new Error(`the generator's own ceiling: ${JSON.stringify(failures)} ${tailOf(logFile)}`);
    ceilings.push({ connections, perSecond });
  }
  await running.stop();
  return ceilings;
}
