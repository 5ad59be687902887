import type { Services } from '../../endpoint.ts';
import type { Level, Need } from '../../platform/permission.ts';
import type { Caller } from '../caller.ts';
import { permissionDenied } from '../can.ts';
import { limitedTo, managedScopes } from '../grants.ts';

type NamingUser = Services & { input: { username: string } };

const LEVEL: Level = 'MANAGE';

/** Who manages a workspace or registry grants rights there, and needs the names of users and groups for that. */
const managesSomething = (caller: Caller): boolean => managedScopes(caller)?.length !== 0;

/** What of users, groups and their roles a caller gets to see: the scopes by their ids, null for all. */
export type Seen = {
  self: number | null;
  /** All users and groups, not only itself and its own. */
  all: boolean;
  /** Where it sees the roles of all. */
  managed: number[] | null;
  /** Where it sees its own. */
  own: number[] | null;
};

export const seenBy = (caller: Caller): Seen => ({
  self: caller.id,
  all: managesSomething(caller),
  managed: managedScopes(caller),
  own: limitedTo(caller),
});

/** The user whom the input names, and administrators. Whether there is such a user makes no difference to others. */
export const selfOrAdmin: Need<NamingUser> = {
  level: LEVEL,
  on: 'the user account',
  check({ caller, input }) {
    if (caller.isAdmin || caller.username === input.username) return 'granted';
    throw permissionDenied(`Permission denied: '${caller.username}' may ask about its own account only, and is no administrator.`);
  },
};

/** As `selfOrAdmin`, and who manages some workspace or registry: the handler shows no more than what is in these. */
export const selfOrManager: Need<NamingUser> = {
  ...selfOrAdmin,
  check: (context) => (managesSomething(context.caller) ? 'granted' : selfOrAdmin.check(context)),
};
