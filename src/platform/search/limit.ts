import { z } from 'zod';
import { int64 } from '../fields.ts';

/** `max_results` of a search: 1 to `most`. The stock server answers a larger one as a value of the wrong type. */
export function searchLimit(most: number) {
  return int64.pipe(
    z
      .number()
      .refine((value) => value <= most, { params: { wrongType: true }, abort: true })
      .refine((value) => value >= 1, {
        error: (issue) => `Invalid value for max_results. It must be a positive integer, but got ${issue.input}`,
      }),
  );
}
