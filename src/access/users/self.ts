import type { Services } from '../../endpoint.ts';
import type { Level, Need } from '../../platform/permission.ts';
import type { Caller } from '../caller.ts';
import { permissionDenied } from '../can.ts';
import { managedScopes } from '../grants.ts';

type NamingUser = Services & { input: { username: string } };

const LEVEL: Level = 'MANAGE';

/** Who manages a workspace or registry grants rights there, and needs the names of users and groups for that. */
export const managesSomething = (caller: Caller): boolean => managedScopes(caller)?.length !== 0;

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
