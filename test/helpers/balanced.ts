type Options = { workspace?: string; authorization?: string | null; headers?: Record<string, string> };

export type Reply = { status: number; text: string; headers: Headers; body: never };

/**
 * A client behind a balancer without sticky sessions: each request goes to the next of `servers`. Paths are relative to /api/2.0/mlflow unless they start with
 * `/`. A body that is no Buffer is sent as JSON.
 */
export function balanced(servers: { url: string }[], { authorization: usual = null }: Pick<Options, 'authorization'> = {}) {
  let turn = 0;
  return async function send(
    method: string,
    target: string,
    body?: object | Buffer,
    { workspace, authorization = usual, headers = {} }: Options = {},
  ): Promise<Reply> {
    const { url } = servers[turn++ % servers.length] as { url: string };
    const reply = await fetch(`${url}${target.startsWith('/') ? target : `/api/2.0/mlflow/${target}`}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(body && !Buffer.isBuffer(body) && { 'Content-Type': 'application/json' }),
        ...(authorization !== null && { Authorization: authorization }),
        ...(workspace !== undefined && { 'X-MLFLOW-WORKSPACE': workspace }),
        ...headers,
      },
      ...(body && { body: Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body) }),
    });
    const text = await reply.text();
    const isJson = reply.headers.get('content-type')?.includes('json');
    return { status: reply.status, text, headers: reply.headers, body: (isJson ? JSON.parse(text) : undefined) as never };
  };
}

export type Send = ReturnType<typeof balanced>;

/** As `send`, for a request that must succeed: gives the body of the answer. */
export const succeeding =
  (send: Send) =>
  async <Body = Record<string, unknown>>(...request: Parameters<Send>): Promise<Body> => {
    const { status, text, body } = await send(...request);
    if (status >= 300) throw new Error(`${request[0]} ${request[1]} answered ${status}: ${text}`);
    return body as Body;
  };

export const basic = (username: string, password: string) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
