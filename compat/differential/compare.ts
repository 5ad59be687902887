import type { Step } from './case.ts';

/** What a server answered, as far as clients see it. */
export type Answer = { status: number; contentType: string; headers?: Record<string, unknown>; body: unknown };

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
    const inOrder = (_: string, items: string) => `{${items.split(', ').toSorted().join(', ')}}`;
    return marked
      .replace(HEX_ID, mark)
      .replace(UUID, mark)
      .replace(/\{('[^{}]*')\}/g, inOrder);
  };
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') {
      if (key.endsWith('page_token')) return '<token>';
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

/** Null when the step is as it should be, else what is wrong, for a person to read. */
export function judge(step: Step, stock: Answer, ours: Answer): string | null {
  const same = stable(stock) === stable(ours);
  if (!step.differs) return same ? null : `stock ${show(stock)}\n    ours  ${show(ours)}`;
  if (same) return `both answer ${show(ours)}, but the case says they differ: ${step.differs}`;
  if (step.ours) {
    const wanted = step.ours.status === ours.status && (step.ours.body === undefined || stable(step.ours.body) === stable(ours.body));
    return wanted ? null : `wanted ${stable(step.ours)} (${step.differs})\n    ours  ${show(ours)}`;
  }
  return isClientError(ours) ? null : `wanted a 4xx in MLflow's shape (${step.differs})\n    ours  ${show(ours)}`;
}

function isClientError({ status, body }: Answer): boolean {
  const error = body as { error_code?: unknown; message?: unknown } | null;
  return (
    status >= 400 && status < 500 && typeof error?.error_code === 'string' && typeof error.message === 'string' && error.message !== ''
  );
}

const show = ({ status, contentType, headers, body }: Answer) =>
  `${status} ${headers ? stable(headers) : contentType} ${stable(body)?.slice(0, 1500)}`;
