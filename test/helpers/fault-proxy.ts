import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/**
 * What goes wrong with a request: `status` answers an S3 error of that `code` instead of the store; `cut request` and `cut reply` break the
 * connection off after half of the body, `lose reply` when the store has done what it was asked; `stall` never answers; `stall reply` sends half of the body, then nothing.
 */
export type Fault = { status: number; code: string } | 'cut request' | 'cut reply' | 'lose reply' | 'stall' | 'stall reply';

/** A proxy in front of a store. `plan` is asked about every request, `seen` tells what was asked: `PUT /bucket/key?query`. */
export type FaultProxy = { url: string; plan: (request: string) => Fault | undefined; seen: string[]; stop(): void };

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const server = http.createServer((req, res) => {
    const request = `${req.method} ${req.url}`;
    proxy.seen.push(request);
    const fault = proxy.plan(request);
    if (fault === 'stall') return;
    if (fault === 'cut request') {
      const half = Number(req.headers['content-length'] ?? 0) / 2;
      let received = 0;
      req.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received >= half) req.socket.resetAndDestroy();
      });
      if (half === 0) req.socket.resetAndDestroy();
      return;
    }
    void buffer(req).then(
      (body) => {
        if (typeof fault === 'object') {
          const text = `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>secret-host says no</Message></Error>`;
          res.writeHead(fault.status, { 'Content-Type': 'application/xml' }).end(text);
          return;
        }
        const onward = http.request(new URL(req.url ?? '/', target), { method: req.method, headers: req.headers }, async (reply) => {
          if (fault === undefined) {
            reply.on('error', () => res.destroy());
            res.writeHead(reply.statusCode ?? 500, reply.headers);
            reply.pipe(res);
            return;
          }
          const bytes = await buffer(reply);
          if (fault === 'lose reply') {
            res.socket?.resetAndDestroy();
            return;
          }
          res.writeHead(reply.statusCode ?? 500, reply.headers);
          res.write(bytes.subarray(0, bytes.length / 2), () => {
            if (fault === 'cut reply') res.socket?.resetAndDestroy();
          });
        });
        onward.on('error', () => res.destroy());
        onward.end(body);
      },
      () => {},
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    plan: () => undefined,
    seen: [],
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return proxy;
}
