import { z } from 'zod';
import { exactInteger, type Int64 } from './json.ts';
import { pythonInt } from './python.ts';

/** A string the caller must give: absent, null and `""` are all "missing" (as mlflow/server/handlers.py, _assert_required). */
export const requiredText = z.string().min(1);

const isInt64 = (value: unknown): boolean =>
  Number.isSafeInteger(value) ||
  ((typeof value === 'bigint' || Number.isInteger(value)) && BigInt.asIntN(64, BigInt(value as Int64)) === BigInt(value as Int64));

/** A 64-bit integer of proto-JSON, exactly: a number without a fraction, or a text that Python's int() reads, without spaces. For what is stored. */
export const exactInt64 = z.preprocess(
  (value) => {
    const number = typeof value === 'string' && !value.includes(' ') ? pythonInt(value) : null;
    return number === null ? value : exactInteger(String(number));
  },
  // Not aborting: a rule over several fields is still looked at.
  z.custom<Int64>(isInt64, { params: { expected: 'number' }, abort: false }),
);

/** The same as a number, which is close enough for limits. */
export const int64 = exactInt64.transform(Number);

/** A 64-bit integer in an answer. */
export const shownInt64 = z.union([z.int(), z.bigint()]);

const DIGITS = '\\d+(?:_\\d+)*';
const DECIMAL = new RegExp(`^[+-]?(?:${DIGITS}\\.?(?:${DIGITS})?|\\.${DIGITS})(?:e[+-]?${DIGITS})?$`, 'i');

/** A double of proto-JSON: a number, or a text that Python's float() reads: decimal, `"NaN"` (not `"nan"`), `"Infinity"`. */
export const double = z.preprocess(
  (value) => {
    if (typeof value === 'bigint') return Number(value);
    if (typeof value !== 'string') return value;
    const text = value.trim();
    if (DECIMAL.test(text)) return Number(text.replaceAll('_', ''));
    if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
    return /^[+-]?nan$/i.test(text) && value !== 'nan' ? Number.NaN : value;
  },
  // Not aborting: a rule over several fields is still looked at.
  z.custom<number>((value) => typeof value === 'number', { abort: false }),
);

/** A proto enum on the wire: its name, or its number (`numbers[name]`). Gives the name. */
export function protoEnum<Name extends string>(numbers: Record<Name, number>) {
  const names = Object.keys(numbers) as Name[];
  return z.preprocess(
    (value) => {
      const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
      return names.find((name) => numbers[name] === number) ?? value;
    },
    z.enum(names as [Name, ...Name[]]),
  );
}

/** Makes a zod check from a function that throws an MlflowError: its sentence becomes the issue's, so the first one is the reply. */
export function checkedBy(check: (value: string) => void) {
  return z.string().check((context) => {
    try {
      check(context.value);
    } catch (error) {
      context.issues.push({ code: 'custom', message: (error as Error).message, input: context.value });
    }
  });
}
