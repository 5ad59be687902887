import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';

/** A request that may still be changed. `path` is not encoded; `raw` is sent instead of `body`, which is sent as JSON. */
export type Draft = {
  method: string;
  path: string;
  query: [string, string][];
  headers: Record<string, string>;
  body?: unknown;
  raw?: Buffer;
};

/** A request as it is sent. */
export type Wire = { method: string; target: string; headers: Record<string, string>; body: Buffer | undefined };

/** What came back; `ms` until all of it was there. */
export type Answer = { status: number; headers: http.IncomingHttpHeaders; body: Buffer; ms: number };

const GIVES_UP_AFTER_MS = 20_000;

/** What a request line cannot hold is percent-encoded, all else is sent as it is. */
const encoded = (text: string) => text.replace(/[^\x21-\xff]/gu, (char) => encodeURIComponent(char.toWellFormed()));

export function toWire({ method, path, query, headers, body, raw }: Draft): Wire {
  const bytes = raw ?? (body === undefined ? undefined : Buffer.from(JSON.stringify(body)));
  const search = query.map(([name, value]) => `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`);
  const target = encoded(path.replaceAll('?', '%3F')) + (search.length > 0 ? `?${search.join('&')}` : '');
  const chunked = headers['Transfer-Encoding'] !== undefined;
  return {
    method,
    target: target.startsWith('/') ? target : `/${target}`,
    headers: {
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replace(/[^\t\x20-\x7e\x80-\xff]/gu, '')])),
      ...(bytes && !chunked && { 'Content-Length': String(bytes.length) }),
    },
    body: bytes,
  };
}

/** Sends requests to one server, over connections that are kept. */
export function openSender(url: string) {
  const agent = new http.Agent({ keepAlive: true });
  const { hostname, port } = new URL(url);
  const ask = async ({ method, target, headers, body }: Wire): Promise<Answer> => {
    const began = performance.now();
    const request = http.request({ hostname, port, agent, method, path: target, headers });
    request.setTimeout(GIVES_UP_AFTER_MS, () => request.destroy(new Error(`no answer for ${GIVES_UP_AFTER_MS / 1000} s`)));
    // One that comes after the beginning of an answer ends that, or does not matter: a HEAD that cannot be read is answered with a body.
    request.on('error', () => {});
    request.end(body);
    const [reply] = (await once(request, 'response')) as [http.IncomingMessage];
    const bytes = await buffer(reply);
    return { status: reply.statusCode ?? 0, headers: reply.headers, body: bytes, ms: performance.now() - began };
  };
  return {
    /** Resolves to the answer, or to why there is none. A kept connection may be closed just when it is used, so it tries twice. */
    send: (wire: Wire): Promise<Answer | Error> => ask(wire).catch(() => ask(wire).catch((error: Error) => error)),
    close: () => agent.destroy(),
  };
}

export type Sender = ReturnType<typeof openSender>;

/** A request in a form in which it can be sent again. */
export function show({ method, target, headers, body }: Wire): string {
  const text = body?.toString();
  const shown = body === undefined ? '' : Buffer.from(text ?? '').equals(body) ? JSON.stringify(text) : `base64 ${body.toString('base64')}`;
  return [`${method} ${target}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${JSON.stringify(value)}`), shown]
    .filter((line) => line !== '')
    .map((line) => `    ${line.length > 4000 ? `${line.slice(0, 4000)}… (${line.length} characters)` : line}`)
    .join('\n');
}
