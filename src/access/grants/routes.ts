import { z } from 'zod';
import { endpoint, type Services } from '../../endpoint.ts';
import { alreadyExists, doesNotExist } from '../../platform/errors.ts';
import { requiredText } from '../../platform/fields.ts';
import type { Need } from '../../platform/permission.ts';
import { callerOf } from '../authenticate.ts';
import { findCaller } from '../callers-store.ts';
import { canInScope } from '../can.ts';
import { allows, limitedTo, managedScopes, permissionOn, type ResourceType } from '../grants.ts';
import { username } from '../users/entity.ts';
import { selfOrManager } from '../users/self.ts';
import { getUser } from '../users/store.ts';
import { canGrant } from './can-grant.ts';
import { checkGrantable, checkPermission, checkResource, HeldPermission, type HeldPermissionRow, isOneThing } from './entity.ts';
import { addGrant, findModelType, hasExperiment, listHeldPermissions, removeGrant } from './store.ts';

const resource = { username, resource_type: requiredText, resource_id: requiredText };
type Resource = { username: string; resource_type: string; resource_id: string };

// A shared model may be named `<registry>.<model>`, as everywhere.
const ours = { apiVersion: '3.0', model: 'resource_id' } as const;

const canGrantNamed = canGrant(({ scope, input }: Services & { input: Resource }) => {
  checkResource(input.resource_type, input.resource_id);
  return { scope, type: input.resource_type, pattern: input.resource_id };
});

const toOn = ({ scope }: Services, { resource_type: type, resource_id: pattern }: Resource) => ({ scope, types: [type], pattern });
const toUser = ({ username }: Resource) => ({ kind: 'user' as const, name: username });
const shown = ({ username, resource_type, resource_id }: Resource) =>
  `Permission for user=${username} on resource_type=${resource_type}, resource_id=${resource_id}`;

const grant = endpoint({
  ...ours,
  op: 'grant.add',
  summary: 'Grant a user something by name',
  method: 'POST',
  path: '/mlflow/users/permissions/grant',
  effect: 'write',
  input: z.object({ ...resource, permission: requiredText }),
  output: z.object({}),
  permission: canGrantNamed,
  async handler({ input, ...services }) {
    checkResource(input.resource_type, input.resource_id);
    checkPermission(input.permission);
    checkGrantable(input.resource_type, input.permission);
    const isNew = await addGrant(services.db, toOn(services, input), toUser(input), input.permission);
    if (!isNew) throw alreadyExists(`${shown(input)} already exists.`);
    return {};
  },
});

const revoke = endpoint({
  ...ours,
  op: 'grant.remove',
  summary: 'Take back what was granted to a user by name',
  method: 'POST',
  path: '/mlflow/users/permissions/revoke',
  effect: 'write',
  input: z.object(resource),
  output: z.object({}),
  permission: canGrantNamed,
  async handler({ input, ...services }) {
    checkResource(input.resource_type, input.resource_id);
    await getUser(services.db, input.username);
    if (!(await removeGrant(services.db, toOn(services, input), toUser(input)))) throw doesNotExist(`${shown(input)} not found.`);
    return {};
  },
});

const selfOrManagerHere: Need<Services & { input: Resource }> = {
  ...canInScope('MANAGE'),
  check: async (context) => (context.caller.username === context.input.username ? 'granted' : canInScope('MANAGE').check(context)),
};

async function isThere({ db, scope }: Services, type: ResourceType, id: string): Promise<boolean> {
  if (type === 'experiment') return hasExperiment(db, scope, id);
  return (await findModelType(db, scope, id)) === type;
}

const get = endpoint({
  ...ours,
  op: 'grant.get',
  summary: 'What a user may do with something, by all that was granted to it',
  method: 'GET',
  path: '/mlflow/users/permissions/get',
  effect: 'read',
  input: z.object(resource),
  output: z.object({ allowed: z.boolean(), permission: z.string() }),
  permission: selfOrManagerHere,
  async handler({ input, ...services }) {
    const { resource_type: type, resource_id: id } = input;
    checkResource(type, id);
    await getUser(services.db, input.username);
    const row = await findCaller(services.db, input.username);
    if (!row || (isOneThing(type, id) && !(await isThere(services, type, id)))) return { allowed: false, permission: 'NO_PERMISSIONS' };
    const permission = permissionOn(callerOf(row, 'password'), { scope: services.scope, type: type as ResourceType, id });
    return { allowed: permission !== 'DENY' && allows(permission, 'USE'), permission: permission ?? 'NO_PERMISSIONS' };
  },
});

const heldPermissions = z.object({ is_admin: z.boolean(), permissions: z.array(HeldPermission) });

const toHeld = ({ group, ...row }: HeldPermissionRow): z.infer<typeof HeldPermission> => ({ ...row, ...(group !== null && { group }) });

const list = endpoint({
  op: 'grant.list',
  summary: 'List all that a user was granted, as far as the caller may see it',
  method: 'GET',
  apiVersion: '3.0',
  path: '/mlflow/users/permissions/list',
  effect: 'read',
  scoped: false,
  input: z.object({ username }),
  output: heldPermissions,
  permission: selfOrManager,
  async handler({ db, caller, input }) {
    const user = await getUser(db, input.username);
    const rows = await listHeldPermissions(db, user.id, user.id === caller.id ? limitedTo(caller) : managedScopes(caller));
    return { is_admin: user.is_admin, permissions: rows.map(toHeld) };
  },
});

const listOwn = endpoint({
  op: 'grant.list_own',
  summary: 'List all that the caller was granted',
  method: 'GET',
  apiVersion: '3.0',
  path: '/mlflow/users/current/permissions',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  output: heldPermissions,
  permission: 'authenticated',
  async handler({ db, caller }) {
    const user = await getUser(db, caller.username);
    return { is_admin: user.is_admin, permissions: (await listHeldPermissions(db, user.id, limitedTo(caller))).map(toHeld) };
  },
});

export const grantEndpoints = [grant, revoke, get, list, listOwn];
