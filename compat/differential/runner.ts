import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Case, Expected, Group, Step } from './case.ts';
import { type Answer, canonical, differsInWords, judge } from './compare.ts';

/** `words`: what differs is a sentence alone, which is no problem while it is rare. */
export type Outcome = { group: string; case: string; step: number; request: string; problem: string | null; words?: string };

/** Of the requests nobody thought of, at most this part may be refused in other words than the stock server's. */
const OTHER_WORDS = 0.02;
const MOST_PAGES = 50;

/** Runs all cases of the groups on both servers, one after the other on each, and compares every answer. */
export async function runGroups(groups: Group[], stockUrl: string, oursUrl: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  // Both servers may have been compared before.
  const unique = `${Date.now().toString(36)}0`; // with a digit, so that no name looks like a generated one
  for (const { group, cases } of groups) {
    for (const [i, one] of cases.entries()) outcomes.push(...(await runCase(group, one, `${unique}-${group}-${i}`, stockUrl, oursUrl)));
  }
  return outcomes;
}

async function runCase(group: string, one: Case, n: string, stockUrl: string, oursUrl: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const saved = { stock: { n } as Record<string, string>, ours: { n } as Record<string, string> };
  for (const [i, step] of one.steps.entries()) {
    const ask = step.everyPage ? sendForEveryPage : send;
    const [stock, ours] = await Promise.all([ask(stockUrl, step, saved.stock), ask(oursUrl, step, saved.ours)]);
    for (const [name, path] of Object.entries(step.save ?? {})) {
      saved.stock[name] = pick(stock.body, path);
      saved.ours[name] = pick(ours.body, path);
    }
    const answers = [canonical(stock, saved.stock, step), canonical(ours, saved.ours, step)] as const;
    const problem = judge({ ...step, ...(step.ours && { ours: named(step.ours, n) as Expected }) }, ...answers);
    const request = `${step.method} ${step.path}${step.query ? ` ${JSON.stringify(step.query)}` : ''}${step.raw ?? (step.body ? ` ${JSON.stringify(step.body)}` : '')}`;
    const outcome = { group, case: one.name, step: i + 1, request: request.slice(0, 500) };
    const wordsOnly = problem !== null && step.random && differsInWords(...answers);
    outcomes.push(wordsOnly ? { ...outcome, problem: null, words: problem } : { ...outcome, problem });
  }
  return refuseManyWords(one, outcomes);
}

/** A value whose texts have this case's name for `{{n}}`. */
function named(value: unknown, n: string): unknown {
  if (typeof value === 'string') return value.replaceAll('{{n}}', n);
  if (Array.isArray(value)) return value.map((item) => named(item, n));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, named(item, n)]));
}

function refuseManyWords(one: Case, outcomes: Outcome[]): Outcome[] {
  const words = outcomes.filter((outcome) => outcome.words !== undefined).length;
  if (words <= one.steps.filter(({ random }) => random).length * OTHER_WORDS) return outcomes;
  return outcomes.map((outcome) => (outcome.words === undefined ? outcome : { ...outcome, problem: outcome.words }));
}

/** Asks for page after page with the server's own tokens. The body is the list of all pages, the status that of the last. */
async function sendForEveryPage(base: string, step: Step, saved: Record<string, string>): Promise<Answer> {
  const pages: unknown[] = [];
  for (let token = ''; ; ) {
    const paged = token === '' ? {} : { page_token: token };
    const withToken = step.method === 'GET' ? { query: { ...step.query, ...paged } } : { body: { ...(step.body as object), ...paged } };
    const answer = await send(base, { ...step, ...withToken }, saved);
    pages.push(answer.body);
    token = pick(answer.body, 'next_page_token');
    if (token === '') return { ...answer, body: pages };
    if (pages.length === MOST_PAGES) throw new Error(`${step.path} of ${base} has more than ${MOST_PAGES} pages`);
  }
}

// What clients and browsers read of any answer, besides its type.
const COMPARED_HEADERS = [
  'allow',
  'location',
  'retry-after',
  'vary',
  'www-authenticate',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
  'x-content-type-options',
  'x-frame-options',
] as const;
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
    Object.fromEntries(
      names.flatMap((name) => (reply.headers[name] === undefined ? [] : [[name, shownHeader(name, reply.headers[name])]])),
    );
  const answer = {
    status: reply.statusCode ?? 0,
    contentType: reply.statusCode === 204 ? '' : contentType,
    headers: pickHeaders([...COMPARED_HEADERS, ...(step.compareHeaders ?? [])]),
  };
  const download = reply.headers['content-disposition'] !== undefined;
  if (contentType === 'application/json' && !download) {
    return { ...answer, body: parsed(answered.toString()) };
  }
  if (!download) return { ...answer, body: answered.toString() };
  // Byte for byte: a char for each.
  return {
    ...answer,
    headers: { ...answer.headers, ...pickHeaders(DOWNLOAD_HEADERS), type: reply.headers['content-type'] },
    body: answered.toString('latin1'),
  };
}

/** Of Vary only what the answers of a registry vary by; the methods of Allow in one order. */
function shownHeader(name: string, value: unknown): unknown {
  if (name === 'vary') return /\borigin\b/i.test(String(value)) ? 'Origin' : value;
  return name === 'allow' ? String(value).split(', ').toSorted().join(', ') : value;
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
    const words = of.filter((outcome) => outcome.words !== undefined).length;
    const agree = `${of.filter(({ problem }) => problem === null).length}/${of.length}  ${group}`;
    return words === 0 ? agree : `${agree} (${words} in other words)`;
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
