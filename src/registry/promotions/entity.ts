import { z } from 'zod';
import type { PromotionRow } from './store.ts';

/** A promotion as the API gives it: `source` and `target` name scope, model and version; times are epoch ms, the digest is the version's. */
export const Promotion = z.object({
  promotion_id: z.string(),
  status: z.enum(['COMPLETED', 'FAILED']),
  source: z.record(z.string(), z.unknown()),
  target: z.record(z.string(), z.unknown()),
  digest: z.string().optional(),
  requested_by: z.string(),
  reason: z.string(),
  creation_timestamp: z.int(),
});

export const toPromotion = ({ digest, ...row }: PromotionRow): z.infer<typeof Promotion> => ({
  ...row,
  ...(digest !== null && { digest }),
});
