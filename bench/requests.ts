import { Connection, type Reply } from './load.ts';

export const API = '/api/2.0/mlflow';
const CONNECTIONS_TO_PREPARE = 8;

export type Target = { label: string; port: number };

export function get(target: Target, path: string, query: Record<string, string> = {}): Buffer {
  const search = Object.keys(query).length > 0 ? `?${new URLSearchParams(query)}` : '';
  return Buffer.from(`GET ${path}${search} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nAccept: */*\r\n\r\n`);
}

export const post = (target: Target, path: string, body: unknown): Buffer => sendJson('POST', target, path, body);

export function sendJson(method: 'POST' | 'PUT', target: Target, path: string, body: unknown): Buffer {
  const json = JSON.stringify(body);
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}`;
  return Buffer.from(`${head}\r\n\r\n${json}`);
}

export function putFile(target: Target, path: string, content: string): Buffer {
  const head = `PUT /api/2.0/mlflow-artifacts/artifacts/${path} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}`;
  return Buffer.from(`${head}\r\nContent-Length: ${Buffer.byteLength(content)}\r\n\r\n${content}`);
}

/** Sends the requests one after the other. Like all that follow it throws at the first answer that is no success. */
export async function callEach(target: Target, requests: Buffer[]): Promise<void> {
  await callChains(target, [requests]);
}

/** Sends requests of which none needs another, several at once; gives the JSON of the answers in the order of the requests. */
export async function callAll(target: Target, requests: Buffer[]): Promise<Record<string, unknown>[]> {
  const answers = await callChains(
    target,
    requests.map((request) => [request]),
  );
  return answers.map(({ body }) => (body.length === 0 ? {} : JSON.parse(body.toString())));
}

export async function call(target: Target, request: Buffer): Promise<Record<string, unknown>> {
  const [answer = {}] = await callAll(target, [request]);
  return answer;
}

/** Sends the requests of each chain in their order, several chains at once; gives the last answer of each. */
export async function callChains(target: Target, chains: Buffer[][]): Promise<Reply[]> {
  const last: Reply[] = [];
  const left = chains.entries();
  const callNext = async () => {
    const connection = new Connection(target.port);
    for (const [index, chain] of left) for (const request of chain) last[index] = await callOn(connection, target, request);
    connection.close();
  };
  await Promise.all(Array.from({ length: Math.min(chains.length, CONNECTIONS_TO_PREPARE) }, callNext));
  return last;
}

async function callOn(connection: Connection, target: Target, request: Buffer): Promise<Reply> {
  const reply = await connection.send(request);
  if (reply.status === 200 || reply.status === 201) return reply;
  const what = request.toString().split(' HTTP')[0];
  throw new Error(`${target.label} answers ${what} with ${reply.status}: ${reply.body.toString().slice(0, 300)}`);
}
