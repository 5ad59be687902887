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
    const problem = judge(step, canonical(stock, saved.stock, step.unordered), canonical(ours, saved.ours, step.unordered));
    const request = `${step.method} ${step.path}${step.query ? ` ${JSON.stringify(step.query)}` : ''}${step.raw ?? (step.body ? ` ${JSON.stringify(step.body)}` : '')}`;
    outcomes.push({ group, case: one.name, step: i + 1, request: request.slice(0, 500), problem });
  }
  return outcomes;
}

/** Sends one step. The body of the answer is parsed when it is JSON; other text is not compared, only that there is some. */
async function send(base: string, step: Step, saved: Record<string, string>): Promise<Answer> {
  const fill = (text: string) => text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => saved[name] ?? '');
  const url = new URL(base + fill(step.path.startsWith('/') ? step.path : `/api/2.0/mlflow/${step.path}`));
  for (const [name, value] of Object.entries(step.query ?? {})) for (const one of [value].flat()) url.searchParams.append(name, fill(one));
  const body = step.raw ?? (step.body === undefined ? undefined : JSON.stringify(step.body));
  const headers = { ...(step.body !== undefined && { 'Content-Type': 'application/json' }), ...step.headers };
  const reply = await fetch(url, { method: step.method, headers, ...(body !== undefined && { body: fill(body) }), redirect: 'manual' });
  const text = await reply.text();
  const contentType = (reply.headers.get('content-type') ?? '').split(';')[0] ?? '';
  if (contentType !== 'application/json') return { status: reply.status, contentType, body: text };
  return { status: reply.status, contentType, body: text === '' ? '' : JSON.parse(text) };
}

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
