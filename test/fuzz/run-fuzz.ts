import { picker, randomNumbers } from '../../compat/differential/random-numbers.ts';
import { judge } from './judge.ts';
import { calm, mutate } from './mutate.ts';
import { type Answer, type Draft, openSender, type Sender, show, toWire, type Wire } from './request.ts';
import { declared, draftOf, recorded, savedBy } from './sources.ts';
import { openMemory } from './values.ts';

const WORKERS = 8;
const MOST_TRIES_TO_SHRINK = 150;

export type FuzzOptions = {
  url: string;
  requests: number;
  /** The same seed asks the same, as far as the answers, whose values are used again, are the same. */
  seed: number;
  /** Paths of the server's disk, which no answer may name. */
  secrets: readonly string[];
  /** Authorization headers, of which each request gets one; undefined is none. */
  authorizations?: readonly (string | undefined)[];
};

/** How many answers of each status, and what was wrong: one of each kind, with the smallest request that shows it. */
export type FuzzReport = { statuses: Record<string, number>; findings: string[] };

/**
 * Sends requests to a server, most of them broken in one to three places: recorded calls of clients in their order, and calls made up from the declared
 * endpoints with values that the server has answered before. Then asks whether it is still well.
 */
export async function runFuzz({ url, requests, seed, secrets, authorizations = [undefined] }: FuzzOptions): Promise<FuzzReport> {
  const sender = openSender(url);
  const memory = openMemory(randomNumbers(seed));
  const statuses: Record<string, number> = {};
  const findings = new Map<string, string>();
  let sent = 0;

  const ask = async (draft: Draft, random: () => number): Promise<unknown> => {
    sent++;
    const wire = toWire(authorized(draft, picker(random)(authorizations)));
    const answer = await sender.send(wire);
    const status = answer instanceof Error ? 'none' : String(answer.status);
    statuses[status] = (statuses[status] ?? 0) + 1;
    const problem = judge(wire, answer, secrets);
    if (problem) {
      const kind = `${wire.method} ${kindOf(wire.target)} ${kindOf(problem)}`;
      if (!findings.has(kind)) {
        findings.set(kind, problem);
        findings.set(kind, await describe(wire, problem, sender, secrets));
      }
    }
    const body = answer instanceof Error ? undefined : jsonOf(answer);
    if (body !== undefined && !problem && status === '200') memory.learn(body);
    return body;
  };

  const work = async (worker: number): Promise<void> => {
    const random = randomNumbers(seed + worker * 1_000_003);
    const pick = picker(random);
    const changed = (draft: Draft, times: number) => {
      let one = calm(draft);
      for (let i = 0; i < times; i++) one = mutate(one, { random, memory });
      return calm(one);
    };
    for (let round = 0; sent < requests; round++) {
      if (random() < 0.5) {
        await ask(changed(declared(random, memory), pick([0, 1, 1, 2])), random);
        continue;
      }
      const saved: Record<string, string> = { n: `f${seed}-${worker}-${round}` };
      for (const step of pick(recorded).steps) {
        if (sent >= requests) return;
        // What the next steps build on is mostly left as it is.
        const times = step.save ? pick([0, 0, 0, 1]) : pick([0, 1, 1, 2, 3]);
        Object.assign(saved, savedBy(step, await ask(changed(draftOf(step, saved), times), random)));
      }
    }
  };

  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
  const ill = await problemOfHealth(
    sender,
    authorizations.find((one) => one !== undefined),
  );
  if (ill) findings.set('health', ill);
  sender.close();
  return { statuses, findings: [...findings.values()].filter((finding) => finding !== '') };
}

/** What is the same in all of a kind: without numbers, ids and what is quoted. */
const kindOf = (text: string) =>
  text
    .slice(0, 120)
    .replace(/\?.*/s, '')
    .replace(/["'][^"']*["']/g, '_')
    .replace(/[0-9a-f-]{8,}|\d+|%../gi, '_')
    .slice(0, 70);

function jsonOf({ headers, body }: Answer): unknown {
  try {
    return headers['content-type'] === 'application/json' ? JSON.parse(body.toString()) : undefined;
  } catch {
    return undefined;
  }
}

/** The finding for a person to read, or empty when the request was only slow for once: the machine may have been busy. */
async function describe(wire: Wire, problem: string, sender: Sender, secrets: readonly string[]): Promise<string> {
  const kind = problem.split(':')[0];
  const shows = async (candidate: Wire) => judge(candidate, await sender.send(candidate), secrets)?.split(':')[0] === kind;
  if (!(await shows(wire))) return kind === 'slow' ? '' : `${problem}\n  once, not again when it was repeated:\n${show(wire)}`;
  let smallest = wire;
  let tries = 0;
  for (let found = true; found && tries < MOST_TRIES_TO_SHRINK; ) {
    found = false;
    for (const candidate of smaller(smallest)) {
      if (++tries > MOST_TRIES_TO_SHRINK) break;
      if (!(await shows(candidate))) continue;
      smallest = candidate;
      found = true;
      break;
    }
  }
  return `${problem}\n${show(smallest)}`;
}

/** The same request with one thing less. */
function* smaller(wire: Wire): Generator<Wire> {
  const { target, headers, body } = wire;
  for (const name of Object.keys(headers)) {
    if (name !== 'Content-Length')
      yield { ...wire, headers: Object.fromEntries(Object.entries(headers).filter(([other]) => other !== name)) };
  }
  const [path = '', query = ''] = target.split(/\?(.*)/s);
  const parts = query.split('&').filter((part) => part !== '');
  for (let i = 0; i < parts.length; i++) {
    const rest = parts.filter((_, other) => other !== i).join('&');
    yield { ...wire, target: rest === '' ? path : `${path}?${rest}` };
  }
  if (body === undefined) return;
  yield withBody(wire, undefined);
  for (const json of smallerJson(body.toString())) yield withBody(wire, Buffer.from(json));
}

function withBody({ headers, ...wire }: Wire, body: Buffer | undefined): Wire {
  const { 'Content-Length': length, ...others } = headers;
  return { ...wire, body, headers: body && length !== undefined ? { ...others, 'Content-Length': String(body.length) } : others };
}

function* smallerJson(text: string): Generator<string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    if (text.length > 1) yield* [text.slice(0, text.length / 2), text.slice(text.length / 2)];
    return;
  }
  for (const one of smallerValues(value)) yield JSON.stringify(one);
}

function* smallerValues(value: unknown): Generator<unknown> {
  if (typeof value === 'string' && value.length > 1) {
    yield value.slice(0, value.length / 2);
    yield value.slice(value.length / 2);
  }
  if (typeof value !== 'object' || value === null) return;
  const entries = Object.entries(value);
  const build = (some: [string, unknown][]) => (Array.isArray(value) ? some.map(([, item]) => item) : Object.fromEntries(some));
  for (const [name] of entries) yield build(entries.filter(([other]) => other !== name));
  for (const [name, item] of entries) {
    for (const less of smallerValues(item)) yield build(entries.map(([other, old]) => [other, other === name ? less : old]));
  }
}

async function problemOfHealth(sender: Sender, authorization: string | undefined): Promise<string | null> {
  const health: Draft = { method: 'GET', path: '/health', query: [], headers: {} };
  const create: Draft = {
    method: 'POST',
    path: '/api/2.0/mlflow/registered-models/create',
    query: [],
    headers: { 'Content-Type': 'application/json' },
    body: { name: `well-${Date.now()}` },
  };
  for (const draft of [health, create]) {
    const answer = await sender.send(toWire(authorized(draft, authorization)));
    const status = answer instanceof Error ? answer.message : answer.status;
    if (status !== 200) return `afterwards ${draft.method} ${draft.path} was answered ${status}`;
  }
  return null;
}

const authorized = (draft: Draft, authorization: string | undefined): Draft =>
  authorization === undefined ? draft : { ...draft, headers: { ...draft.headers, Authorization: authorization } };
