import { z } from 'zod';
import type { Subject } from './event.ts';

type Values = Record<string, unknown>;

const isRecord = (value: unknown): value is Values => typeof value === 'object' && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : '';

/** What names a thing of each kind, where it is not `<kind>_id` or `<kind>`. */
const NAMED_BY: Record<string, string> = {
  promotion: 'name',
  model_version: 'name',
  registered_model: 'name',
  alias: 'name',
  logged_model: 'model_id',
  webhook_delivery: 'webhook_id',
};
const OTHERWISE = [
  'name',
  'run_uuid',
  'experiment_id',
  'role_permission_id',
  'artifact_path',
  'path',
  'principal',
  'username',
  'workspace_name',
  'upload_id',
];

/**
 * What a request is about, by the names that inputs have here: what stands before the dot of `op`, and the name or id; of what is new, as the answer tells it.
 */
export function subjectOf(op: string, input: unknown, output: unknown): Omit<Subject, 'scope' | 'scope_id'> {
  const kind = op.slice(0, Math.max(op.indexOf('.'), 0));
  const { source, target, ...given } = isRecord(input) ? input : {};
  const asked: Values = { ...given, ...(isRecord(source) && { name: source.name }), ...(isRecord(target) && target) };
  const id = NAMED_BY[kind] ?? `${kind}_id`;
  const names = [asked[id], find(output, id), asked[kind], ...OTHERWISE.map((name) => asked[name])];
  return {
    resource_type: kind,
    resource: names.map(textOf).find((name) => name !== '') ?? '',
    version: textOf(asked.version) || textOf(find(output, 'version')),
  };
}

/** `model_version.version` of `{ model_version: { version } }`. */
function find(value: unknown, name: string): unknown {
  if (!isRecord(value)) return undefined;
  if (textOf(value[name]) !== '') return value[name];
  for (const inner of Object.values(value)) {
    const found = find(inner, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

const REDACTED = '***';

/** Makes what puts `***` in place of the fields of a schema that are marked `.meta({ secret: true })`, at any depth. Null: there are none. */
export function redactorOf(schema: z.ZodType): ((value: unknown) => unknown) | null {
  if (schema.meta()?.secret === true) return () => REDACTED;
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodPrefault
  )
    return redactorOf(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodPipe) return redactorOf(schema.in as z.ZodType) ?? redactorOf(schema.out as z.ZodType);
  if (schema instanceof z.ZodArray) {
    const redact = redactorOf(schema.element as z.ZodType);
    return redact && ((value) => (Array.isArray(value) ? value.map(redact) : value));
  }
  if (!(schema instanceof z.ZodObject)) return null;
  const fields = Object.entries(schema.shape).flatMap(([name, field]) => {
    const redact = redactorOf(field as z.ZodType);
    return redact ? [[name, redact] as const] : [];
  });
  if (fields.length === 0) return null;
  return (value) => {
    if (!isRecord(value)) return value;
    const told = fields.filter(([name]) => value[name] !== undefined && value[name] !== null);
    return { ...value, ...Object.fromEntries(told.map(([name, redact]) => [name, redact(value[name])])) };
  };
}
