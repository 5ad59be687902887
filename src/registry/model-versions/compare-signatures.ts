import { z } from 'zod';
import { canonicalJson } from '../provenance/canonical-json.ts';

/**
 * A difference of two signatures; `name` is a column's or a parameter's, `#0` that of the first column without names; `left` and `right` are its
 * types, or whether it is required, or its defaults. It is breaking when a caller or reader of the left version fails with the right one.
 */
const SignatureChange = z.object({
  part: z.enum(['inputs', 'outputs', 'params']),
  name: z.string(),
  change: z.enum(['ADDED', 'REMOVED', 'TYPE_CHANGED', 'REQUIRED_CHANGED', 'DEFAULT_CHANGED']),
  left: z.unknown().optional(),
  right: z.unknown().optional(),
  breaking: z.boolean(),
  reason: z.string(),
});
type SignatureChange = z.infer<typeof SignatureChange>;

/** UNKNOWN: one of them has no signature, or one that cannot be read. */
export const SignatureComparison = z.object({
  compatibility: z.enum(['COMPATIBLE', 'BREAKING', 'UNKNOWN']),
  changes: z.array(SignatureChange),
});

type Part = SignatureChange['part'];
type Column = { type: unknown; required: boolean; default?: unknown };
type Columns = Map<string, Column>;

/**
 * Compares the signatures of two models as their MLmodel files have them. What breaks is what MLflow's own checks of inputs refuse
 * (mlflow/models/utils.py, _enforce_schema): they drop columns that are not asked for, and convert integers to longs and doubles, and floats to doubles.
 */
export function compareSignatures(left: unknown, right: unknown): z.infer<typeof SignatureComparison> {
  if (!isRecord(left) || !isRecord(right)) return { compatibility: 'UNKNOWN', changes: [] };
  const parts = (['inputs', 'outputs', 'params'] as const).map((part) => ({
    part,
    before: columnsOf(left[part]),
    after: columnsOf(right[part]),
  }));
  const changes: SignatureChange[] = [];
  for (const { part, before, after } of parts) {
    if (!before || !after) return { compatibility: 'UNKNOWN', changes: [] };
    // A model without a schema of its inputs takes what it is given.
    const isUnchecked = part === 'inputs' && after.size === 0;
    changes.push(...(isUnchecked ? [...before].map(([name, column]) => removed(part, name, column)) : compareColumns(part, before, after)));
  }
  return { compatibility: changes.some(({ breaking }) => breaking) ? 'BREAKING' : 'COMPATIBLE', changes };
}

function compareColumns(part: Part, left: Columns, right: Columns): SignatureChange[] {
  const changes: SignatureChange[] = [];
  for (const [name, column] of left) if (!right.has(name)) changes.push(removed(part, name, column));
  for (const [name, after] of right) {
    const before = left.get(name);
    changes.push(...(before ? changesOf(part, name, before, after) : [added(part, name, after)]));
  }
  return changes;
}

function removed(part: Part, name: string, { type }: Column): SignatureChange {
  const breaking = part === 'outputs';
  const reason = breaking ? 'Readers of the output miss it.' : 'Callers may go on sending it: MLflow leaves it out.';
  return { part, name, change: 'REMOVED', left: type, breaking, reason };
}

function added(part: Part, name: string, { type, required }: Column): SignatureChange {
  const breaking = part === 'inputs' && required;
  const reason = breaking ? 'It is required, and callers do not send it yet.' : 'Nobody needs to know it.';
  return { part, name, change: 'ADDED', right: type, breaking, reason };
}

function changesOf(part: Part, name: string, before: Column, after: Column): SignatureChange[] {
  const changes: SignatureChange[] = [];
  if (canonicalJson([before.type]) !== canonicalJson([after.type])) {
    const breaking = part !== 'inputs' || !takes(after.type, before.type);
    const reason = breaking ? 'Values of the one type are not values of the other.' : 'MLflow converts what callers send.';
    changes.push({ part, name, change: 'TYPE_CHANGED', left: before.type, right: after.type, breaking, reason });
  }
  if (before.required !== after.required) {
    const breaking = part === 'inputs' ? after.required : part === 'outputs' && before.required;
    const reason = !breaking
      ? 'Callers and readers need not change.'
      : part === 'inputs'
        ? 'Callers who leave it out are refused.'
        : 'Readers who count on it may miss it.';
    changes.push({ part, name, change: 'REQUIRED_CHANGED', left: before.required, right: after.required, breaking, reason });
  }
  if (canonicalJson([before.default]) !== canonicalJson([after.default])) {
    const reason = 'Callers who do not set it get another value.';
    changes.push({ part, name, change: 'DEFAULT_CHANGED', left: before.default, right: after.default, breaking: false, reason });
  }
  return changes;
}

const CONVERSIONS = new Map([
  ['integer', ['long', 'double']],
  ['float', ['double']],
]);

/** True when MLflow takes values of type `sent` where `declared` is asked for. */
function takes(declared: unknown, sent: unknown): boolean {
  if (declared === 'any') return true;
  if (typeof declared === 'string' && typeof sent === 'string') return CONVERSIONS.get(sent)?.includes(declared) ?? false;
  const [wanted, given] = [tensorOf(declared), tensorOf(sent)];
  if (!wanted || !given || wanted.dtype !== given.dtype || wanted.shape.length !== given.shape.length) return false;
  return wanted.shape.every((size, i) => size === -1 || size === given.shape[i]);
}

function tensorOf(type: unknown): { dtype: unknown; shape: unknown[] } | null {
  return isRecord(type) && Array.isArray(type.shape) && 'dtype' in type ? { dtype: type.dtype, shape: type.shape } : null;
}

/** The columns of a schema, a JSON text in the MLmodel file (mlflow/types/schema.py, Schema.to_json). Null when it cannot be read. */
function columnsOf(schema: unknown): Columns | null {
  if (schema === undefined || schema === null) return new Map();
  const list = typeof schema === 'string' ? parsed(schema) : null;
  if (!Array.isArray(list)) return null;
  return new Map(
    list.filter(isRecord).map((column, i) => {
      const { name, required, default: value, type, 'tensor-spec': tensor, ...more } = column;
      const nested = Object.keys(more).length > 0 ? { type, ...more } : type;
      return [
        typeof name === 'string' ? name : `#${i}`,
        { type: tensor ?? nested, required: required !== false, ...(value !== undefined && { default: value }) },
      ];
    }),
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
