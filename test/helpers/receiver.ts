import { createHmac } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, expect } from 'vitest';

/** A request that a receiver of webhooks got. */
export type Received = { headers: http.IncomingHttpHeaders; raw: string; body: { [field: string]: unknown } };

type Reply = { status?: number; headers?: Record<string, string>; body?: string; silent?: true };

/** A web server that gets webhooks, on `url`. It answers 200 unless `replies` has something else for the next ones. It ends after the test file. */
export async function startReceiver() {
  const received: Received[] = [];
  const replies: Reply[] = [];
  const server = http.createServer(async (req, res) => {
    const raw = await text(req);
    received.push({ headers: req.headers, raw, body: JSON.parse(raw) });
    const { status = 200, headers = {}, body = '', silent } = replies.shift() ?? {};
    if (!silent) res.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    replies,
    /** The first `count` requests, once they are there. */
    async first(count: number, timeout = 5000): Promise<Received[]> {
      await expect.poll(() => received.length, { timeout, interval: 10 }).toBeGreaterThanOrEqual(count);
      return received.slice(0, count);
    },
  };
}

/** What X-MLflow-Signature must be. */
export function signatureOf(secret: string, { headers, raw }: Received): string {
  const signed = `${headers['x-mlflow-delivery-id']}.${headers['x-mlflow-timestamp']}.${raw}`;
  return `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`;
}
