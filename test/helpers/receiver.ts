import { createHmac } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { afterAll, expect } from 'vitest';

/** A request that a receiver of webhooks got. */
export type Received = {
  headers: http.IncomingHttpHeaders;
  raw: string;
  body: { [field: string]: unknown };
  /** The host that the TLS handshake named. */
  servername: string | undefined;
};

type Reply = { status?: number; headers?: Record<string, string>; body?: string; silent?: true };

/**
 * A web server that gets webhooks, on `url`; with a certificate it speaks TLS. It answers 200 unless `replies` has something else for the next ones. It ends
 * after the test file.
 */
export async function startReceiver(certificate?: { key: string; cert: string }) {
  const received: Received[] = [];
  const replies: Reply[] = [];
  const listener: http.RequestListener = async (req, res) => {
    const raw = await text(req);
    const { servername } = req.socket as TLSSocket;
    received.push({ headers: req.headers, raw, body: JSON.parse(raw), servername: servername || undefined });
    const { status = 200, headers = {}, body = '', silent } = replies.shift() ?? {};
    if (!silent) res.writeHead(status, headers).end(body);
  };
  const server = certificate ? https.createServer(certificate, listener) : http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `${certificate ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
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
