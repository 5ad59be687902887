import type { Logger } from 'pino';
import { type Db, isUnavailable, transaction } from '../../platform/db/database.ts';
import { getHead, seal } from './chain.ts';
import type { NewEvent } from './event.ts';
import { findModels, insertEvent } from './store.ts';

const SEAL_EVERY_MS = 1000;
const COUNT_FOR_MS = 5000;
const TELL_HEAD_EVERY_MS = 3_600_000;
const MOST_COUNTED = 2000;

/** An event of which many may come: `modelId` stands for the name of the model, which is looked up later. */
type CountedEvent = Omit<NewEvent, 'count'> & { modelId?: string };

export type Audit = {
  /** Writes an event, in the transaction of `db` if it is one. */
  record(db: Db, event: NewEvent): Promise<void>;
  /** As `record`, off the request's path: equal ones of some seconds become one with a count. It takes no time and never fails. */
  count(event: CountedEvent): void;
  /** Writes and seals what is left, and ends. */
  stop(): Promise<void>;
};

/**
 * Starts what brings events into the chain (docs/decisions/0010), about every second, and writes what was counted, every five. At most 2000 counters are kept in
 * between: what does not fit, because of many callers or a database that does not answer, is dropped, and the log says how much.
 */
export function openAudit(db: Db, log: Logger, countForMs = COUNT_FOR_MS): Audit {
  let counters = new Map<string, CountedEvent & { count: number }>();
  let dropped = 0;

  const add = (key: string, event: CountedEvent, count: number): void => {
    const known = counters.get(key);
    if (known) known.count += count;
    else if (counters.size < MOST_COUNTED) counters.set(key, { ...event, count });
    else dropped += count;
  };

  const writeCounted = async (): Promise<void> => {
    if (dropped > 0) log.warn({ dropped }, 'too much for the audit to count at once: some reads or failed logins are not in it');
    dropped = 0;
    if (counters.size === 0) return;
    const taken = counters;
    counters = new Map();
    try {
      const events = await withNames(db, [...taken.values()]);
      await transaction(db, async (tx) => {
        for (const event of events) await insertEvent(tx, event);
      });
    } catch (error) {
      if (!isUnavailable(error))
        return log.error({ err: error, events: taken.size }, 'reads and failed logins could not be written to the audit');
      log.warn({ err: error }, 'could not write to the audit; trying again');
      for (const [key, event] of taken) add(key, event, event.count);
    }
  };

  const tellHead = async (): Promise<void> => {
    const { sequence, hash } = await getHead(db);
    log.info({ sequence, hash: hash.toString('hex') }, 'the head of the audit chain');
  };

  const failed = (error: unknown) => log.warn({ err: error }, 'could not seal the audit; trying again');
  const repeat = (work: () => Promise<unknown>, everyMs: number) => {
    let running: Promise<unknown> | undefined;
    const timer = setInterval(() => {
      running ??= work()
        .catch(failed)
        .finally(() => {
          running = undefined;
        });
    }, everyMs);
    timer.unref();
    return async () => {
      clearInterval(timer);
      await running;
    };
  };
  const stops = [repeat(() => seal(db), SEAL_EVERY_MS), repeat(writeCounted, countForMs), repeat(tellHead, TELL_HEAD_EVERY_MS)];

  return {
    record: insertEvent,
    count(event) {
      const { request_id: _, ...equal } = event;
      add(JSON.stringify(equal), event, 1);
    },
    async stop() {
      for (const stop of stops) await stop();
      await writeCounted();
      await seal(db).then(tellHead).catch(failed);
    },
  };
}

/** Downloads name a model by its id: only those of registries are kept. What is gone since keeps its id. */
async function withNames(db: Db, events: (CountedEvent & { count: number })[]): Promise<NewEvent[]> {
  const ids = [...new Set(events.flatMap(({ modelId }) => modelId ?? []))];
  if (ids.length === 0) return events;
  const models = await findModels(db, ids);
  return events.flatMap(({ modelId, ...event }) => {
    const model = models.get(modelId ?? '');
    if (!model) return event;
    return model.is_shared ? { ...event, resource: model.name, scope: model.scope, scope_id: model.scope_id } : [];
  });
}
