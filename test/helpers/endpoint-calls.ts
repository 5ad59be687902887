import http from 'node:http';
import type { Services } from '../../src/endpoint.ts';
import type { AnyEndpoint } from '../../src/platform/http/mount.ts';
import { samples } from './endpoint-samples.ts';
import type { World } from './endpoint-world.ts';

export type Call = { method: string; path: string; headers: Record<string, string>; body: string | undefined };

/** A call of an endpoint with valid input: fields of the path in it, the others in the query or the body. */
export function callOf(endpoint: AnyEndpoint<Services>, world: World): Call {
  const sample = samples[endpoint.op];
  if (!sample) throw new Error(`test/helpers/endpoint-samples.ts has no sample of ${endpoint.op}`);
  const { content, ...fields } = sample(world) as Record<string, unknown> & { content?: string };
  const version = endpoint.apiVersion ?? '2.0';
  const left: Record<string, unknown> = { ...fields };
  // What both kinds of scope have below their paths gets the one of the path.
  if (endpoint.path.includes(':workspace/models')) delete left.registry;
  if (endpoint.path.includes(':registry')) delete left.workspace;
  const filled = endpoint.path.replace(/\\:/g, '\u0001').replace(/[:*](\w+)/g, (_, name: string) => {
    delete left[name];
    if (fields[name] === undefined) throw new Error(`the sample of ${endpoint.op} has no ${name}`);
    return String(fields[name]);
  });
  const path = (version === 'none' ? '' : `/api/${version}`) + filled.replaceAll('\u0001', ':');
  const headers: Record<string, string> = { 'X-MLFLOW-WORKSPACE': world.workspace };
  if (endpoint.method === 'GET' || endpoint.kind === 'stream') {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(left)) for (const item of [value].flat()) query.append(name, String(item));
    const body = content ?? undefined;
    return {
      method: endpoint.method,
      path: query.size > 0 ? `${path}?${query}` : path,
      headers: { ...headers, 'Content-Length': String(body?.length ?? 0) },
      body,
    };
  }
  const body = JSON.stringify(left);
  return {
    method: endpoint.method,
    path,
    headers: { ...headers, 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) },
    body,
  };
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });

/** Sends the path as it is written: nothing on the way tidies it. */
export function sendCall(url: string, { method, path, headers, body }: Call): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, method, path, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

export const isDestructive = ({ op }: AnyEndpoint<Services>): boolean => /delete|abort|archive|revoke|remove|logout/.test(op);
