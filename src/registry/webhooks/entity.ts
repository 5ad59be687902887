import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy, protoEnum } from '../../platform/fields.ts';
import { checkLength } from '../../platform/names.ts';
import { pythonRepr } from '../../platform/python.ts';
import { type EventName, eventAction, eventEntity, toWireEvent } from './events.ts';

const MAX_DESCRIPTION_LENGTH = 1000;
const MAX_SECRET_LENGTH = 1000;

/** As mlflow/utils/validation.py, _validate_webhook_name. */
export function checkWebhookName(name: string): void {
  if (/^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/i.test(name)) return;
  throw invalidParameter(
    `Webhook name ${pythonRepr(name)} is invalid. It must start and end with a letter or digit, be less than 63 characters long, ` +
      'and contain only letters, digits, dots (.), underscores (_), and hyphens (-).',
  );
}

export const webhookStatus = protoEnum({ ACTIVE: 1, DISABLED: 2 });
export const webhookDescription = checkedBy((text) => checkLength('description', MAX_DESCRIPTION_LENGTH, text));
export const webhookSecret = checkedBy((text) => checkLength('secret', MAX_SECRET_LENGTH, text)).meta({ secret: true });

export const WebhookEvent = z.object({ entity: eventEntity, action: eventAction });

/** A webhook as callers see it: its secret never leaves the server. */
export const Webhook = z.object({
  webhook_id: z.string(),
  name: z.string(),
  description: z.string().optional(),
  url: z.string(),
  events: z.array(z.object({ entity: z.string(), action: z.string() })),
  status: z.enum(['ACTIVE', 'DISABLED']),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
});

export type WebhookRow = {
  webhook_id: string;
  name: string;
  description: string;
  url: string;
  events: EventName[];
  status: 'ACTIVE' | 'DISABLED';
  creation_timestamp: number;
  last_updated_timestamp: number;
};

export const toWebhook = (row: WebhookRow): z.infer<typeof Webhook> => ({
  webhook_id: row.webhook_id,
  name: row.name,
  ...(row.description && { description: row.description }),
  url: row.url,
  events: row.events.map(toWireEvent),
  status: row.status,
  creation_timestamp: row.creation_timestamp,
  last_updated_timestamp: row.last_updated_timestamp,
});
