import { z } from 'zod';
import { canInScope } from '../../access/can.ts';
import { endpoint } from '../../endpoint.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import { DELIVERY_STATUSES, type DeliveryStatus, LoggedDelivery, listDeliveries, redeliver, toLoggedDelivery } from './delivery-log.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;

const list = endpoint({
  op: 'webhook_delivery.list',
  summary: 'List the deliveries of a webhook, the newest first',
  method: 'GET',
  path: '/webhooks/:webhook_id/deliveries',
  apiVersion: '1.0',
  effect: 'read',
  input: z.object({
    webhook_id: z.string(),
    status: z
      .custom<DeliveryStatus>((status) => DELIVERY_STATUSES.includes(status as DeliveryStatus), {
        error: ({ input }) => `Invalid status '${input}'. Must be one of: ${DELIVERY_STATUSES.join(', ')}`,
      })
      .optional(),
    max_results: searchLimit(MAX_RESULTS).default(DEFAULT_RESULTS),
    page_token: z.string().optional(),
  }),
  output: z.object({ deliveries: z.array(LoggedDelivery), next_page_token: z.string().optional() }),
  permission: canInScope('MANAGE'),
  async handler({ db, scope, input }) {
    const { webhook_id: webhookId, status, max_results: limit, page_token: pageToken } = input;
    const { rows, nextPageToken } = await listDeliveries(db, { scope: scope.id, webhookId }, { status, limit, pageToken });
    return { deliveries: rows.map(toLoggedDelivery), ...(nextPageToken && { next_page_token: nextPageToken }) };
  },
});

const again = endpoint({
  op: 'webhook_delivery.redeliver',
  summary: 'Send a delivery again, now',
  method: 'POST',
  path: '/webhooks/:webhook_id/deliveries/:delivery_id\\:redeliver',
  apiVersion: '1.0',
  effect: 'write',
  input: z.object({ webhook_id: z.string(), delivery_id: z.string() }),
  output: z.object({ delivery: LoggedDelivery }),
  permission: canInScope('MANAGE'),
  async handler({ db, scope, webhooks, onceKept, input }) {
    const row = await redeliver(db, { scope: scope.id, webhookId: input.webhook_id }, input.delivery_id);
    await onceKept(() => webhooks.deliver());
    return { delivery: toLoggedDelivery(row) };
  },
});

export const webhookDeliveryEndpoints = [list, again];
