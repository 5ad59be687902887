import { z } from 'zod';
import { endpoint, type Services } from '../../endpoint.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy } from '../../platform/fields.ts';
import type { Need, Verdict } from '../../platform/permission.ts';
import { canInNamedScope, permissionDenied } from '../can.ts';
import { checkGrantable, checkPattern, checkPermission, checkType } from '../grants/entity.ts';
import { limitedTo, managedScopes } from '../grants.ts';
import { getScopeNamed } from '../named-scope.ts';
import { username } from '../users/entity.ts';
import { selfOrManager } from '../users/self.ts';
import { getUser } from '../users/store.ts';
import { Assignment, idParam, newRoleName, Role, RolePermission, roleDescription } from './entity.ts';
import {
  addRolePermission,
  assignRole,
  deleteRole,
  getRole,
  getRolePermission,
  getScopeOfPermission,
  getScopeOfRole,
  insertRole,
  listAssignments,
  listRoles,
  listRolesOfUser,
  removeRolePermission,
  setRolePermission,
  unassignRole,
  updateRole,
} from './store.ts';

const roleId = idParam('role_id');
const permissionId = idParam('role_permission_id');
const oneRole = z.object({ role: Role });
const onePermission = z.object({ role_permission: RolePermission });

const ours = { apiVersion: '3.0', scoped: false } as const;

/** MANAGE on the workspace or registry of the role that the input names. */
const onRole = canInNamedScope('MANAGE', (context: Services & { input: { role_id: number } }) =>
  getScopeOfRole(context, context.input.role_id),
);
const onPermission = canInNamedScope('MANAGE', (context: Services & { input: { role_permission_id: number } }) =>
  getScopeOfPermission(context, context.input.role_permission_id),
);

const create = endpoint({
  ...ours,
  op: 'role.create',
  summary: 'Make a role in a workspace or registry',
  method: 'POST',
  path: '/mlflow/roles/create',
  effect: 'write',
  input: z.object({
    name: newRoleName,
    workspace: z.string().pipe(
      checkedBy((name) => {
        if (name.trim() === '') throw invalidParameter('Workspace cannot be empty.');
      }),
    ),
    description: roleDescription.nullable().default(null),
  }),
  output: oneRole,
  permission: canInNamedScope('MANAGE', (context) => getScopeNamed(context, context.input.workspace, null)),
  async handler({ db, caller, input: { workspace, ...role } }) {
    return { role: await insertRole(db, await getScopeNamed({ db, caller }, workspace, null), role) };
  },
});

const get = endpoint({
  ...ours,
  op: 'role.get',
  summary: 'Get a role',
  method: 'GET',
  path: '/mlflow/roles/get',
  effect: 'read',
  input: z.object({ role_id: roleId }),
  output: oneRole,
  permission: onRole,
  async handler({ db, input }) {
    return { role: await getRole(db, input.role_id) };
  },
});

const inListedScopes: Need<Services & { input: { workspace: string[] } }> = {
  level: 'MANAGE',
  on: 'each workspace or registry asked for, and on all without any',
  async check(context): Promise<Verdict> {
    const { caller, input } = context;
    if (input.workspace.length === 0 && managedScopes(caller) !== null)
      throw permissionDenied(`Permission denied: name the workspaces or registries whose roles '${caller.username}' may see.`);
    for (const name of input.workspace) await canInNamedScope('MANAGE', () => getScopeNamed(context, name, null)).check(context);
    return 'granted';
  },
};

const list = endpoint({
  ...ours,
  op: 'role.list',
  summary: 'List the roles of some workspaces and registries, or of all',
  method: 'GET',
  path: '/mlflow/roles/list',
  effect: 'read',
  input: z.object({
    workspace: z
      .array(
        checkedBy((name) => {
          if (name.trim() === '') throw invalidParameter("Parameter 'workspace' must be a non-empty string when provided.");
        }),
      )
      .default([]),
  }),
  output: z.object({ roles: z.array(Role) }),
  permission: inListedScopes,
  async handler({ db, input: { workspace: names } }) {
    return { roles: await listRoles(db, names.length === 0 ? null : names) };
  },
});

const update = endpoint({
  ...ours,
  op: 'role.update',
  summary: 'Rename a role, or change its description',
  method: 'PATCH',
  path: '/mlflow/roles/update',
  effect: 'write',
  input: z.object({ role_id: roleId, name: newRoleName.nullable().default(null), description: roleDescription.nullable().default(null) }),
  output: oneRole,
  permission: onRole,
  async handler({ db, input: { role_id: id, ...change } }) {
    if (change.name === null && change.description === null)
      throw invalidParameter("At least one of 'name' or 'description' must be provided to update a role.");
    return { role: await updateRole(db, id, change) };
  },
});

const remove = endpoint({
  ...ours,
  op: 'role.delete',
  summary: 'Remove a role: who had it loses what it gave',
  method: 'DELETE',
  path: '/mlflow/roles/delete',
  effect: 'write',
  input: z.object({ role_id: roleId }),
  output: z.object({}),
  permission: onRole,
  async handler({ db, input }) {
    await deleteRole(db, input.role_id);
    return {};
  },
});

const addPermission = endpoint({
  ...ours,
  op: 'role.add_permission',
  summary: 'Let a role do something with what a pattern names',
  method: 'POST',
  path: '/mlflow/roles/permissions/add',
  effect: 'write',
  input: z.object({ role_id: roleId, resource_type: z.string(), resource_pattern: z.string(), permission: z.string() }),
  output: onePermission,
  permission: onRole,
  async handler({ db, input: { role_id: role, ...given } }) {
    checkPermission(given.permission);
    checkType(given.resource_type);
    checkGrantable(given.resource_type, given.permission);
    checkPattern(given.resource_type, given.resource_pattern);
    return { role_permission: await addRolePermission(db, role, given) };
  },
});

const listPermissions = endpoint({
  ...ours,
  op: 'role.list_permissions',
  summary: 'List what a role may do',
  method: 'GET',
  path: '/mlflow/roles/permissions/list',
  effect: 'read',
  input: z.object({ role_id: roleId }),
  output: z.object({ role_permissions: z.array(RolePermission) }),
  permission: onRole,
  async handler({ db, input }) {
    return { role_permissions: (await getRole(db, input.role_id)).permissions };
  },
});

const updatePermission = endpoint({
  ...ours,
  op: 'role.update_permission',
  summary: 'Change a level that a role gives',
  method: 'PATCH',
  path: '/mlflow/roles/permissions/update',
  effect: 'write',
  input: z.object({ role_permission_id: permissionId, permission: z.string() }),
  output: onePermission,
  permission: onPermission,
  async handler({ db, input: { role_permission_id: id, permission } }) {
    const { resource_type: type } = await getRolePermission(db, id);
    checkPermission(permission);
    checkGrantable(type, permission);
    return { role_permission: await setRolePermission(db, id, permission) };
  },
});

const removePermission = endpoint({
  ...ours,
  op: 'role.remove_permission',
  summary: 'Take something away from what a role may do',
  method: 'DELETE',
  path: '/mlflow/roles/permissions/remove',
  effect: 'write',
  input: z.object({ role_permission_id: permissionId }),
  output: z.object({}),
  permission: onPermission,
  async handler({ db, input }) {
    await removeRolePermission(db, input.role_permission_id);
    return {};
  },
});

const assign = endpoint({
  ...ours,
  op: 'role.assign',
  summary: 'Give a role to a user',
  method: 'POST',
  path: '/mlflow/roles/assign',
  effect: 'write',
  input: z.object({ username, role_id: roleId }),
  output: z.object({ assignment: Assignment }),
  permission: onRole,
  async handler({ db, input }) {
    const user = await getUser(db, input.username);
    return { assignment: await assignRole(db, input.role_id, user.id) };
  },
});

const unassign = endpoint({
  ...ours,
  op: 'role.unassign',
  summary: 'Take a role from a user',
  method: 'DELETE',
  path: '/mlflow/roles/unassign',
  effect: 'write',
  input: z.object({ username, role_id: roleId }),
  output: z.object({}),
  permission: onRole,
  async handler({ db, input }) {
    const user = await getUser(db, input.username);
    await unassignRole(db, input.role_id, user.id);
    return {};
  },
});

const listOfUser = endpoint({
  ...ours,
  op: 'role.list_of_user',
  summary: 'List the roles of a user, as far as the caller may see them',
  method: 'GET',
  path: '/mlflow/users/roles/list',
  effect: 'read',
  input: z.object({ username }),
  output: z.object({ roles: z.array(Role) }),
  permission: selfOrManager,
  async handler({ db, caller, input }) {
    const user = await getUser(db, input.username);
    return { roles: await listRolesOfUser(db, user.id, user.id === caller.id ? limitedTo(caller) : managedScopes(caller)) };
  },
});

const listUsers = endpoint({
  ...ours,
  op: 'role.list_users',
  summary: 'List the users and groups that have a role',
  method: 'GET',
  path: '/mlflow/roles/users/list',
  effect: 'read',
  input: z.object({ role_id: roleId }),
  output: z.object({ assignments: z.array(Assignment), groups: z.array(z.string()) }),
  permission: onRole,
  async handler({ db, input }) {
    await getRole(db, input.role_id);
    return listAssignments(db, input.role_id);
  },
});

export const roleEndpoints = [
  create,
  get,
  list,
  update,
  remove,
  addPermission,
  listPermissions,
  updatePermission,
  removePermission,
  assign,
  unassign,
  listOfUser,
  listUsers,
];
