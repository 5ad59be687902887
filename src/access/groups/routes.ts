import { z } from 'zod';
import { endpoint, type Services } from '../../endpoint.ts';
import { canInNamedScope } from '../can.ts';
import { idParam } from '../roles/entity.ts';
import { assignRoleToGroup, getScopeOfRole, unassignRoleFromGroup } from '../roles/store.ts';
import { username } from '../users/entity.ts';
import { seenBy } from '../users/self.ts';
import { getUser } from '../users/store.ts';
import { Group, groupName, newGroupName } from './entity.ts';
import { addMember, deleteGroup, getGroup, getGroupId, insertGroup, listGroups, removeMember, renameGroup } from './store.ts';

const ours = { apiVersion: '1.0', scoped: false } as const;
const key = { group: groupName };

const list = endpoint({
  ...ours,
  op: 'group.list',
  summary: 'List the groups: all of them for who administers or manages something, else those of the caller',
  method: 'GET',
  path: '/groups',
  effect: 'read',
  input: z.object({}),
  output: z.object({ groups: z.array(Group) }),
  permission: 'authenticated',
  async handler({ db, caller }) {
    return { groups: await listGroups(db, seenBy(caller)) };
  },
});

const create = endpoint({
  ...ours,
  op: 'group.create',
  summary: 'Make a group of users',
  method: 'POST',
  path: '/groups',
  effect: 'write',
  status: 201,
  input: z.object({ name: newGroupName }),
  output: Group,
  permission: 'admin',
  async handler({ db, input }) {
    return insertGroup(db, input.name);
  },
});

const get = endpoint({
  ...ours,
  op: 'group.get',
  summary: 'Get a group, with its members and roles',
  method: 'GET',
  path: '/groups/:group',
  effect: 'read',
  input: z.object(key),
  output: Group,
  permission: 'authenticated',
  async handler({ db, caller, input }) {
    return getGroup(db, input.group, seenBy(caller));
  },
});

const rename = endpoint({
  ...ours,
  op: 'group.rename',
  summary: 'Rename a group',
  method: 'PATCH',
  path: '/groups/:group',
  effect: 'write',
  input: z.object({ ...key, name: newGroupName }),
  output: Group,
  permission: 'admin',
  async handler({ db, caller, input }) {
    await renameGroup(db, input.group, input.name);
    return getGroup(db, input.name, seenBy(caller));
  },
});

const remove = endpoint({
  ...ours,
  op: 'group.delete',
  summary: 'Remove a group: its members lose what they had by it',
  method: 'DELETE',
  path: '/groups/:group',
  effect: 'write',
  input: z.object(key),
  output: z.object({}),
  permission: 'admin',
  async handler({ db, input }) {
    await deleteGroup(db, input.group);
    return {};
  },
});

const addToGroup = endpoint({
  ...ours,
  op: 'group.add_member',
  summary: 'Add a user to a group',
  method: 'PUT',
  path: '/groups/:group/members/:username',
  effect: 'write',
  input: z.object({ ...key, username }),
  output: Group,
  permission: 'admin',
  async handler({ db, caller, input }) {
    await addMember(db, await getGroupId(db, input.group), (await getUser(db, input.username)).id);
    return getGroup(db, input.group, seenBy(caller));
  },
});

const removeFromGroup = endpoint({
  ...ours,
  op: 'group.remove_member',
  summary: 'Remove a user from a group',
  method: 'DELETE',
  path: '/groups/:group/members/:username',
  effect: 'write',
  input: z.object({ ...key, username }),
  output: Group,
  permission: 'admin',
  async handler({ db, caller, input }) {
    await removeMember(db, await getGroupId(db, input.group), (await getUser(db, input.username)).id);
    return getGroup(db, input.group, seenBy(caller));
  },
});

const onRole = canInNamedScope('MANAGE', (context: Services & { input: { role_id: number } }) =>
  getScopeOfRole(context, context.input.role_id),
);

const assignRole = endpoint({
  ...ours,
  op: 'group.assign_role',
  summary: 'Give a role to all members of a group',
  method: 'PUT',
  path: '/groups/:group/roles/:role_id',
  effect: 'write',
  input: z.object({ ...key, role_id: idParam('role_id') }),
  output: Group,
  permission: onRole,
  async handler({ db, caller, input }) {
    await assignRoleToGroup(db, input.role_id, await getGroupId(db, input.group));
    return getGroup(db, input.group, seenBy(caller));
  },
});

const unassignRole = endpoint({
  ...ours,
  op: 'group.unassign_role',
  summary: 'Take a role from a group',
  method: 'DELETE',
  path: '/groups/:group/roles/:role_id',
  effect: 'write',
  input: z.object({ ...key, role_id: idParam('role_id') }),
  output: Group,
  permission: onRole,
  async handler({ db, caller, input }) {
    await unassignRoleFromGroup(db, input.role_id, await getGroupId(db, input.group));
    return getGroup(db, input.group, seenBy(caller));
  },
});

export const groupEndpoints = [list, create, get, rename, remove, addToGroup, removeFromGroup, assignRole, unassignRole];
