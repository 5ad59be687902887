import { type Db, run, statement } from '../platform/db/database.ts';
import { type Authentication, openAuthentication } from './authenticate.ts';
import { hashPassword } from './passwords.ts';

export type AuthSettings = {
  on: boolean;
  adminUsername: string;
  /** Undefined: it is to be chosen in a browser. */
  adminPassword: string | undefined;
};

const HAS_ADMIN = statement('has_admin', 'select from users where is_admin limit 1');
const MAKE_ADMIN = statement(
  'make_admin',
  `insert into users (username, password_hash, is_admin) values (:username, :hash, true)
   on conflict (username) do update set is_admin = true, password_hash = coalesce(users.password_hash, excluded.password_hash)`,
);

/** Recognises callers when login is on, and makes the first administrator; null when everybody may do everything. */
export async function openAccess(db: Db, { on, adminUsername, adminPassword }: AuthSettings): Promise<Authentication | null> {
  if (!on) return null;
  if (adminPassword !== undefined && (await run(db, HAS_ADMIN)).length === 0)
    await run(db, MAKE_ADMIN, { username: adminUsername, hash: await hashPassword(adminPassword) });
  return openAuthentication(db);
}
