import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** How to reach a server. `workspace` is null for callers who name none. */
export type ServerAddress = { url: string; workspace: string | null; authorization: string | null; signal: AbortSignal };

/** An answer that trying again does not change. */
export class ServerError extends Error {
  readonly status: number;
  /** MLflow's error code; null when the answer was not the server's own. */
  readonly code: string | null;

  constructor(message: string, status: number, code: string | null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const TRIES = 5;
const FIRST_PAUSE_MS = 500;
const ANSWERS_WITHIN_MS = 120_000;

type Sending = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  headers?: Record<string, string>;
  body?: string;
  /** False for what must not be done twice: it is tried again only when the server says that it did nothing. */
  repeatable?: boolean;
};

/** Sends a request until it is answered, for up to five times when the server is busy or cannot be reached. Throws ServerError, or why it cannot be reached. */
export async function request(server: ServerAddress, path: string, sending: Sending = {}): Promise<Response> {
  return untilAnswered(server, path, sending.repeatable !== false, () => send(server, path, sending));
}

async function untilAnswered(server: ServerAddress, path: string, isRepeatable: boolean, send: () => Promise<Response>): Promise<Response> {
  for (let tried = 1; ; tried++) {
    const response = await send().catch((error: unknown) => error as Error);
    if (!(response instanceof Error) && response.ok) return response;
    const didNothing = !(response instanceof Error) && [429, 503].includes(response.status);
    const mayHelp = response instanceof Error || response.status === 429 || response.status >= 500;
    const isWorthIt = didNothing || (mayHelp && isRepeatable);
    if (server.signal.aborted) throw new Error('stopped');
    if (!isWorthIt || tried === TRIES) throw response instanceof Error ? unreachable(server.url, response) : await errorOf(response, path);
    if (!(response instanceof Error)) await response.body?.cancel();
    await sleep(FIRST_PAUSE_MS * 2 ** (tried - 1), undefined, { signal: server.signal }).catch(() => {});
  }
}

async function send(server: ServerAddress, path: string, { method = 'GET', headers = {}, body }: Sending): Promise<Response> {
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), ANSWERS_WITHIN_MS);
  try {
    return await fetch(server.url + path, {
      method,
      // Bytes as they are: a packed answer has no ranges.
      headers: { ...headers, 'Accept-Encoding': 'identity', ...headersOf(server) },
      ...(body !== undefined && { body }),
      signal: AbortSignal.any([server.signal, waiting.signal]),
    });
  } finally {
    clearTimeout(timer);
  }
}

const headersOf = ({ workspace, authorization }: ServerAddress): Record<string, string> => ({
  ...(workspace !== null && { 'X-MLFLOW-WORKSPACE': workspace }),
  ...(authorization !== null && { Authorization: authorization }),
});

/**
 * Puts a stream of `length` bytes to a path, `open` anew for each try, for as long as it takes. Throws as `request`. Not by `fetch`, which reads a stream
 * as fast as it can and holds what the server has not taken (seen with Node 20).
 */
export async function putStream(server: ServerAddress, path: string, length: number, open: () => Readable): Promise<void> {
  await untilAnswered(server, path, true, async () => {
    const url = new URL(server.url + path);
    const { request } = url.protocol === 'https:' ? https : http;
    return new Promise<Response>((resolve, reject) => {
      const sent = request(
        url,
        { method: 'PUT', headers: { ...headersOf(server), 'Content-Length': length }, signal: server.signal },
        (answer) => {
          text(answer).then((body) => resolve(new Response(body || null, { status: answer.statusCode ?? 500 })), reject);
        },
      );
      pipeline(open(), sent).catch(reject);
    });
  });
}

const unreachable = (url: string, error: Error) =>
  new Error(`The server at ${url} cannot be reached (${(error.cause as Error | undefined)?.message || error.message}).`);

async function errorOf(response: Response, path: string): Promise<ServerError> {
  const body = await response.text().catch(() => '');
  try {
    const { error_code: code, message } = JSON.parse(body) as { error_code: unknown; message: unknown };
    if (typeof code === 'string') return new ServerError(String(message), response.status, code);
  } catch {
    // It is not MLflow's shape.
  }
  return new ServerError(`The server answered ${response.status} to ${new URL(path, 'http://server').pathname}.`, response.status, null);
}

/** The parsed answer to a GET with these arguments. Its shape is to be checked by the caller. */
export async function getJson(server: ServerAddress, path: string, query: Record<string, string> = {}): Promise<unknown> {
  const search = new URLSearchParams(query).toString();
  return (await request(server, search === '' ? path : `${path}?${search}`)).json();
}

/** The parsed answer to a change, which is sent once. Its shape is to be checked by the caller. */
export async function sendJson(
  server: ServerAddress,
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  content: unknown = {},
): Promise<unknown> {
  const body = JSON.stringify(content);
  return (await request(server, path, { method, body, headers: { 'Content-Type': 'application/json' }, repeatable: false })).json();
}
