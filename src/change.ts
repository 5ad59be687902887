import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { Resource } from './access/grants.ts';
import { grantToMaker } from './access/grants-store.ts';
import { eventOf, scopeOf } from './audit.ts';
import type { Services } from './endpoint.ts';
import { transaction } from './platform/db/database.ts';
import type { Endpoint } from './platform/http/endpoint.ts';
import { storeEvent } from './registry/webhooks/announce.ts';

type Undone = Parameters<Services['onceUndone']>[0];

// The database itself records who moved an alias.
const MOVES_ALIASES = [
  'registered_model.set_alias',
  'registered_model.delete_alias',
  'alias.roll_back',
  'model_version.delete',
  'promotion.create',
];

/**
 * For a change that something follows from: runs it, and keeps in the same transaction what follows: an event that a webhook waits for, the rights of who
 * made something, what the audit tells of it, who made the change. Undefined when nothing follows, so that the change costs what it costs alone.
 */
export function changer(
  endpoint: Endpoint<Services, z.ZodObject, z.ZodType>,
  context: Services & { input: unknown },
  req: IncomingMessage,
) {
  const { db, scope, webhooks, caller } = context;
  const input = context.input as Record<string, unknown>;
  const announced = endpoint.webhookEvents && webhooks.isAwaited(scope.id, endpoint.webhookEvents.names) ? endpoint.webhookEvents : null;
  const made = caller.id === null || caller.isAdmin ? undefined : endpoint.makes;
  // A dry run changes nothing.
  const audit = endpoint.audited === undefined && input.dry_run !== true ? context.audit : null;
  const isNamed = caller.username !== '' && MOVES_ALIASES.includes(endpoint.op) && input.dry_run !== true;
  if (!announced && !made && !audit && !isNamed) return undefined;
  return async <Output>(change: (services: Services) => Promise<Output>): Promise<Output> => {
    const later: Parameters<Services['onceKept']>[0][] = [];
    const undone: Undone[] = [];
    const place = audit && (await scopeOf(endpoint, context));
    const work = async (tx: Services['db']): Promise<Output> => {
      const within = {
        ...context,
        input,
        db: tx,
        onceKept: async (work: (typeof later)[number]) => void later.push(work),
        onceUndone: async (work: Undone) => void undone.push(work),
      };
      const before = audit && (await endpoint.state?.(within));
      const output = await change(within);
      const event = await announced?.of({ ...within, output });
      if (event) await storeEvent(within, event);
      if (made) await grantToMaker(tx, caller, made({ ...within, output }) as Resource);
      if (audit && place) {
        const after = endpoint.state && (await endpoint.state({ ...within, output }));
        await audit.record(tx, eventOf(endpoint, context, req, place, { output, before, after }));
      }
      return output;
    };
    const output = await transaction(db, work, isNamed ? { 'model_commons.actor': caller.username } : {}).catch(async (error: unknown) => {
      for (const work of undone) await work(db);
      throw error;
    });
    if (announced) webhooks.deliver();
    for (const work of later) await work(db);
    return output;
  };
}
