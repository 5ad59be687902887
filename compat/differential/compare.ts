import type { Expected, Step } from './case.ts';

/** What a server answered, as far as clients see it. */
export type Answer = { status: number; contentType: string; headers: Record<string, unknown>; body: unknown };

const HEX_ID = /(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/g;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const GENERATED_NAME = /^[a-z]+-[a-z]+-\d+$/;
const TIME_KEY = /(time|timestamp|timestamp_ms)$/;
const RECENT_MS = 3_600_000;
const UNORDERED = new Set(['tags', 'aliases', 'latest_versions', 'params', 'metrics']);

/**
 * An answer with all that must differ between two servers put behind marks: ids in the order they appear, times that are about now, generated names,
 * page tokens. Their type and plausibility stay visible: a time that is text or long ago is not marked. `known` are values saved before.
 */
export function canonical(
  answer: Answer,
  known: Record<string, string>,
  { unordered = [], ordered = [], leaveOut = [] }: Pick<Step, 'unordered' | 'ordered' | 'leaveOut'> = {},
): Answer {
  const ids = new Map<string, string>();
  const named = Object.entries(known).filter(([name, value]) => name !== 'n' && value !== '');
  const text = (value: string): string => {
    let marked = value;
    for (const [name, exact] of named) {
      if (marked === exact) return `<${name}>`;
      // A short number such as an experiment's id is only replaced where it stands alone.
      const pattern = exact.length > 8 ? escapeRegExp(exact) : `(?<![\\w.-])${escapeRegExp(exact)}(?![\\w.-])`;
      marked = marked.replace(new RegExp(pattern, 'g'), `<${name}>`);
    }
    const mark = (id: string) => {
      if (!ids.has(id)) ids.set(id, `<id${ids.size + 1}>`);
      return ids.get(id) ?? '';
    };
    // A Python set prints its items in any order.
    const asSet = (_: string, items: string) => `{${items.split(', ').toSorted().join(', ')}}`;
    return marked
      .replace(HEX_ID, mark)
      .replace(UUID, mark)
      .replace(/\{('[^{}]*')\}/g, asSet);
  };
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') {
      if (key.endsWith('page_token') && value !== '') return '<token>';
      return GENERATED_NAME.test(value) && /name/i.test(key) ? '<generated name>' : text(value);
    }
    if (typeof value === 'number') return TIME_KEY.test(key) && Math.abs(Date.now() - value) < RECENT_MS ? '<now>' : value;
    if (Array.isArray(value)) {
      const items = value.map((item) => walk(item, key));
      return (UNORDERED.has(key) && !ordered.includes(key)) || unordered.includes(key)
        ? items.toSorted((a, b) => (stable(a) < stable(b) ? -1 : 1))
        : items;
    }
    if (typeof value !== 'object' || value === null) return value;
    const runName = 'key' in value && value.key === 'mlflow.runName';
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name]) => !leaveOut.includes(name))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, item]) => [name, walk(item, runName && name === 'value' ? 'run_name' : name)]),
    );
  };
  return { ...answer, body: walk(answer.body, '') };
}

const escapeRegExp = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const stable = (value: unknown) => JSON.stringify(value);

// Every answer of ours has these; those of the stock server's outer layers (hosts, origins, workspaces) have none.
const ALWAYS_SENT = ['vary', 'x-content-type-options', 'x-frame-options'];

function withoutAdded(stock: Answer, ours: Answer): Answer {
  const sent = Object.entries(ours.headers).filter(([name]) => !ALWAYS_SENT.includes(name) || name in stock.headers);
  return { ...ours, headers: Object.fromEntries(sent) };
}

/** Null when the step is as it should be, else what is wrong, for a person to read. */
export function judge(step: Step, stock: Answer, answered: Answer): string | null {
  const ours = withoutAdded(stock, answered);
  const same = stable(stock) === stable(ours);
  if (step.everyPage && (answered.body as unknown[]).length < step.everyPage) return `fewer than ${step.everyPage} pages: ${show(ours)}`;
  if (!step.differs) {
    const refused = step.random && isBroken(stock) && isClientError(ours);
    return same || refused ? null : `stock ${show(stock)}\n    ours  ${show(ours)}`;
  }
  if (same) return `both answer ${show(ours)}, but the case says they differ: ${step.differs}`;
  if (!step.ours) return isClientError(ours) ? null : `wanted a 4xx in MLflow's shape (${step.differs})\n    ours  ${show(ours)}`;
  if (!meets(step.ours, ours)) return `wanted ${stable(step.ours)} (${step.differs})\n    stock ${show(stock)}\n    ours  ${show(ours)}`;
  return meets(step.ours, stock)
    ? `the stock server's answer meets ${stable(step.ours)} too, which shows no difference: ${step.differs}`
    : null;
}

/** An error nobody planned: a 5xx, or the text of the database's. */
const isBroken = ({ status, body }: Answer) => status >= 500 || (body as { error_code?: unknown } | null)?.error_code === 'BAD_REQUEST';

/** True when both refuse a request alike and differ in their words alone. */
export function differsInWords(stock: Answer, ours: Answer): boolean {
  const codes = [stock, ours].map(({ body }) => (body as { error_code?: unknown } | null)?.error_code);
  return stock.status === ours.status && isClientError(ours) && codes[0] === codes[1];
}

function meets(expected: Expected, { status, headers, body }: Answer): boolean {
  if (status !== expected.status) return false;
  if ('body' in expected) return stable(inOrder(expected.body)) === stable(inOrder(body));
  return Object.entries(expected.has).every(
    ([path, value]) => stable(inOrder(value)) === stable(inOrder(valueAt({ headers, body }, path))),
  );
}

/** The value at a path into the body, or into the headers: `headers.etag`. */
function valueAt({ headers, body }: Pick<Answer, 'headers' | 'body'>, path: string): unknown {
  const keys = path.split('.');
  const from = keys[0] === 'headers' ? { headers } : body;
  return keys.reduce<unknown>((at, key) => (at as Record<string, unknown> | null | undefined)?.[key], from);
}

/** An object with its fields in the order of their names, at any depth. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, item]) => [name, inOrder(item)]),
  );
}

function isClientError({ status, body }: Answer): boolean {
  const error = body as { error_code?: unknown; message?: unknown } | null;
  return (
    status >= 400 && status < 500 && typeof error?.error_code === 'string' && typeof error.message === 'string' && error.message !== ''
  );
}

const show = ({ status, contentType, headers, body }: Answer) =>
  `${status} ${contentType} ${stable(headers)} ${stable(body)?.slice(0, 1500)}`;
