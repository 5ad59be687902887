import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Db } from '../../platform/db/database.ts';
import { claimDeliveries, type Delivery, failDelivery, finishDelivery, type Outcome, releaseDelivery } from './deliveries.ts';
import { type PostSettings, postEvent } from './post.ts';
import type { Secrets } from './secrets.ts';

const GIVE_UP_AFTER_SECONDS = 24 * 3600;
const LONGEST_PAUSE_SECONDS = 3600;
const LONGEST_WEBHOOK_PAUSE_SECONDS = 600;
const LEASE_MARGIN_SECONDS = 5;
const STOP_WITHIN_MS = 5_000;

export type DeliverySettings = PostSettings & {
  maxWorkers: number;
  /** Undefined: as many as fit into 24 hours. */
  maxRetries: number | undefined;
};

/** How an attempt ended: `retried`: it failed, and there will be another. */
export type Attempted = 'delivered' | 'retried' | 'failed';

/** Sends what is stored to be sent. */
export type Courier = {
  /** Looks for due deliveries now. What goes wrong is logged. */
  wake(): void;
  /** Lets those under way finish for 5 s; the others are due at once for whoever comes next. */
  stop(): Promise<void>;
};

/** Starts nothing by itself: `wake` is to be called when something was stored and, for retries, every now and then. */
export function openCourier(
  db: Db,
  secrets: Secrets,
  settings: DeliverySettings,
  log: Logger,
  attempted: (how: Attempted) => void,
  settled: () => Promise<void>,
): Courier {
  const running = new Map<Delivery, Promise<void>>();
  const stopping = new AbortController();
  let looking = false;
  let lookAgain = false;
  let closed = false;

  const look = async (): Promise<void> => {
    const most = settings.maxWorkers - running.size;
    if (most <= 0 || closed) return;
    const claimed = await claimDeliveries(db, {
      most,
      mostOfOne: Math.ceil(settings.maxWorkers / 2),
      running: [...running.keys()].map(({ webhook_id }) => webhook_id),
      leaseSeconds: settings.timeoutSeconds + LEASE_MARGIN_SECONDS,
    });
    if (claimed.length > 0) await settled();
    for (const delivery of claimed) running.set(delivery, attempt(delivery));
  };

  const attempt = async (delivery: Delivery): Promise<void> => {
    const about = { delivery: delivery.delivery_id, webhook: delivery.webhook_id, attempt: delivery.attempts };
    try {
      const { mayHelp, retryAfterSeconds, ...outcome } = await send(delivery, secrets, settings, stopping.signal);
      if (outcome.failure === null) {
        attempted('delivered');
        return await finishDelivery(db, delivery, outcome);
      }
      if (stopping.signal.aborted) return await releaseDelivery(db, delivery);
      const again = mayHelp && isWorthRetrying(delivery, settings.maxRetries);
      attempted(again ? 'retried' : 'failed');
      if (again) log.info({ ...about, reason: outcome.failure }, 'a webhook delivery failed and is tried again later');
      else log.warn({ ...about, reason: outcome.failure }, 'a webhook delivery failed and is given up');
      if (!mayHelp) return await finishDelivery(db, delivery, outcome);
      const asked = Math.min(retryAfterSeconds ?? 0, LONGEST_PAUSE_SECONDS);
      const pause = again ? Math.max(pauseAfter(delivery.attempts), asked) : null;
      await failDelivery(db, delivery, outcome, { pause, asked, longest: LONGEST_WEBHOOK_PAUSE_SECONDS });
    } catch (error) {
      // Its lease ends, and it is tried again.
      log.warn({ ...about, err: error }, 'the outcome of a webhook delivery could not be stored');
    } finally {
      running.delete(delivery);
      wake();
    }
  };

  const lookWhileAsked = async (): Promise<void> => {
    looking = true;
    try {
      while (lookAgain) {
        lookAgain = false;
        await look();
      }
    } catch (error) {
      log.warn({ err: error }, 'could not look for webhook deliveries');
    } finally {
      looking = false;
    }
  };

  const wake = (): void => {
    lookAgain = true;
    if (!looking && !closed) void lookWhileAsked();
  };

  return {
    wake,
    async stop() {
      closed = true;
      const until = Date.now() + STOP_WITHIN_MS;
      while ((running.size > 0 || looking) && Date.now() < until) await sleep(10);
      stopping.abort();
      await Promise.all(running.values());
    },
  };
}

type Attempt = Outcome & { mayHelp: boolean; retryAfterSeconds?: number | undefined };

/** One attempt. `mayHelp`: no answer, 429 and 5xx may be better next time; any other answer will stay what it is. */
async function send(delivery: Delivery, secrets: Secrets, settings: DeliverySettings, stop: AbortSignal): Promise<Attempt> {
  try {
    const secret = delivery.secret && (await secrets.unseal(delivery.webhook_id, delivery.secret));
    const receiver = { url: delivery.url, secret };
    const { status, retryAfterSeconds } = await postEvent(receiver, { id: delivery.delivery_id, body: delivery.body }, settings, stop);
    const failure = status >= 200 && status < 300 ? null : `The receiver answered ${status}.`;
    return { responseStatus: status, failure, mayHelp: status === 429 || status >= 500, retryAfterSeconds };
  } catch (error) {
    return { responseStatus: null, failure: (error as Error).message, mayHelp: true };
  }
}

const isWorthRetrying = ({ attempts, age_seconds }: Delivery, maxRetries = Number.POSITIVE_INFINITY) =>
  attempts <= maxRetries && age_seconds < GIVE_UP_AFTER_SECONDS;

/** Seconds before the next attempt: 1, 2, 4 … up to an hour, each with up to 1 s added so that many do not come at once. */
const pauseAfter = (attempts: number) => Math.min(2 ** Math.min(attempts - 1, 12) + Math.random(), LONGEST_PAUSE_SECONDS);
