import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { canInScope } from '../../access/can.ts';
import { endpoint, type Services } from '../../endpoint.ts';
import { ifThere, invalidParameter } from '../../platform/errors.ts';
import { int64, requiredText } from '../../platform/fields.ts';
import { eventBody } from './body.ts';
import { checkWebhookUrl } from './check-url.ts';
import { checkWebhookName, toWebhook, Webhook, WebhookEvent, webhookDescription, webhookSecret, webhookStatus } from './entity.ts';
import { eventName, eventNames } from './events.ts';
import { EXAMPLE_DATA } from './example-data.ts';
import { postEvent } from './post.ts';
import { deleteWebhook, getWebhook, insertWebhook, listWebhooks, updateWebhook } from './store.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;

const oneWebhook = z.object({ webhook: Webhook });
const webhookId = z.string();

/** A webhook as callers see it, for the audit. */
async function webhookState({
  db,
  scope,
  input,
  output,
}: Services & { input: { webhook_id: string }; output?: { webhook?: z.input<typeof Webhook> } | undefined }): Promise<unknown> {
  if (output?.webhook) return output.webhook;
  const found = await ifThere(getWebhook(db, { scope: scope.id, webhookId: input.webhook_id }));
  return found && toWebhook(found);
}

const create = endpoint({
  op: 'webhook.create',
  summary: 'Have events posted to a URL',
  method: 'POST',
  path: '/mlflow/webhooks',
  effect: 'write',
  input: z.object({
    name: requiredText,
    url: requiredText,
    events: z.array(WebhookEvent),
    description: webhookDescription.default(''),
    secret: webhookSecret.default(''),
    status: webhookStatus.default('ACTIVE'),
  }),
  output: oneWebhook,
  permission: canInScope('MANAGE'),
  state: ({ output }) => output?.webhook,
  async handler({ db, scope, webhooks, onceKept, input }) {
    const { name, description, url, status } = input;
    const events = eventNames(input.events);
    checkWebhookName(name);
    await checkWebhookUrl(url, webhooks.settings);
    if (events.length === 0) throw invalidParameter('Webhook events must be a non-empty list of WebhookEvent objects: [].');
    const key = { scope: scope.id, webhookId: randomUUID() };
    const secret = input.secret === '' ? null : await webhooks.secrets.seal(key.webhookId, input.secret);
    const row = await insertWebhook(db, key, { name, description, url, events, status, secret });
    await onceKept(() => webhooks.reload());
    return { webhook: toWebhook(row) };
  },
});

const list = endpoint({
  op: 'webhook.list',
  summary: 'List webhooks, the newest first',
  method: 'GET',
  path: '/mlflow/webhooks',
  effect: 'read',
  input: z.object({
    // 0 is the default, as the stock server has it.
    max_results: int64
      .refine((value) => value >= 0 && value <= MAX_RESULTS, `max_results must be between 1 and ${MAX_RESULTS}.`)
      .transform((value) => value || DEFAULT_RESULTS)
      .default(DEFAULT_RESULTS),
    page_token: z.string().optional(),
  }),
  output: z.object({ webhooks: z.array(Webhook).optional(), next_page_token: z.string().optional() }),
  permission: canInScope('MANAGE'),
  async handler({ db, scope, input }) {
    const { rows, nextPageToken } = await listWebhooks(db, scope.id, { limit: input.max_results, pageToken: input.page_token });
    return {
      ...(rows.length > 0 && { webhooks: rows.map(toWebhook) }),
      ...(nextPageToken && { next_page_token: nextPageToken }),
    };
  },
});

const get = endpoint({
  op: 'webhook.get',
  summary: 'Get a webhook, without its secret',
  method: 'GET',
  path: '/mlflow/webhooks/:webhook_id',
  effect: 'read',
  input: z.object({ webhook_id: webhookId }),
  output: oneWebhook,
  permission: canInScope('MANAGE'),
  async handler({ db, scope, input }) {
    return { webhook: toWebhook(await getWebhook(db, { scope: scope.id, webhookId: input.webhook_id })) };
  },
});

const update = endpoint({
  op: 'webhook.update',
  summary: 'Change what is given of a webhook',
  method: 'PATCH',
  path: '/mlflow/webhooks/:webhook_id',
  effect: 'write',
  input: z.object({
    webhook_id: webhookId,
    name: z.string().default(''),
    description: webhookDescription.optional(),
    url: z.string().default(''),
    events: z.array(WebhookEvent).default([]),
    secret: webhookSecret.optional(),
    status: webhookStatus.optional(),
  }),
  output: oneWebhook,
  permission: canInScope('MANAGE'),
  state: webhookState,
  async handler({ db, scope, webhooks, onceKept, input }) {
    // An empty name, URL or list of events changes nothing; an empty description or secret takes it away.
    const { name, url, secret } = input;
    const events = eventNames(input.events);
    const key = { scope: scope.id, webhookId: input.webhook_id };
    await getWebhook(db, key);
    if (name) checkWebhookName(name);
    if (url) await checkWebhookUrl(url, webhooks.settings);
    const row = await updateWebhook(db, key, {
      name: name || null,
      description: input.description ?? null,
      url: url || null,
      events: events.length > 0 ? events : null,
      status: input.status ?? null,
      secret: secret ? await webhooks.secrets.seal(key.webhookId, secret) : null,
      setSecret: secret !== undefined,
    });
    await onceKept(() => webhooks.reload());
    return { webhook: toWebhook(row) };
  },
});

const remove = endpoint({
  op: 'webhook.delete',
  summary: 'Delete a webhook and what was still to be sent to it',
  method: 'DELETE',
  path: '/mlflow/webhooks/:webhook_id',
  effect: 'write',
  input: z.object({ webhook_id: webhookId }),
  output: z.object({}),
  permission: canInScope('MANAGE'),
  state: webhookState,
  async handler({ db, scope, webhooks, onceKept, input }) {
    await deleteWebhook(db, { scope: scope.id, webhookId: input.webhook_id });
    await onceKept(() => webhooks.reload());
    return {};
  },
});

const test = endpoint({
  op: 'webhook.test',
  summary: 'Post an example of an event to a webhook, and tell what it answers',
  method: 'POST',
  path: '/mlflow/webhooks/:webhook_id/test',
  effect: 'write',
  audited: 'after',
  input: z.object({ webhook_id: webhookId, event: WebhookEvent.optional() }),
  output: z.object({
    result: z.object({
      success: z.boolean(),
      response_status: z.int().optional(),
      response_body: z.string().optional(),
      error_message: z.string().optional(),
    }),
  }),
  permission: canInScope('MANAGE'),
  async handler({ db, scope, webhooks, input }) {
    const wanted = input.event && eventName(input.event);
    const row = await getWebhook(db, { scope: scope.id, webhookId: input.webhook_id });
    const event = wanted ?? row.events[0] ?? 'registered_model.created';
    try {
      const secret = row.secret && (await webhooks.secrets.unseal(row.webhook_id, row.secret));
      const message = { id: randomUUID(), body: eventBody(event, EXAMPLE_DATA[event], scope) };
      const { status, body } = await postEvent({ url: row.url, secret }, message, webhooks.settings);
      return { result: { success: status >= 200 && status < 300, response_status: status, response_body: body } };
    } catch (error) {
      return { result: { success: false, error_message: `Failed to test webhook: ${(error as Error).message}` } };
    }
  },
});

export const webhookEndpoints = [create, list, get, update, remove, test];
