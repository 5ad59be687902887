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

/** Sends a request until it is answered, for up to five times when the server is busy or cannot be reached. Throws ServerError, or why it cannot be reached. */
export async function request(server: ServerAddress, path: string, headers: Record<string, string> = {}): Promise<Response> {
  for (let tried = 1; ; tried++) {
    const response = await send(server, path, headers).catch((error: unknown) => error as Error);
    if (!(response instanceof Error) && response.ok) return response;
    const isWorthIt = response instanceof Error || response.status === 429 || response.status >= 500;
    if (server.signal.aborted) throw new Error('stopped');
    if (!isWorthIt || tried === TRIES) throw response instanceof Error ? unreachable(server.url, response) : await errorOf(response);
    if (!(response instanceof Error)) await response.body?.cancel();
    await sleep(FIRST_PAUSE_MS * 2 ** (tried - 1), undefined, { signal: server.signal }).catch(() => {});
  }
}

async function send(server: ServerAddress, path: string, headers: Record<string, string>): Promise<Response> {
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), ANSWERS_WITHIN_MS);
  try {
    return await fetch(server.url + path, {
      headers: {
        ...headers,
        // Bytes as they are: a packed answer has no ranges.
        'Accept-Encoding': 'identity',
        ...(server.workspace !== null && { 'X-MLFLOW-WORKSPACE': server.workspace }),
        ...(server.authorization !== null && { Authorization: server.authorization }),
      },
      signal: AbortSignal.any([server.signal, waiting.signal]),
    });
  } finally {
    clearTimeout(timer);
  }
}

const unreachable = (url: string, error: Error) =>
  new Error(`The server at ${url} cannot be reached (${(error.cause as Error | undefined)?.message || error.message}).`);

async function errorOf(response: Response): Promise<ServerError> {
  const text = await response.text().catch(() => '');
  try {
    const { error_code: code, message } = JSON.parse(text) as { error_code: unknown; message: unknown };
    if (typeof code === 'string') return new ServerError(String(message), response.status, code);
  } catch {
    // It is not MLflow's shape.
  }
  return new ServerError(`The server answered ${response.status} to ${new URL(response.url).pathname}.`, response.status, null);
}

/** The parsed answer to a GET with these arguments. Its shape is to be checked by the caller. */
export async function getJson(server: ServerAddress, path: string, query: Record<string, string> = {}): Promise<unknown> {
  const search = new URLSearchParams(query).toString();
  return (await request(server, search === '' ? path : `${path}?${search}`)).json();
}
