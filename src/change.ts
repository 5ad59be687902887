import type { z } from 'zod';
import type { Resource } from './access/grants.ts';
import { grantToMaker } from './access/grants-store.ts';
import type { Services } from './endpoint.ts';
import { transaction } from './platform/db/database.ts';
import type { Endpoint } from './platform/http/endpoint.ts';
import { storeEvent } from './registry/webhooks/announce.ts';

/**
 * For a change that something follows from: runs it, and keeps in the same transaction what follows: an event that a webhook waits for, the rights of who
 * made something. Undefined when nothing follows, so that the change costs what it costs alone.
 */
export function changer(endpoint: Endpoint<Services, z.ZodObject, z.ZodType>, context: Services & { input: unknown }) {
  const { db, scope, webhooks, caller } = context;
  const announced = endpoint.webhookEvents && webhooks.isAwaited(scope.id, endpoint.webhookEvents.names) ? endpoint.webhookEvents : null;
  const made = caller.id === null || caller.isAdmin ? undefined : endpoint.makes;
  if (!announced && !made) return undefined;
  return async <Output>(change: (services: Services) => Promise<Output>): Promise<Output> => {
    const later: Parameters<Services['onceKept']>[0][] = [];
    const output = await transaction(db, async (tx) => {
      const within = { ...context, db: tx, onceKept: async (work: (typeof later)[number]) => void later.push(work) } as Services & {
        input: Record<string, unknown>;
      };
      const output = await change(within);
      const event = await announced?.of({ ...within, output });
      if (event) await storeEvent(within, event);
      if (made) await grantToMaker(tx, caller, made({ ...within, output }) as Resource);
      return output;
    });
    if (announced) webhooks.deliver();
    for (const work of later) await work(db);
    return output;
  };
}
