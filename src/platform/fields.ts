import { z } from 'zod';

/** A string the caller must give: absent, null and `""` are all "missing" (as mlflow/server/handlers.py, _assert_required). */
export const requiredText = z.string().min(1);

/** A 64-bit integer of proto-JSON: a number without a fraction, or the same as a decimal string. */
export const int64 = z.preprocess(
  (value) => (typeof value === 'string' && /^[+-]?\d+$/.test(value) ? Number(value) : value),
  z.number().refine((value) => Number.isInteger(value) && Math.abs(value) <= 2 ** 63, { params: { wrongType: true } }),
);

/** A double of proto-JSON: a number, a decimal string, or `"NaN"`, `"Infinity"`, `"-Infinity"`. */
export const double = z.preprocess(
  (value) => {
    if (typeof value !== 'string') return value;
    if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
    return value.trim() === '' || Number.isNaN(Number(value)) ? value : Number(value);
  },
  z.custom<number>((value) => typeof value === 'number'),
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
