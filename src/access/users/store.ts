import { type Db, run, statement } from '../../platform/db/database.ts';
import { alreadyExists, doesNotExist, invalidParameter, invalidState, type MlflowError } from '../../platform/errors.ts';
import { ROLE_JSON } from '../roles/store.ts';
import type { ListedUserRow, UserRow, UserWithGrantsRow } from './entity.ts';
import type { Seen } from './self.ts';

const userNotFound = (username: string): MlflowError => doesNotExist(`User with username=${username} not found`);

const COLUMNS = 'u.id, u.username, u.kind, u.is_admin';

const GET = statement('get_user', `select ${COLUMNS} from users u where u.username = :username`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getUser(db: Db, username: string): Promise<UserRow> {
  const [row] = await run<UserRow>(db, GET, { username });
  if (!row) throw userNotFound(username);
  return row;
}

const GET_WITH_GRANTS = statement(
  'get_user_with_grants',
  `select ${COLUMNS}, coalesce((
     select json_agg(json_build_object('workspace', s.name, 'resource_type', p.resource_type, 'resource_pattern', p.resource_pattern,
       'permission', p.permission) order by p.id)
     from roles r join role_permissions p on p.role_id = r.id join scopes s on s.id = r.scope_id
     where r.user_id = u.id and (:scopes::bigint[] is null or r.scope_id = any (:scopes))), '[]') as granted
   from users u where u.username = :username`,
);

/** A user with what was granted to it by name, in the scopes of these ids, or in all for null. Throws RESOURCE_DOES_NOT_EXIST. */
export async function getUserWithGrants(db: Db, username: string, scopes: number[] | null): Promise<UserWithGrantsRow> {
  const [row] = await run<UserWithGrantsRow>(db, GET_WITH_GRANTS, { username, scopes });
  if (!row) throw userNotFound(username);
  return row;
}

const LIST = statement(
  'list_users',
  `select ${COLUMNS}, coalesce((
     select json_agg(${ROLE_JSON} order by r.id) from roles r join scopes s on s.id = r.scope_id
     where (r.user_id = u.id or r.id in (select a.role_id from role_assignments a where a.user_id = u.id))
       and (:managed::bigint[] is null or r.scope_id = any (:managed)
         or (u.id = :self::bigint and (:own::bigint[] is null or r.scope_id = any (:own))))), '[]') as roles
   from users u where :all::boolean or u.id = :self order by u.id`,
);

/** Users by id, with the roles of theirs that the caller gets to see. */
export const listUsers = (db: Db, seen: Seen): Promise<ListedUserRow[]> => run<ListedUserRow>(db, LIST, seen);

const LIST_OF_KIND = statement('list_users_of_kind', `select ${COLUMNS} from users u where u.kind = :kind order by u.username`);

export const listUsersOfKind = (db: Db, kind: UserRow['kind']): Promise<UserRow[]> => run<UserRow>(db, LIST_OF_KIND, { kind });

const INSERT = statement(
  'insert_user',
  `insert into users as u (username, kind, password_hash) values (:username, :kind, :hash) on conflict (username) do nothing returning ${COLUMNS}`,
);

/** Makes a user; who has no password signs in by a token. Throws RESOURCE_ALREADY_EXISTS. */
export async function insertUser(db: Db, user: { username: string; kind: UserRow['kind']; hash: string | null }): Promise<UserRow> {
  const [row] = await run<UserRow>(db, INSERT, user);
  if (!row) throw alreadyExists(`User (username=${user.username}) already exists.`);
  return row;
}

const SET_PASSWORD = statement(
  'set_password',
  `with changed as (update users set password_hash = :hash where username = :username and kind = 'USER' returning id),
   ended as (
     delete from access_tokens t using changed c where t.user_id = c.id and t.kind in ('SESSION', 'SETUP') and t.sha256 <> :kept)
   select id from changed`,
);

/**
 * Sets a password, and ends the browser sessions of the user but the one of `kept` (a token's SHA-256). Throws RESOURCE_DOES_NOT_EXIST, and
 * INVALID_PARAMETER_VALUE for a service account, which has none.
 */
export async function setPassword(db: Db, username: string, hash: string, kept: Buffer): Promise<void> {
  if ((await run(db, SET_PASSWORD, { username, hash, kept })).length > 0) return;
  await getUser(db, username);
  throw invalidParameter(`'${username}' is a service account: it has no password, and signs in by tokens (POST /api/1.0/tokens).`);
}

// The administrators are locked in one order, so that of two who go at the same time the second is seen to be the last.
const ADMINS = 'admins as (select id from users where is_admin order by id for update)';
const IS_NOT_LAST = '(not u.is_admin or (select count(*) from admins) > 1)';

const SET_ADMIN = statement(
  'set_admin',
  `with ${ADMINS} update users u set is_admin = :is_admin where u.username = :username and (:is_admin or ${IS_NOT_LAST}) returning u.id`,
);

/** Throws RESOURCE_DOES_NOT_EXIST, and INVALID_STATE when nobody would administer the server any more. */
export async function setAdmin(db: Db, username: string, isAdmin: boolean): Promise<void> {
  if ((await run(db, SET_ADMIN, { username, is_admin: isAdmin })).length === 0) throw await notChanged(db, username);
}

const DELETE = statement(
  'delete_user',
  `with ${ADMINS} delete from users u where u.username = :username and (:kind::text is null or u.kind = :kind) and ${IS_NOT_LAST} returning u.id`,
);

/** Removes a user, with its tokens and what was granted to it. Throws RESOURCE_DOES_NOT_EXIST, and INVALID_STATE for the last administrator. */
export async function deleteUser(db: Db, username: string, kind: UserRow['kind'] | null): Promise<void> {
  if ((await run(db, DELETE, { username, kind })).length === 0) throw await notChanged(db, username, kind);
}

async function notChanged(db: Db, username: string, kind: UserRow['kind'] | null = null): Promise<MlflowError> {
  const user = await getUser(db, username);
  return kind !== null && user.kind !== kind
    ? userNotFound(username)
    : invalidState(`'${username}' is the last administrator: make somebody else one first (users/update-admin).`);
}
