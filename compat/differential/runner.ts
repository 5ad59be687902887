import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Case, Group, Step } from './case.ts';
import { type Answer, canonical, judge } from './compare.ts';

export type Outcome = { group: string; case: string; step: number; request: string; problem: string | null };

/** Runs all cases of the groups on both servers, one after the other on each, and compares every answer. */
export async function runGroups(groups: Group[], stockUrl: string, oursUrl: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  // Both servers may have been compared before.
  const unique = Date.now().toString(36);
  for (const { group, cases } of groups) {
    for (const [i, one] of cases.entries()) outcomes.push(...(await runCase(group, one, `${unique}-${group}-${i}`, stockUrl, oursUrl)));
  }
  return outcomes;
}

async function runCase(group: string, one: Case, n: string, stockUrl: string, oursUrl: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const saved = { stock: { n } as Record<string, string>, ours: { n } as Record<string, string> };
  for (const [i, step] of one.steps.entries()) {
    const [stock, ours] = await Promise.all([send(stockUrl, step, saved.stock), send(oursUrl, step, saved.ours)]);
    for (const [name, path] of Object.entries(step.save ?? {})) {
      saved.stock[name] = pick(stock.body, path);
      saved.ours[name] = pick(ours.body, path);
    }
    const problem = judge(step, canonical(stock, saved.stock, step), canonical(ours, saved.ours, step));
    const request = `${step.method} ${step.path}${step.query ? ` ${JSON.stringify(step.query)}` : ''}${step.raw ?? (step.body ? ` ${JSON.stringify(step.body)}` : '')}`;
    outcomes.push({ group, case: one.name, step: i + 1, request: request.slice(0, 500), problem });
  }
  return outcomes;
}

// What clients read of a download; the values of ETag and Last-Modified are each server's own.
const DOWNLOAD_HEADERS = ['content-disposition', 'content-range', 'accept-ranges', 'content-length'] as const;

/** Sends one step. The body of the answer is parsed when it is JSON; other text is compared as it is. */
async function send(base: string, step: Step, saved: Record<string, string>): Promise<Answer> {
  const fill = (text: string) => text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => saved[name] ?? '');
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(step.query ?? {})) for (const one of [value].flat()) query.append(name, fill(one));
  const path = escapePath(fill(step.path.startsWith('/') ? step.path : `/api/2.0/mlflow/${step.path}`));
  const body = step.raw ?? (step.body === undefined ? undefined : JSON.stringify(step.body));
  const bytes = step.bytes ?? (body === undefined ? undefined : Buffer.from(fill(body)));
  const headers = {
    ...(step.body !== undefined && { 'Content-Type': 'application/json' }),
    ...(bytes && { 'Content-Length': bytes.length }),
    ...Object.fromEntries(Object.entries(step.headers ?? {}).map(([name, value]) => [name, fill(value)])),
  };
  // Not fetch: it would tidy up the path, and `..` must arrive as it is.
  const target = query.size > 0 ? `${path}?${query}` : path;
  // No connection is used twice: a server may close one that it has just answered on. It is kept open, so that a body that is refused can be sent.
  const agent = new http.Agent({ keepAlive: true });
  const request = http.request(base, { method: step.method, path: target, headers, agent });
  request.end(bytes);
  const [reply] = (await once(request, 'response').catch((error: Error) => {
    throw new Error(`${step.method} ${base}${target} was not answered`, { cause: error });
  })) as [http.IncomingMessage];
  const answered = await buffer(reply);
  agent.destroy();
  const contentType = (reply.headers['content-type'] ?? '').split(';')[0] ?? '';
  // Without content its type says nothing.
  const pickHeaders = (names: readonly string[]) =>
    Object.fromEntries(names.flatMap((name) => (reply.headers[name] === undefined ? [] : [[name, reply.headers[name]]])));
  const answer = {
    status: reply.statusCode ?? 0,
    contentType: reply.statusCode === 204 ? '' : contentType,
    ...(step.compareHeaders && { headers: pickHeaders(step.compareHeaders) }),
  };
  const download = reply.headers['content-disposition'] !== undefined;
  if (contentType === 'application/json' && !download) {
    return { ...answer, body: parsed(answered.toString()) };
  }
  if (!download) return { ...answer, body: answered.toString() };
  // Byte for byte: a char for each.
  return {
    ...answer,
    headers: { ...pickHeaders(DOWNLOAD_HEADERS), type: reply.headers['content-type'] },
    body: answered.toString('latin1'),
  };
}

/** The value of a JSON text; the text itself where it is none: a bare NaN. */
function parsed(text: string): unknown {
  try {
    return text === '' ? '' : JSON.parse(text);
  } catch {
    return text;
  }
}

/** Percent-encodes only what a request line cannot hold. */
const escapePath = (path: string) => path.replace(/[^\x21-\x7e]|["<>`{}#]/gu, encodeURIComponent);

function pick(body: unknown, path: string): string {
  const value = path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], body);
  return value === undefined ? '' : String(value);
}

/** `agree/total` of each group, then each difference. */
export function report(outcomes: Outcome[]): string {
  const groups = [...new Set(outcomes.map(({ group }) => group))];
  const table = groups.map((group) => {
    const of = outcomes.filter((outcome) => outcome.group === group);
    return `${of.filter(({ problem }) => problem === null).length}/${of.length}  ${group}`;
  });
  const problems = outcomes.filter(({ problem }) => problem !== null);
  const list = problems.map((p) => `\n${p.group}: ${p.case}, step ${p.step}\n    ${p.request}\n    ${p.problem}`);
  return [...table, ...list].join('\n');
}

/** The steps up to the first that does not agree, and what is wrong there; empty when all agree. */
export function shortestFailure(outcomes: Outcome[]): string {
  const first = outcomes.findIndex(({ problem }) => problem !== null);
  if (first < 0) return '';
  const steps = outcomes.slice(0, first + 1).map(({ step, request }) => `${step}. ${request}`);
  return `${steps.join('\n')}\n    ${outcomes[first]?.problem}`;
}
