import { type Db, run, statement } from '../platform/db/database.ts';
import { MlflowError } from '../platform/errors.ts';

const WINDOW_MS = 60_000;
const MOST_FROM_ONE_ADDRESS = 10;
const MOST_OF_ONE_USER = 100;

const FIND = statement(
  'find_failed_logins',
  `select coalesce(max(window_start + ${WINDOW_MS} - now_ms()), 0) as wait_ms from failed_logins
   where window_start > now_ms() - ${WINDOW_MS}
     and ((attempt = :from_address and failures >= ${MOST_FROM_ONE_ADDRESS}) or (attempt = :of_user and failures >= ${MOST_OF_ONE_USER}))`,
);

const RECORD = statement(
  'record_failed_login',
  `with forgotten as (delete from failed_logins where window_start < now_ms() - 10 * ${WINDOW_MS})
   insert into failed_logins as f (attempt, failures, window_start)
   values (:from_address, 1, now_ms()), (:of_user, 1, now_ms())
   on conflict (attempt) do update set
     failures = case when f.window_start > now_ms() - ${WINDOW_MS} then f.failures + 1 else 1 end,
     window_start = case when f.window_start > now_ms() - ${WINDOW_MS} then f.window_start else now_ms() end`,
);

const keysOf = (username: string, address: string) => ({
  from_address: `${address} ${username.slice(0, 255)}`,
  of_user: `* ${username.slice(0, 255)}`,
});

/** Throws REQUEST_LIMIT_EXCEEDED, on every server, after 10 wrong passwords of one user from one address within a minute, or 100 from anywhere. */
export async function refuseGuessing(db: Db, username: string, address: string): Promise<void> {
  const [row] = await run<{ wait_ms: number }>(db, FIND, keysOf(username, address));
  const seconds = Math.ceil((row?.wait_ms ?? 0) / 1000);
  if (seconds > 0) throw tooMany(`Too many wrong passwords for this user. Try again in ${seconds} seconds.`, seconds);
}

/** Whether there is such a user makes no difference. */
export async function recordFailedLogin(db: Db, username: string, address: string): Promise<void> {
  await run(db, RECORD, keysOf(username, address));
}

export const tooMany = (message: string, seconds: number) =>
  Object.assign(new MlflowError('REQUEST_LIMIT_EXCEEDED', message), { retryAfter: seconds });
