import { once } from 'node:events';
import fs from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { readJsonBody } from '../../src/platform/http/body.ts';
import { replyError } from '../../src/platform/http/reply.ts';
import { createServer } from '../../src/platform/http/server.ts';
import { exchange } from '../helpers/raw.ts';
import { expectRefusal } from '../helpers/refusal.ts';
import { freshName } from '../helpers/seed.ts';
import { startTestServer } from '../helpers/server.ts';
import { expectSecurityHeaders } from './security-headers.ts';

// The rows of "HTTP itself", E1 to E10, and what many slow clients do to others (T13).

const server = await startTestServer();
// As in src/platform/http/server.ts, but shorter.
const HEADERS_MS = 500;
const IDLE_MS = 1000;
const QUIET_MS = 5000;

const CREATE = '/api/2.0/mlflow/registered-models/create';
const SEARCH = '/ajax-api/2.0/mlflow/registered-models/search';
const UPLOAD = '/api/2.0/mlflow-artifacts/artifacts/slow/file';
const head = (method: string, path: string, ...lines: string[]) =>
  [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join('\r\n');
const json = (...lines: string[]) => head('POST', CREATE, 'Content-Type: application/json', ...lines);
const behind = json('Content-Length: 16').concat('{"name": "evil"}');

/** The one answer to these bytes, from a server that closes the connection soon after it. */
async function answerTo(bytes: string | Buffer): Promise<{ status: number; closed: boolean }> {
  const began = performance.now();
  const text = await exchange(server.url, bytes, QUIET_MS);
  const [top = '', body = ''] = text.split('\r\n\r\n');
  expect(text.match(/HTTP\/1\.1 \d+/g), text.slice(0, 500)).toHaveLength(1);
  const status = Number(/\d{3}/.exec(top)?.[0]);
  expectRefusal({ status, body: JSON.parse(body) }, text);
  expectSecurityHeaders(
    new Headers(
      top
        .split('\r\n')
        .slice(1)
        .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
    ),
  );
  return { status, closed: performance.now() - began < QUIET_MS };
}

async function nothingIsThere(): Promise<void> {
  expect((await server.get(SEARCH, { filter: "name = 'evil'" })).body).toEqual({});
}

describe('waiting', () => {
  beforeEach(() => {
    server.http.headersTimeout = HEADERS_MS;
    server.http.timeout = IDLE_MS;
  });

  it('E1: a header that stalls half-way is cut off, with 408', async () => {
    server.http.timeout = 60_000;
    for (const bytes of ['', 'GET', `GET ${SEARCH} HTTP/1.1\r\nHost: loc`])
      expect(await answerTo(bytes)).toEqual({ status: 408, closed: true });
  });

  it('E1: a header that comes byte by byte does not get longer', async () => {
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => {});
    const began = performance.now();
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.write(`GET ${SEARCH} HTTP/1.1\r\nX: `);
    const timer = setInterval(() => socket.write('X'), 100);
    await once(socket, 'close');
    clearInterval(timer);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - began).toBeLessThan(QUIET_MS);
  });

  it.each([
    ['JSON of a known length', json('Content-Length: 100').concat('{"name"')],
    ['JSON in chunks', json('Transfer-Encoding: chunked').concat('7\r\n{"name"\r\n')],
    ['no byte of it', json('Content-Length: 100')],
    ['a file', head('PUT', UPLOAD, 'Content-Length: 1000').concat('0123456789')],
    ['a file in chunks', head('PUT', UPLOAD, 'Transfer-Encoding: chunked').concat('a\r\n0123456789\r\n')],
  ])('E2: a body that stalls half-way is cut off, with 408: %s', async (_, bytes) => {
    expect(await answerTo(bytes)).toEqual({ status: 408, closed: true });
    expect((await server.get(UPLOAD)).status).toBe(404);
  });

  it('E2: a JSON body that comes, but slower than 16 kB/s, is told 408', async () => {
    const log = pino({ level: 'silent' });
    const { http } = createServer((req, res) => {
      readJsonBody(req, 16_000, false).catch((error: unknown) => replyError(error, req, res, log));
    });
    onTestFinished(() => void http.close());
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const arrived = once(http, 'request');
    const socket = net.connect((http.address() as AddressInfo).port, '127.0.0.1');
    socket.write(json('Content-Length: 100').concat('{"name"'));
    await arrived;
    socket.write(':');
    await vi.advanceTimersByTimeAsync(30_900);
    expect(socket.bytesRead).toBe(0);
    await vi.advanceTimersByTimeAsync(200);
    const [reply] = await once(socket, 'data');
    socket.destroy();
    expect(String(reply)).toMatch(/^HTTP\/1\.1 408 .*did not arrive within 31 seconds/s);
  });

  it('E2: a file that comes slowly, but comes, has all the time it takes', async () => {
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write(head('PUT', `${UPLOAD}-whole`, 'Content-Length: 5'));
    for (const byte of 'slow!') {
      await sleep(IDLE_MS / 2);
      socket.write(byte);
    }
    const [reply] = await once(socket, 'data');
    socket.destroy();
    expect(String(reply)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('a download whose reader takes nothing is cut off, and one whose reader is slow is not', async () => {
    const file = '/api/2.0/mlflow-artifacts/artifacts/large/file';
    const bytes = Buffer.alloc(24 * 2 ** 20, 'x');
    await fetch(`${server.url}${file}`, { method: 'PUT', body: new Uint8Array(bytes) });
    server.http.timeout = 100;
    const readAfter = async (pausesMs: number[]) => {
      const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => {});
      socket.write(head('GET', file, 'Connection: close'));
      let received = 0;
      for (const pauseMs of pausesMs) {
        socket.pause();
        await sleep(pauseMs);
        socket.resume();
        received += ((await once(socket, 'data')) as [Buffer])[0].length;
      }
      socket.on('data', (chunk) => {
        received += chunk.length;
      });
      await once(socket, 'close');
      return received;
    };
    expect(await readAfter([3000])).toBeLessThan(bytes.length);
    expect(await readAfter([300, 300, 300])).toBeGreaterThan(bytes.length);
  });

  it('E9: an upload that stops leaves nothing on the disk, and the path free', async () => {
    const before = await fs.readdir(server.artifactDir, { recursive: true });
    await answerTo(head('PUT', UPLOAD, `Content-Length: ${2 ** 20}`).concat('x'.repeat(1024)));
    await expect.poll(() => fs.readdir(server.artifactDir, { recursive: true })).toEqual(before);
  });

  const openSlowOnes = () =>
    Array.from({ length: 400 }, (_, i) => {
      const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => {});
      const bodies = [json('Content-Length: 9'), head('PUT', UPLOAD, 'Content-Length: 9')];
      socket.resume();
      socket.write(i % 2 === 0 ? `GET ${SEARCH} HT` : (bodies[i % 4 === 1 ? 0 : 1] ?? ''));
      return socket;
    });

  it('T13: 200 half-open headers and 200 stalled bodies are all cut off', async () => {
    await Promise.all(openSlowOnes().map((socket) => once(socket, 'close')));
  });

  it('T13: 200 half-open headers and 200 stalled bodies hurt nobody as long as they wait', async () => {
    server.http.headersTimeout = 60_000;
    server.http.timeout = 60_000;
    const slow = openSlowOnes();
    for (let i = 0; i < 20; i++) expect((await server.post('registered-models/create', { name: freshName() })).status).toBe(200);
    expect(slow.filter((socket) => socket.readyState === 'open')).toHaveLength(400);
    for (const socket of slow) socket.destroy();
  });
});

describe('what is no request that can be read', () => {
  it.each([
    ['E3: an absurd Content-Length', json('Content-Length: 99999999999999999999'), 413],
    ['E3: an absurd Content-Length of a file', head('PUT', UPLOAD, 'Content-Length: 99999999999999999999'), 413],
    ['E4: Content-Length and Transfer-Encoding', json('Content-Length: 4', 'Transfer-Encoding: chunked').concat('0\r\n\r\n'), 400],
    ['E5: two Content-Length', json('Content-Length: 2', 'Content-Length: 3').concat('{}'), 400],
    ['E5: two equal Content-Length', json('Content-Length: 2', 'Content-Length: 2').concat('{}'), 400],
    ['E5: a list as Content-Length', json('Content-Length: 2, 3').concat('{}'), 400],
    ['E5: a negative Content-Length', json('Content-Length: -1'), 400],
    ['E5: a Content-Length with a sign', json('Content-Length: +2').concat('{}'), 400],
    ['E5: a bad chunk', json('Transfer-Encoding: chunked').concat('ZZ\r\n'), 400],
    ['E5: an unknown Transfer-Encoding', json('Transfer-Encoding: chunked, gzip'), 400],
    ['E5: a Transfer-Encoding that hides', json('Transfer-Encoding: xchunked'), 400],
    ['E5: two Host headers', head('GET', SEARCH, 'Host: evil.com'), 400],
    ['E5: no Host header', `GET ${SEARCH} HTTP/1.1\r\n\r\n`, 400],
    ['E5: a space before the colon', json('X : y'), 400],
    ['E5: a folded header', json('X: y', ' z'), 400],
    ['E5: garbage', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', 400],
    ['E5: an unknown method', head('BREW', SEARCH), 400],
    ['E6: a header of 100 kB', head('GET', SEARCH, `X: ${'x'.repeat(100_000)}`), 431],
    ['E6: 10 000 headers', head('GET', SEARCH, ...Array.from({ length: 10_000 }, () => 'X: y')), 431],
    ['E6: 10 000 short headers', head('GET', SEARCH, ...Array.from({ length: 10_000 }, () => 'a:')), 431],
    ['E6: 101 headers', head('GET', SEARCH, ...Array.from({ length: 100 }, () => 'X: y')), 431],
    ['E7: a header of 1 MB', head('GET', SEARCH, `X: ${'x'.repeat(1_000_000)}`), 431],
    ['E8: an address of 100 kB', head('GET', `${SEARCH}?filter=${'x'.repeat(100_000)}`), 414],
    ['E8: a path of 33 kB', head('GET', `/${'x'.repeat(33 * 1024)}`), 414],
    ['E10: HTTP/9.9', `GET ${SEARCH} HTTP/9.9\r\nHost: localhost\r\n\r\n`, 400],
    ['E10: HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ])('%s is refused, the connection is closed, and nothing behind it is read', async (_, bytes, status) => {
    expect(await answerTo(bytes + behind)).toEqual({ status, closed: true });
    await nothingIsThere();
  });

  it('E6: 100 headers are read', async () => {
    const text = await exchange(server.url, head('GET', SEARCH, 'Connection: close', ...Array.from({ length: 98 }, () => 'X: y')));
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('F1: an empty Host is refused like any unknown host', async () => {
    expect(await exchange(server.url, `GET ${SEARCH} HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('HTTP/1.0, which knows no Host, is refused like any unknown host', async () => {
    expect(await exchange(server.url, `GET ${SEARCH} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 403 /);
  });
});

it('requests sent one behind the other are forgotten when their client goes', async () => {
  const asked: string[] = [];
  const { http, running } = createServer((req) => asked.push(req.url ?? ''));
  onTestFinished(() => void http.close());
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const socket = net.connect((http.address() as AddressInfo).port, '127.0.0.1');
  socket.write(['/1', '/2', '/3'].map((path) => head('GET', path)).join(''));
  await expect.poll(() => asked).toEqual(['/1', '/2', '/3']);
  expect(running.size).toBe(3);
  socket.destroy();
  await expect.poll(() => running.size).toBe(0);
});
