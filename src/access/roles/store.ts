import { type Db, isDatabaseError, run, statement, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { alreadyExists, doesNotExist, invalidParameter, type MlflowError } from '../../platform/errors.ts';
import type { Caller } from '../caller.ts';
import { mayEnter } from '../grants.ts';
import { type NamedScope, SCOPE_COLUMNS, type ScopeRow, toNamedScope } from '../named-scope.ts';
import type { RolePermissionRow, RoleRow } from './entity.ts';

const PERMISSION_COLUMNS = 'p.id, p.role_id, p.resource_type, p.resource_pattern, p.permission';

/** Role `r` of scope `s` as JSON. */
export const ROLE_JSON = `json_build_object('id', r.id, 'name', r.name, 'workspace', s.name, 'description', r.description, 'permissions', coalesce((
  select json_agg(json_build_object('id', p.id, 'role_id', p.role_id, 'resource_type', p.resource_type,
    'resource_pattern', p.resource_pattern, 'permission', p.permission) order by p.id)
  from role_permissions p where p.role_id = r.id), '[]'))`;

const SELECT = `select ${ROLE_JSON} as role from roles r join scopes s on s.id = r.scope_id`;

const roleNotFound = (id: number): MlflowError => doesNotExist(`Role with id=${id} not found`);
const permissionNotFound = (id: number): MlflowError => doesNotExist(`Role permission with id=${id} not found`);

const SCOPE_OF_ROLE = statement(
  'scope_of_role',
  `select ${SCOPE_COLUMNS} from roles r join scopes s on s.id = r.scope_id where r.id = :id::bigint`,
);
const SCOPE_OF_PERMISSION = statement(
  'scope_of_role_permission',
  `select ${SCOPE_COLUMNS} from role_permissions p join roles r on r.id = p.role_id join scopes s on s.id = r.scope_id where p.id = :id::bigint`,
);

type Asking = { db: Db; caller: Caller };

/** The workspace or registry of a role. Throws RESOURCE_DOES_NOT_EXIST, also when the caller may not know of it. */
export async function getScopeOfRole({ db, caller }: Asking, id: number): Promise<NamedScope> {
  const [row] = await run<ScopeRow>(db, SCOPE_OF_ROLE, { id });
  if (!row || !mayEnter(caller, toNamedScope(row))) throw roleNotFound(id);
  return toNamedScope(row);
}

/** As `getScopeOfRole`, of one permission of a role. */
export async function getScopeOfPermission({ db, caller }: Asking, id: number): Promise<NamedScope> {
  const [row] = await run<ScopeRow>(db, SCOPE_OF_PERMISSION, { id });
  if (!row || !mayEnter(caller, toNamedScope(row))) throw permissionNotFound(id);
  return toNamedScope(row);
}

type InJson = { role: RoleRow };

const GET = statement('get_role', `${SELECT} where r.id = :id::bigint`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getRole(db: Db, id: number): Promise<RoleRow> {
  const [row] = await run<InJson>(db, GET, { id });
  if (!row) throw roleNotFound(id);
  return row.role;
}

const LIST = statement('list_roles', `${SELECT} where (:scopes::text[] is null or s.name = any (:scopes)) order by r.id`);

/** The roles of the workspaces and registries of these names, or of all for null. */
export const listRoles = async (db: Db, scopes: string[] | null): Promise<RoleRow[]> =>
  (await run<InJson>(db, LIST, { scopes })).map(({ role }) => role);

const LIST_OF_USER = statement(
  'list_roles_of_user',
  `${SELECT} where (r.user_id = :user::bigint or r.id in (select a.role_id from role_assignments a where a.user_id = :user))
     and (:scopes::bigint[] is null or r.scope_id = any (:scopes)) order by r.id`,
);

/** The roles a user was assigned, and those of what was granted to it by name; in the scopes of these ids, or in all for null. */
export const listRolesOfUser = async (db: Db, user: number, scopes: number[] | null): Promise<RoleRow[]> =>
  (await run<InJson>(db, LIST_OF_USER, { user, scopes })).map(({ role }) => role);

const INSERT = statement(
  'insert_role',
  `insert into roles (scope_id, name, description) values (:scope, :name, :description) on conflict (scope_id, name) do nothing returning id`,
);

/** Throws RESOURCE_ALREADY_EXISTS. */
export async function insertRole(db: Db, scope: NamedScope, role: { name: string; description: string | null }): Promise<RoleRow> {
  const [row] = await run<{ id: number }>(db, INSERT, { scope: scope.id, ...role });
  if (!row) throw alreadyExists(`Role (name=${role.name}, workspace=${scope.name}) already exists.`);
  return { id: row.id, ...role, workspace: scope.name, permissions: [] };
}

// What was granted to one user or group by name keeps its name, and to whom it is.
const IS_NAMED = 'user_id is null and group_id is null';

async function refuseOwn(db: Db, id: number): Promise<MlflowError> {
  const { name } = await getRole(db, id);
  return invalidParameter(
    `Role '${name}' holds what was granted to one user or group by name: it cannot be renamed, removed or assigned. Change its permissions instead.`,
  );
}

const UPDATE = statement(
  'update_role',
  `update roles set name = coalesce(:name::text, name), description = coalesce(:description::text, description)
   where id = :id::bigint and (${IS_NAMED} or :name::text is null) returning id`,
);

/** Changes what is given; null leaves it. Throws RESOURCE_DOES_NOT_EXIST, RESOURCE_ALREADY_EXISTS for a taken name. */
export async function updateRole(db: Db, id: number, change: { name: string | null; description: string | null }): Promise<RoleRow> {
  const { workspace } = await getRole(db, id);
  try {
    if ((await run(db, UPDATE, { id, ...change })).length === 0) throw await refuseOwn(db, id);
  } catch (error) {
    if (!isDatabaseError(error, UNIQUE_VIOLATION)) throw error;
    throw alreadyExists(`Role with name=${change.name} already exists in workspace=${workspace}`);
  }
  return getRole(db, id);
}

const DELETE = statement('delete_role', `delete from roles where id = :id::bigint and ${IS_NAMED} returning id`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function deleteRole(db: Db, id: number): Promise<void> {
  if ((await run(db, DELETE, { id })).length === 0) throw await refuseOwn(db, id);
}

type NewPermission = { resource_type: string; resource_pattern: string; permission: string };

const ADD_PERMISSION = statement(
  'add_role_permission',
  `insert into role_permissions as p (role_id, resource_type, resource_pattern, permission)
   select r.id, :resource_type, :resource_pattern, :permission from roles r where r.id = :role::bigint
   on conflict (role_id, resource_type, resource_pattern) do nothing returning ${PERMISSION_COLUMNS}`,
);

/** Throws RESOURCE_DOES_NOT_EXIST, RESOURCE_ALREADY_EXISTS. */
export async function addRolePermission(db: Db, role: number, given: NewPermission): Promise<RolePermissionRow> {
  const [row] = await run<RolePermissionRow>(db, ADD_PERMISSION, { role, ...given });
  if (row) return row;
  await getRole(db, role);
  throw alreadyExists(
    `Role permission (role_id=${role}, resource_type=${given.resource_type}, resource_pattern=${given.resource_pattern}) already exists.`,
  );
}

const FIND_PERMISSION = statement('find_role_permission', `select ${PERMISSION_COLUMNS} from role_permissions p where p.id = :id::bigint`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getRolePermission(db: Db, id: number): Promise<RolePermissionRow> {
  const [row] = await run<RolePermissionRow>(db, FIND_PERMISSION, { id });
  if (!row) throw permissionNotFound(id);
  return row;
}

const SET_PERMISSION = statement(
  'set_role_permission',
  `update role_permissions p set permission = :permission where p.id = :id::bigint returning ${PERMISSION_COLUMNS}`,
);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function setRolePermission(db: Db, id: number, permission: string): Promise<RolePermissionRow> {
  const [row] = await run<RolePermissionRow>(db, SET_PERMISSION, { id, permission });
  if (!row) throw permissionNotFound(id);
  return row;
}

const REMOVE_PERMISSION = statement('remove_role_permission', 'delete from role_permissions where id = :id::bigint returning id');

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function removeRolePermission(db: Db, id: number): Promise<void> {
  if ((await run(db, REMOVE_PERMISSION, { id })).length === 0) throw permissionNotFound(id);
}

type AssignmentRow = { id: number; user_id: number; role_id: number };

const assignedTo = (column: 'user_id' | 'group_id') => ({
  assign: statement(
    `assign_role_${column}`,
    `insert into role_assignments (role_id, ${column}) select id, :to::bigint from roles where id = :role::bigint and ${IS_NAMED}
     on conflict (${column}, role_id) where ${column} is not null do nothing returning id, ${column} as user_id, role_id`,
  ),
  unassign: statement(
    `unassign_role_${column}`,
    `delete from role_assignments where role_id = :role::bigint and ${column} = :to::bigint returning id`,
  ),
});
const USERS = assignedTo('user_id');
const GROUPS = assignedTo('group_id');

/** Throws RESOURCE_DOES_NOT_EXIST, RESOURCE_ALREADY_EXISTS. */
export async function assignRole(db: Db, role: number, user: number): Promise<AssignmentRow> {
  const [row] = await run<AssignmentRow>(db, USERS.assign, { role, to: user });
  if (row) return row;
  if (await isOwn(db, role)) throw await refuseOwn(db, role);
  throw alreadyExists(`User role assignment (user_id=${user}, role_id=${role}) already exists`);
}

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function unassignRole(db: Db, role: number, user: number): Promise<void> {
  if ((await run(db, USERS.unassign, { role, to: user })).length === 0)
    throw doesNotExist(`User role assignment (user_id=${user}, role_id=${role}) not found`);
}

/** Assigned already is fine. Throws RESOURCE_DOES_NOT_EXIST. */
export async function assignRoleToGroup(db: Db, role: number, group: number): Promise<void> {
  if ((await run(db, GROUPS.assign, { role, to: group })).length === 0 && (await isOwn(db, role))) throw await refuseOwn(db, role);
}

/** Not assigned is fine. */
export async function unassignRoleFromGroup(db: Db, role: number, group: number): Promise<void> {
  await run(db, GROUPS.unassign, { role, to: group });
}

const IS_OWN = statement('is_own_role', `select ${IS_NAMED} as named from roles where id = :id::bigint`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
async function isOwn(db: Db, id: number): Promise<boolean> {
  const [row] = await run<{ named: boolean }>(db, IS_OWN, { id });
  if (!row) throw roleNotFound(id);
  return !row.named;
}

const LIST_ASSIGNMENTS = statement(
  'list_role_assignments',
  `select a.id, a.user_id, a.role_id, g.name as group
   from role_assignments a left join groups g on g.id = a.group_id where a.role_id = :role::bigint
   union all select 0, r.user_id, r.id, null from roles r where r.id = :role and r.user_id is not null
   order by id`,
);

/** Users and groups that have a role: users by the id of their assignment, which is 0 for the one user of what was granted by name. */
export async function listAssignments(db: Db, role: number): Promise<{ assignments: AssignmentRow[]; groups: string[] }> {
  const rows = await run<AssignmentRow & { group: string | null }>(db, LIST_ASSIGNMENTS, { role });
  return {
    assignments: rows.filter(({ group }) => group === null).map(({ id, user_id, role_id }) => ({ id, user_id, role_id })),
    groups: rows.flatMap(({ group }) => group ?? []),
  };
}
