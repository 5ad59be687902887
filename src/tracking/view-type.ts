import type { z } from 'zod';
import { protoEnum } from '../platform/fields.ts';

/** Which lifecycle stages a search is about (mlflow/protos/service.proto, ViewType). */
export const viewType = protoEnum({ ACTIVE_ONLY: 1, DELETED_ONLY: 2, ALL: 3 });

const STAGES = { ACTIVE_ONLY: ['active'], DELETED_ONLY: ['deleted'], ALL: ['active', 'deleted'] };

export const stagesOf = (view: z.output<typeof viewType>): string[] => STAGES[view];
