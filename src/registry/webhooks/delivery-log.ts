import { z } from 'zod';
import { type Db, run, sqlBuilder, statement } from '../../platform/db/database.ts';
import { doesNotExist, invalidState } from '../../platform/errors.ts';
import { fetchPage } from '../../platform/search/page.ts';
import { type EventName, toWireEvent } from './events.ts';
import { getWebhook, type WebhookKey } from './store.ts';

const PURGE_DELIVERIES = statement(
  'purge_webhook_deliveries',
  `delete from webhook_deliveries where delivery_id in (
     select delivery_id from webhook_deliveries where status <> 'PENDING' and end_time < now() - make_interval(days => :days)
     limit :most for update skip locked)
   returning delivery_id`,
);
const PURGED_AT_ONCE = 1000;

/** Takes deliveries that ended more than `days` ago out of the log. */
export async function purgeDeliveries(db: Db, days: number): Promise<void> {
  let purged: unknown[];
  do purged = await run(db, PURGE_DELIVERIES, { days, most: PURGED_AT_ONCE });
  while (purged.length === PURGED_AT_ONCE);
}

export const DELIVERY_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** A delivery as the log shows it: nothing of its webhook's URL and secret, nor of what the receiver said. Times are epoch milliseconds. */
export const LoggedDelivery = z.object({
  delivery_id: z.string(),
  event: z.object({ entity: z.string(), action: z.string() }),
  status: z.enum(DELIVERY_STATUSES),
  /** Since it was stored, or redelivered. */
  attempts: z.int(),
  /** Of the last attempt that is over. */
  response_status: z.int().optional(),
  error_message: z.string().optional(),
  creation_timestamp: z.int(),
  last_attempt_timestamp: z.int().optional(),
  /** Of a pending one: not before then. */
  next_attempt_timestamp: z.int().optional(),
});

type LoggedDeliveryRow = {
  delivery_id: string;
  event: EventName;
  status: DeliveryStatus;
  attempts: number;
  response_status: number | null;
  error_message: string | null;
  creation_timestamp: number;
  last_attempt_timestamp: number | null;
  next_attempt_timestamp: number;
};

export const toLoggedDelivery = (row: LoggedDeliveryRow): z.infer<typeof LoggedDelivery> => ({
  delivery_id: row.delivery_id,
  event: toWireEvent(row.event),
  status: row.status,
  attempts: row.attempts,
  ...(row.response_status !== null && { response_status: row.response_status }),
  ...(row.error_message !== null && { error_message: row.error_message }),
  creation_timestamp: row.creation_timestamp,
  ...(row.last_attempt_timestamp !== null && { last_attempt_timestamp: row.last_attempt_timestamp }),
  ...(row.status === 'PENDING' && { next_attempt_timestamp: row.next_attempt_timestamp }),
});

const epochMs = (time: string) => `floor(extract(epoch from ${time}) * 1000)::bigint`;

const LOGGED_COLUMNS = `d.delivery_id, (d.body::json ->> 'entity') || '.' || (d.body::json ->> 'action') as event, d.status, d.attempts, d.response_status,
  d.error_message, ${epochMs('d.creation_time')} as creation_timestamp, ${epochMs('d.last_attempt_time')} as last_attempt_timestamp,
  ${epochMs('greatest(d.next_attempt, w.paused_until)')} as next_attempt_timestamp`;

/** The log of a webhook, the newest first. Throws RESOURCE_DOES_NOT_EXIST when the scope has no such webhook. */
export async function listDeliveries(
  db: Db,
  key: WebhookKey,
  page: { status: DeliveryStatus | undefined; limit: number; pageToken: string | undefined },
): Promise<{ rows: LoggedDeliveryRow[]; nextPageToken: string | null }> {
  const { webhook_id: webhookId } = await getWebhook(db, key);
  const query = sqlBuilder('webhook_deliveries as d')
    .join('webhooks as w', 'w.webhook_id', 'd.webhook_id')
    .select(sqlBuilder.raw(LOGGED_COLUMNS))
    .where('d.webhook_id', webhookId);
  if (page.status) query.where('d.status', page.status);
  return fetchPage<LoggedDeliveryRow>(db, query, {
    sorts: [{ sql: 'd.position', descending: true }],
    fingerprint: ['webhook_deliveries', webhookId, page.status],
    limit: page.limit,
    pageToken: page.pageToken,
  });
}

const REDELIVER = statement(
  'redeliver_webhook_delivery',
  `with unpaused as (
     update webhooks set paused_until = now() where scope_id = :scope and webhook_id = :webhookId and status = 'ACTIVE' returning webhook_id, paused_until)
   update webhook_deliveries d
   set status = 'PENDING', attempts = 0, next_attempt = now(), due_time = now(), end_time = null
   from unpaused w
   where d.delivery_id = :deliveryId and d.webhook_id = w.webhook_id
   returning ${LOGGED_COLUMNS}`,
);

/**
 * Has a delivery sent again now, also one that is waiting for its next attempt, with the id and body it had; if that fails, again and again as for a new one.
 * Throws RESOURCE_DOES_NOT_EXIST, and INVALID_STATE for a webhook that is disabled.
 */
export async function redeliver(db: Db, key: WebhookKey, deliveryId: string): Promise<LoggedDeliveryRow> {
  const [row] = await run<LoggedDeliveryRow>(db, REDELIVER, { ...key, deliveryId });
  if (row) return row;
  const { status } = await getWebhook(db, key);
  if (status === 'DISABLED') throw invalidState(`Webhook with ID ${key.webhookId} is disabled: set its status to ACTIVE first.`);
  throw doesNotExist(`Webhook delivery with ID ${deliveryId} not found.`);
}
