import type { Logger } from 'pino';
import type { Db } from '../../platform/db/database.ts';
import { type Attempted, type DeliverySettings, openCourier } from './deliver.ts';
import { purgeDeliveries } from './delivery-log.ts';
import { openSecrets, type Secrets } from './secrets.ts';
import { listAwaitedEvents } from './store.ts';

const LOOK_EVERY_MS = 1000;
const PURGE_EVERY_MS = 3_600_000;

export type WebhookSettings = DeliverySettings & {
  /** 32 bytes in base64; undefined: the one in `keyFile`. */
  encryptionKey: string | undefined;
  keyFile: string;
  /** For so long deliveries stay in the log after they have ended. */
  logDays: number;
};

/** What endpoints need to know and do about webhooks. */
export type Webhooks = {
  settings: WebhookSettings;
  secrets: Secrets;
  /** True when a webhook of the scope waits for one of the events; of another server's changes it knows within a second. */
  isAwaited(scope: number, events: readonly string[]): boolean;
  /** Reads again who waits for what: to be awaited when webhooks were changed here. */
  reload(): Promise<void>;
  /** Sends what was stored to be sent. */
  deliver(): void;
  stop(): Promise<void>;
};

/**
 * Starts the delivery of webhooks: what an earlier run of the server left, what is stored from now on, and retries. Tells `attempted` of each attempt. `settled`
 * is waited for before what is stored is sent: who is told of a change then sees it wherever it reads.
 */
export async function openWebhooks(
  db: Db,
  settings: WebhookSettings,
  log: Logger,
  attempted: (how: Attempted) => void = () => {},
  settled: () => Promise<void> = async () => {},
): Promise<Webhooks> {
  const secrets = openSecrets(settings.encryptionKey, settings.keyFile);
  const courier = openCourier(db, secrets, settings, log, attempted, settled);
  let awaited = new Map<number, Set<string>>();
  let asked = 0;
  let answered = 0;

  const reload = async (): Promise<void> => {
    const turn = ++asked;
    const found = new Map<number, Set<string>>();
    for (const { scope_id, event } of await listAwaitedEvents(db)) found.set(scope_id, (found.get(scope_id) ?? new Set()).add(event));
    // A slow answer must not undo what a later one has said.
    if (turn < answered) return;
    answered = turn;
    awaited = found;
  };

  await reload();
  courier.wake();
  let reloading: Promise<void> | undefined;
  const timer = setInterval(() => {
    courier.wake();
    // A database that does not answer gets no second question.
    reloading ??= reload()
      .catch((error: unknown) => log.debug({ err: error }, 'could not read the webhooks'))
      .finally(() => {
        reloading = undefined;
      });
  }, LOOK_EVERY_MS);
  timer.unref();
  let purging = Promise.resolve();
  const purge = () => {
    purging = purgeDeliveries(db, settings.logDays).catch((error: unknown) =>
      log.warn({ err: error }, 'could not purge the log of webhook deliveries'),
    );
  };
  purge();
  const purger = setInterval(purge, PURGE_EVERY_MS);
  purger.unref();

  return {
    settings,
    secrets,
    isAwaited: (scope, events) => events.some((event) => awaited.get(scope)?.has(event)),
    reload,
    deliver: courier.wake,
    async stop() {
      clearInterval(timer);
      clearInterval(purger);
      await purging;
      await reloading;
      await courier.stop();
    },
  };
}
