import { type Db, run, statement } from '../../platform/db/database.ts';

const INSERT_DELIVERIES = statement(
  'insert_webhook_deliveries',
  `insert into webhook_deliveries (webhook_id, body)
   select webhook_id, :body from webhooks where scope_id = :scope and status = 'ACTIVE' and :event::text = any(events)
   for key share`,
);

/** Stores what each webhook of the scope that waits for the event is to be sent. Meant for the transaction of the change itself. */
export async function insertDeliveries(db: Db, scope: number, event: string, body: string): Promise<void> {
  await run(db, INSERT_DELIVERIES, { scope, event, body });
}

/** A delivery that this server is to attempt now, with its webhook as it is at the moment. */
export type Delivery = {
  delivery_id: string;
  webhook_id: string;
  body: string;
  /** Counted from 1, this one included. */
  attempts: number;
  age_seconds: number;
  url: string;
  /** Sealed. */
  secret: Buffer | null;
};

/**
 * Webhooks come in random order, each gives only so many deliveries at once, and only one while it is failing: receivers that do not answer cannot
 * hold up the others. Rows that another server is just taking are skipped; a row that is taken is not due again before `lease` seconds, when its
 * server must be gone.
 */
const CLAIM_DELIVERIES = statement(
  'claim_webhook_deliveries',
  `with due as (
     select d.delivery_id
     from (select webhook_id, failures from webhooks where paused_until <= now() order by random()) w
     cross join lateral (
       select delivery_id from webhook_deliveries
       where webhook_id = w.webhook_id and status = 'PENDING' and next_attempt <= now()
       order by next_attempt
       limit greatest(0, case when w.failures > 0 then 1 else :most_of_one::int end - (select count(*) from unnest(:running::text[]) as id where id = w.webhook_id))
       for update skip locked) d
     limit :most)
   update webhook_deliveries d
   set attempts = d.attempts + 1, last_attempt_time = now(), next_attempt = now() + make_interval(secs => :lease)
   from due, webhooks w
   where d.delivery_id = due.delivery_id and w.webhook_id = d.webhook_id
   returning d.delivery_id, d.webhook_id, d.body, d.attempts, extract(epoch from now() - d.due_time)::float8 as age_seconds, w.url, w.secret`,
);

/** Takes up to `most` due deliveries. `running` names the webhook of each that this server is sending already. */
export async function claimDeliveries(
  db: Db,
  limits: { most: number; mostOfOne: number; running: string[]; leaseSeconds: number },
): Promise<Delivery[]> {
  return run<Delivery>(db, CLAIM_DELIVERIES, {
    most: limits.most,
    most_of_one: limits.mostOfOne,
    running: limits.running,
    lease: limits.leaseSeconds,
  });
}

/** How an attempt went: the status that the receiver answered, if it did, and what went wrong, if anything. */
export type Outcome = { responseStatus: number | null; failure: string | null };

const FINISH_DELIVERY = statement(
  'finish_webhook_delivery',
  `with finished as (
     update webhook_deliveries
     set status = case when :failure::text is null then 'SUCCEEDED' else 'FAILED' end, end_time = now(), response_status = :responseStatus,
       error_message = :failure
     where delivery_id = :delivery_id and attempts = :attempts)
   update webhooks set failures = 0, paused_until = now() where webhook_id = :webhook_id and failures > 0`,
);

/** Ends a delivery that its receiver has answered, for good or ill, unless it has been taken or is to be sent again since. */
export async function finishDelivery(db: Db, { delivery_id, webhook_id, attempts }: Delivery, outcome: Outcome): Promise<void> {
  await run(db, FINISH_DELIVERY, { delivery_id, webhook_id, attempts, ...outcome });
}

/** Deliveries of one webhook that fail at the same time count once: they were sent before its pause began. */
const FAIL_DELIVERY = statement(
  'fail_webhook_delivery',
  `with failed as (
     update webhook_deliveries
     set status = case when :pause::float8 is null then 'FAILED' else 'PENDING' end, end_time = case when :pause::float8 is null then now() end,
       next_attempt = now() + make_interval(secs => coalesce(:pause::float8, 0)), response_status = :responseStatus, error_message = :failure
     where delivery_id = :delivery_id and attempts = :attempts and status = 'PENDING')
   update webhooks
   set failures = failures + 1, paused_until = now() + make_interval(secs => greatest(:asked::float8, least(2.0 ^ least(failures, 20), :longest::float8)))
   where webhook_id = :webhook_id and paused_until <= now()`,
);

/**
 * Makes a failed delivery due in `pause` seconds, unless another server has taken it since, or gives it up when that is null. Pauses its webhook: for
 * 1, 2, 4 … up to `longest` seconds with each failure in a row, and at least for those the receiver `asked` for.
 */
export async function failDelivery(
  db: Db,
  delivery: Delivery,
  outcome: Outcome,
  seconds: { pause: number | null; asked: number; longest: number },
): Promise<void> {
  const { delivery_id, webhook_id, attempts } = delivery;
  await run(db, FAIL_DELIVERY, { delivery_id, webhook_id, attempts, ...outcome, ...seconds });
}

const RELEASE_DELIVERY = statement(
  'release_webhook_delivery',
  'update webhook_deliveries set next_attempt = now() where delivery_id = :delivery_id and attempts = :attempts',
);

/** Gives back a delivery whose attempt this server has broken off. */
export async function releaseDelivery(db: Db, { delivery_id, attempts }: Delivery): Promise<void> {
  await run(db, RELEASE_DELIVERY, { delivery_id, attempts });
}
