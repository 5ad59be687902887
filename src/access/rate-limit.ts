import type { Db } from '../platform/db/database.ts';
import { run, statement } from '../platform/db/database.ts';
import type { Caller } from './caller.ts';
import { tooMany } from './failed-logins.ts';

const MINUTE_MS = 60_000;
const SHARE_EVERY_MS = 1000;

const SHARE = statement(
  'share_request_counts',
  `with forgotten as (delete from request_counts where minute < :minute::bigint - 2)
   insert into request_counts as c (caller, minute, total)
   select caller, :minute, added from unnest(:callers::text[], :added::integer[]) as mine (caller, added) order by caller
   on conflict (caller, minute) do update set total = c.total + excluded.total
   returning caller, total`,
);

type Count = { total: number; unshared: number };

/** Counts the requests of each caller, on all servers together. */
export type RateLimit = {
  /** Throws REQUEST_LIMIT_EXCEEDED for a caller with more requests in this minute than allowed. */
  count(caller: Caller): void;
  stop(): void;
};

/**
 * Allows each caller `perMinute` requests a minute over all servers: each counts by itself and adds its counts to the others' every second, so that a
 * caller may get up to a second's worth more, and no request waits.
 */
export function openRateLimit(db: Db, perMinute: number): RateLimit {
  let minute = 0;
  let counts = new Map<string, Count>();

  async function share(): Promise<void> {
    const shared = [...counts].filter(([, { unshared }]) => unshared > 0);
    if (shared.length === 0) return;
    const added = shared.map(([, { unshared }]) => unshared);
    for (const [, count] of shared) count.unshared = 0;
    const of = counts;
    const rows = await run<{ caller: string; total: number }>(db, SHARE, { minute, callers: shared.map(([name]) => name), added });
    for (const { caller, total } of rows) {
      const count = of.get(caller);
      if (count) count.total = total + count.unshared;
    }
  }

  // Without the others' counts this server goes on with its own.
  const timer = setInterval(() => void share().catch(() => {}), SHARE_EVERY_MS).unref();
  return {
    count({ username }) {
      const now = Date.now();
      if (Math.floor(now / MINUTE_MS) !== minute) {
        minute = Math.floor(now / MINUTE_MS);
        counts = new Map();
      }
      const count = counts.get(username) ?? { total: 0, unshared: 0 };
      counts.set(username, count);
      count.total++;
      count.unshared++;
      if (count.total <= perMinute) return;
      const seconds = Math.ceil(((minute + 1) * MINUTE_MS - now) / 1000);
      throw tooMany(`'${username}' has made more than ${perMinute} requests in this minute. Try again in ${seconds} seconds.`, seconds);
    },
    stop: () => clearInterval(timer),
  };
}
