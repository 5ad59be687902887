import { z } from 'zod';
import { int64 } from '../platform/fields.ts';

/** The least `max_results` of a search of runs or experiments (mlflow/store/tracking/sqlalchemy_store.py, _validate_max_results_param). */
export const atLeastOne = z.number().refine((value) => value >= 1, {
  error: ({ input }) => `Invalid value ${input} for parameter 'max_results' supplied. It must be a positive integer`,
});

export const maxResults = int64.pipe(atLeastOne);
