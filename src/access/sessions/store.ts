import { type Db, run, statement } from '../../platform/db/database.ts';
import { newToken } from '../new-token.ts';

export const SESSION_SECONDS = 12 * 3600;
const SETUP_SECONDS = 24 * 3600;

const INSERT = statement(
  'insert_session',
  `with expired as (delete from access_tokens where kind <> 'PERSONAL' and expiration_timestamp < now_ms())
   insert into access_tokens (user_id, kind, sha256, expiration_timestamp)
   select id, :kind, :sha256, now_ms() + :seconds::bigint * 1000 from users where id = :user::bigint`,
);

async function insertToken(db: Db, user: number, kind: 'SESSION' | 'SETUP', seconds: number): Promise<string> {
  const { token, sha256 } = newToken();
  await run(db, INSERT, { user, kind, sha256, seconds });
  return token;
}

/** Begins a session of 12 hours and gives its token, for the cookie. */
export const insertSession = (db: Db, user: number): Promise<string> => insertToken(db, user, 'SESSION', SESSION_SECONDS);

/** A token by which the user's first password can be chosen, once, within 24 hours. */
export const insertSetupToken = (db: Db, user: number): Promise<string> => insertToken(db, user, 'SETUP', SETUP_SECONDS);

const DELETE = statement('delete_session', `delete from access_tokens where sha256 = :sha256 and kind = 'SESSION'`);

/** Ends a session. */
export async function deleteSession(db: Db, sha256: Buffer): Promise<void> {
  await run(db, DELETE, { sha256 });
}

const SET_UP = statement(
  'set_first_password',
  `with token as (
     delete from access_tokens where sha256 = :sha256 and kind = 'SETUP' and expiration_timestamp > now_ms() returning user_id)
   update users u set password_hash = :hash from token t where u.id = t.user_id returning u.id`,
);

/** Sets the password of the user whose setup token it is; null when the token is not right, used or expired. */
export async function setFirstPassword(db: Db, sha256: Buffer, hash: string): Promise<number | null> {
  return (await run<{ id: number }>(db, SET_UP, { sha256, hash }))[0]?.id ?? null;
}
