import { type Db, run, sqlBuilder, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import { fetchPage } from '../../platform/search/page.ts';
import type { WebhookRow } from './entity.ts';
import type { EventName } from './events.ts';

export type WebhookKey = { scope: number; webhookId: string };

const COLUMNS = 'webhook_id, name, description, url, events, status, creation_timestamp, last_updated_timestamp';

function single<Row>(rows: Row[], { webhookId }: WebhookKey): Row {
  if (!rows[0]) throw doesNotExist(`Webhook with ID ${webhookId} not found.`);
  return rows[0];
}

const bindingsOf = ({ scope, webhookId }: WebhookKey) => ({ scope, webhook_id: webhookId });

const INSERT_WEBHOOK = statement(
  'insert_webhook',
  `insert into webhooks (webhook_id, scope_id, name, description, url, events, status, secret)
   values (:webhook_id, :scope, :name, :description, :url, :events, :status, :secret)
   returning ${COLUMNS}`,
);

export type NewWebhook = Pick<WebhookRow, 'name' | 'description' | 'url' | 'events' | 'status'> & { secret: Buffer | null };

/** Names need not be unique. `secret` is sealed. */
export async function insertWebhook(db: Db, key: WebhookKey, webhook: NewWebhook): Promise<WebhookRow> {
  return single(await run<WebhookRow>(db, INSERT_WEBHOOK, { ...bindingsOf(key), ...webhook }), key);
}

const GET_WEBHOOK = statement(
  'get_webhook',
  `select ${COLUMNS}, secret from webhooks where scope_id = :scope and webhook_id = :webhook_id`,
);

/** Throws RESOURCE_DOES_NOT_EXIST when the scope has no such webhook; so do the functions below. The secret is sealed. */
export async function getWebhook(db: Db, key: WebhookKey): Promise<WebhookRow & { secret: Buffer | null }> {
  return single(await run<WebhookRow & { secret: Buffer | null }>(db, GET_WEBHOOK, bindingsOf(key)), key);
}

const UPDATE_WEBHOOK = statement(
  'update_webhook',
  `with dropped as (
     update webhook_deliveries d set status = 'FAILED', end_time = now(), error_message = 'The webhook was disabled before this was delivered.'
     from webhooks w
     where :status::text = 'DISABLED' and w.scope_id = :scope and w.webhook_id = :webhook_id and d.webhook_id = w.webhook_id and d.status = 'PENDING')
   update webhooks
   set name = coalesce(:name, name), description = coalesce(:description, description), url = coalesce(:url, url),
     events = coalesce(:events, events), status = coalesce(:status::text, status),
     secret = case when :set_secret then :secret::bytea else secret end,
     last_updated_timestamp = now_ms(), failures = 0, paused_until = now()
   where scope_id = :scope and webhook_id = :webhook_id
   returning ${COLUMNS}`,
);

/** Null leaves a part as it is; `secret` too, unless `setSecret`. Disabling drops what was still to be sent; any change ends a pause. */
export type WebhookChange = { [Part in keyof NewWebhook]: NewWebhook[Part] | null } & { setSecret: boolean };

export async function updateWebhook(db: Db, key: WebhookKey, { setSecret, ...change }: WebhookChange): Promise<WebhookRow> {
  return single(await run<WebhookRow>(db, UPDATE_WEBHOOK, { ...bindingsOf(key), ...change, set_secret: setSecret }), key);
}

const DELETE_WEBHOOK = statement(
  'delete_webhook',
  'delete from webhooks where scope_id = :scope and webhook_id = :webhook_id returning webhook_id',
);

/** Deletes a webhook with what was still to be sent. */
export async function deleteWebhook(db: Db, key: WebhookKey): Promise<void> {
  single(await run(db, DELETE_WEBHOOK, bindingsOf(key)), key);
}

/** Newest first. */
export function listWebhooks(db: Db, scope: number, page: { limit: number; pageToken: string | undefined }) {
  return fetchPage<WebhookRow>(db, sqlBuilder('webhooks').select(COLUMNS.split(', ')).where('scope_id', scope), {
    sorts: [
      { sql: 'creation_timestamp', descending: true },
      { sql: 'webhook_id', descending: true },
    ],
    fingerprint: ['webhooks', scope],
    ...page,
  });
}

const LIST_AWAITED = statement(
  'list_awaited_events',
  `select distinct scope_id, unnest(events) as event from webhooks where status = 'ACTIVE'`,
);

/** Which events somebody waits for, of all scopes. */
export async function listAwaitedEvents(db: Db): Promise<{ scope_id: number; event: EventName }[]> {
  return run<{ scope_id: number; event: EventName }>(db, LIST_AWAITED);
}
