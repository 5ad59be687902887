import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { badRequest, invalidParameter } from '../../platform/errors.ts';
import { requiredText } from '../../platform/fields.ts';
import { findCaller } from '../callers-store.ts';
import { recordFailedLogin, refuseGuessing } from '../failed-logins.ts';
import { limitedTo } from '../grants.ts';
import { sha256Of } from '../new-token.ts';
import { checkNewPassword, hashPassword, verifyPassword } from '../passwords.ts';
import { ListedUser, newUsername, ServiceAccount, toServiceAccount, toUser, User, username } from './entity.ts';
import { seenBy, selfOrAdmin } from './self.ts';
import { deleteUser, getUserWithGrants, insertUser, listUsers, listUsersOfKind, setAdmin, setPassword } from './store.ts';

const oneUser = z.object({ user: User });

const create = endpoint({
  op: 'user.create',
  summary: 'Make a user who signs in with a password',
  method: 'POST',
  path: '/mlflow/users/create',
  effect: 'write',
  scoped: false,
  input: z.object({ username: newUsername, password: requiredText.meta({ secret: true }) }),
  output: oneUser,
  permission: 'admin',
  async handler({ db, input }) {
    checkNewPassword(input.password);
    const row = await insertUser(db, { username: input.username, kind: 'USER', hash: await hashPassword(input.password) });
    return { user: toUser({ ...row, granted: [] }) };
  },
});

const get = endpoint({
  op: 'user.get',
  summary: 'Get a user, with what was granted to it by name',
  method: 'GET',
  path: '/mlflow/users/get',
  effect: 'read',
  scoped: false,
  input: z.object({ username }),
  output: oneUser,
  permission: selfOrAdmin,
  async handler({ db, caller, input }) {
    return { user: toUser(await getUserWithGrants(db, input.username, limitedTo(caller))) };
  },
});

const list = endpoint({
  op: 'user.list',
  summary: 'List the users: all of them for who administers or manages something, else the caller alone',
  method: 'GET',
  path: '/mlflow/users/list',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  output: z.object({ users: z.array(ListedUser) }),
  permission: 'authenticated',
  async handler({ db, caller }) {
    return { users: await listUsers(db, seenBy(caller)) };
  },
});

const current = endpoint({
  op: 'user.current',
  summary: 'Who the caller is',
  method: 'GET',
  path: '/mlflow/users/current',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  output: z.object({ user: z.object({ id: z.number(), username: z.string(), is_admin: z.boolean() }), is_basic_auth: z.boolean() }),
  permission: 'authenticated',
  async handler({ caller }) {
    return {
      user: { id: caller.id ?? 0, username: caller.username, is_admin: caller.isAdmin },
      is_basic_auth: caller.via === 'password',
    };
  },
});

const updatePassword = endpoint({
  op: 'user.update_password',
  summary: 'Change a password: of any user by an administrator, of oneself with the current one',
  method: 'PATCH',
  path: '/mlflow/users/update-password',
  effect: 'write',
  scoped: false,
  input: z.object({
    username,
    password: requiredText.meta({ secret: true }),
    current_password: z.string().meta({ secret: true }).default(''),
  }),
  output: z.object({}),
  permission: selfOrAdmin,
  async handler({ db, caller, session, onceUndone, input: { username, password, current_password: current } }) {
    if (caller.username === username) {
      if (current === '') throw invalidParameter('Current password is required when changing your own password.');
      await refuseGuessing(db, username, '');
      if (!(await verifyPassword(current, (await findCaller(db, username))?.password_hash ?? null))) {
        await onceUndone((db) => recordFailedLogin(db, username, ''));
        throw invalidParameter('Current password does not match.');
      }
      if (password === current) throw invalidParameter('New password must differ from the current password.');
    }
    checkNewPassword(password);
    await setPassword(db, username, await hashPassword(password), sha256Of(session ?? ''));
    return {};
  },
});

const updateAdmin = endpoint({
  op: 'user.update_admin',
  summary: 'Make a user an administrator, or no longer one',
  method: 'PATCH',
  path: '/mlflow/users/update-admin',
  effect: 'write',
  scoped: false,
  input: z.object({ username, is_admin: z.boolean() }),
  output: z.object({}),
  permission: 'admin',
  async handler({ db, input }) {
    await setAdmin(db, input.username, input.is_admin);
    return {};
  },
});

const remove = endpoint({
  op: 'user.delete',
  summary: 'Remove a user, with its tokens and what was granted to it',
  method: 'DELETE',
  path: '/mlflow/users/delete',
  effect: 'write',
  scoped: false,
  input: z.object({ username }),
  output: z.object({}),
  permission: 'admin',
  async handler({ db, caller, input }) {
    if (input.username === caller.username)
      throw badRequest('Users cannot delete their own account. Ask another admin to delete this user instead.');
    await deleteUser(db, input.username, null);
    return {};
  },
});

const createServiceAccount = endpoint({
  op: 'service_account.create',
  summary: 'Make a service account: a user without a password, which signs in by tokens',
  method: 'POST',
  apiVersion: '1.0',
  path: '/service-accounts',
  effect: 'write',
  scoped: false,
  status: 201,
  input: z.object({ username: newUsername }),
  output: ServiceAccount,
  permission: 'admin',
  async handler({ db, input }) {
    return toServiceAccount(await insertUser(db, { username: input.username, kind: 'SERVICE_ACCOUNT', hash: null }));
  },
});

const listServiceAccounts = endpoint({
  op: 'service_account.list',
  summary: 'List the service accounts',
  method: 'GET',
  apiVersion: '1.0',
  path: '/service-accounts',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  output: z.object({ service_accounts: z.array(ServiceAccount) }),
  permission: 'admin',
  async handler({ db }) {
    return { service_accounts: (await listUsersOfKind(db, 'SERVICE_ACCOUNT')).map(toServiceAccount) };
  },
});

const removeServiceAccount = endpoint({
  op: 'service_account.delete',
  summary: 'Remove a service account, with its tokens and what was granted to it',
  method: 'DELETE',
  apiVersion: '1.0',
  path: '/service-accounts/:username',
  effect: 'write',
  scoped: false,
  input: z.object({ username }),
  output: z.object({}),
  permission: 'admin',
  async handler({ db, input }) {
    await deleteUser(db, input.username, 'SERVICE_ACCOUNT');
    return {};
  },
});

export const userEndpoints = [
  create,
  get,
  list,
  current,
  updatePassword,
  updateAdmin,
  remove,
  createServiceAccount,
  listServiceAccounts,
  removeServiceAccount,
];
