import { type Db, run, statement } from '../../platform/db/database.ts';
import { unauthenticated } from '../unauthenticated.ts';

const FIND = statement('find_oidc_user', 'select id from users where oidc_issuer = :issuer and oidc_subject = :subject');
const INSERT = statement(
  'insert_oidc_user',
  `insert into users (username, oidc_issuer, oidc_subject) values (:username, :issuer, :subject) on conflict do nothing returning id`,
);

/**
 * The user that an identity provider knows by a subject; a new one gets the name. Throws UNAUTHENTICATED when somebody else has that name: it may be a
 * user with a password, and the provider may let anybody choose it.
 */
export async function ensureOidcUser(db: Db, user: { issuer: string; subject: string; username: string }): Promise<number> {
  const find = async () => (await run<{ id: number }>(db, FIND, user))[0]?.id;
  const id = (await find()) ?? (await run<{ id: number }>(db, INSERT, user))[0]?.id ?? (await find());
  if (id === undefined)
    throw unauthenticated(
      `The name '${user.username}' belongs to another user of this server. Ask an administrator to rename or remove that one.`,
    );
  return id;
}

const SET_GROUPS = statement(
  'set_groups_of_user',
  `with wanted as (select id from groups where name = any (:names::text[])),
   left_ as (delete from group_members where user_id = :user::bigint and group_id not in (select id from wanted))
   insert into group_members (group_id, user_id) select id, :user from wanted on conflict do nothing`,
);

/** Makes a user a member of the groups of these names that there are here, and of no others. */
export async function setGroupsOf(db: Db, user: number, names: string[]): Promise<void> {
  await run(db, SET_GROUPS, { user, names });
}
