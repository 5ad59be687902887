import { type Db, isDatabaseError, run, statement, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { alreadyExists, doesNotExist, type MlflowError } from '../../platform/errors.ts';
import { ROLE_JSON } from '../roles/store.ts';
import type { Seen } from '../users/self.ts';
import type { GroupRow } from './entity.ts';

const groupNotFound = (name: string): MlflowError => doesNotExist(`Group '${name}' not found`);

const SELECT = `select g.name,
    coalesce((select json_agg(u.username order by u.username) from group_members m join users u on u.id = m.user_id where m.group_id = g.id), '[]')
      as members,
    coalesce((select json_agg(${ROLE_JSON} order by r.id) from roles r join scopes s on s.id = r.scope_id
      where (r.group_id = g.id or r.id in (select a.role_id from role_assignments a where a.group_id = g.id))
        and (:managed::bigint[] is null or r.scope_id = any (:managed) or (
          g.id in (select m.group_id from group_members m where m.user_id = :self::bigint) and (:own::bigint[] is null or r.scope_id = any (:own))))
      ), '[]') as roles
  from groups g`;

const IS_SEEN = '(:all::boolean or g.id in (select m.group_id from group_members m where m.user_id = :self::bigint))';

const LIST = statement('list_groups', `${SELECT} where ${IS_SEEN} order by g.name`);

export const listGroups = (db: Db, seen: Seen): Promise<GroupRow[]> => run<GroupRow>(db, LIST, seen);

const GET = statement('get_group', `${SELECT} where g.name = :name and ${IS_SEEN}`);

/** Throws RESOURCE_DOES_NOT_EXIST, also for a group that the caller does not get to see. */
export async function getGroup(db: Db, name: string, seen: Seen): Promise<GroupRow> {
  const [row] = await run<GroupRow>(db, GET, { name, ...seen });
  if (!row) throw groupNotFound(name);
  return row;
}

const FIND_ID = statement('find_group_id', 'select id from groups where name = :name');

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getGroupId(db: Db, name: string): Promise<number> {
  const [row] = await run<{ id: number }>(db, FIND_ID, { name });
  if (!row) throw groupNotFound(name);
  return row.id;
}

const INSERT = statement('insert_group', 'insert into groups (name) values (:name) on conflict (name) do nothing returning id');

/** Throws RESOURCE_ALREADY_EXISTS. */
export async function insertGroup(db: Db, name: string): Promise<GroupRow> {
  if ((await run(db, INSERT, { name })).length === 0) throw alreadyExists(`Group '${name}' already exists.`);
  return { name, members: [], roles: [] };
}

const RENAME = statement('rename_group', 'update groups set name = :new_name where name = :name returning id');

/** Throws RESOURCE_DOES_NOT_EXIST, RESOURCE_ALREADY_EXISTS. */
export async function renameGroup(db: Db, name: string, newName: string): Promise<void> {
  try {
    if ((await run(db, RENAME, { name, new_name: newName })).length === 0) throw groupNotFound(name);
  } catch (error) {
    if (!isDatabaseError(error, UNIQUE_VIOLATION)) throw error;
    throw alreadyExists(`Group '${newName}' already exists.`);
  }
}

const DELETE = statement('delete_group', 'delete from groups where name = :name returning id');

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function deleteGroup(db: Db, name: string): Promise<void> {
  if ((await run(db, DELETE, { name })).length === 0) throw groupNotFound(name);
}

const ADD_MEMBER = statement(
  'add_group_member',
  'insert into group_members (group_id, user_id) values (:group::bigint, :user::bigint) on conflict do nothing',
);

/** A member already is fine. */
export async function addMember(db: Db, group: number, user: number): Promise<void> {
  await run(db, ADD_MEMBER, { group, user });
}

const REMOVE_MEMBER = statement(
  'remove_group_member',
  'delete from group_members where group_id = :group::bigint and user_id = :user::bigint',
);

/** No member is fine. */
export async function removeMember(db: Db, group: number, user: number): Promise<void> {
  await run(db, REMOVE_MEMBER, { group, user });
}
