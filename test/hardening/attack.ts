import { once } from 'node:events';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { expectRefusal } from '../helpers/refusal.ts';
import type { TestServer } from '../helpers/server.ts';
import { expectSecurityHeaders } from './security-headers.ts';

/** Where the artifacts are served, and where all else of MLflow is. */
export const ARTIFACT_BASES = ['/api/2.0', '/ajax-api/2.0'].map((base) => `${base}/mlflow-artifacts/artifacts`);
export const BASES = ['/api/2.0', '/ajax-api/2.0', '/api/2.0/preview', '/ajax-api/2.0/preview'].map((base) => `${base}/mlflow`);

export type Attack = { method: string; path: string; headers?: Record<string, string>; body?: unknown };
export type Answered = { status: number; headers: Headers; text: string };

/** Sends a request whose path no client tidies up. A body that is neither text nor bytes is sent as JSON. */
export async function attack({ url }: TestServer, { method, path, headers = {}, body }: Attack): Promise<Answered> {
  const bytes = body === undefined || Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body);
  const type = bytes === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(bytes)) };
  const { hostname, port } = new URL(url);
  const request = http.request({ hostname, port, method, path, headers: { ...type, ...headers } });
  request.end(bytes);
  const [reply] = (await once(request, 'response')) as [http.IncomingMessage];
  const answered = await text(reply);
  return {
    status: reply.statusCode ?? 0,
    headers: new Headers(Object.entries(reply.headersDistinct).map(([n, v]) => [n, String(v)])),
    text: answered,
  };
}

/** Expects that an attack is refused with one of these statuses, in MLflow's shape, and gives the message. */
export async function refused(server: TestServer, one: Attack, ...statuses: number[]): Promise<string> {
  const answer = await attack(server, one);
  const what = `${one.method} ${one.path.slice(0, 200)} ${JSON.stringify(one.body)?.slice(0, 200)}: ${answer.text.slice(0, 300)}`;
  expect(statuses, what).toContain(answer.status);
  expectSecurityHeaders(answer.headers);
  const body = JSON.parse(answer.text) as Record<string, unknown>;
  expectRefusal({ status: answer.status, body }, what);
  return String(body.message);
}

/** Rows of a table of texts, each with a beginning of it for the test's name. */
export const named = (texts: readonly string[]): [string, string][] =>
  texts.map((text) => [text.length > 30 ? `${text.slice(0, 30)}…` : text, text]);
