import type { Services } from '../../endpoint.ts';
import type { Need, Verdict } from '../../platform/permission.ts';
import { canInNamedScope, mayDoAll, requireLevel } from '../can.ts';
import { allows, levelOnScope } from '../grants.ts';
import type { NamedScope } from '../named-scope.ts';
import { isOneThing } from './entity.ts';

type On = { scope: NamedScope; type: string; pattern: string };

/**
 * Declares that the caller must manage what is granted on: the thing itself or the whole workspace or registry; for a pattern or a kind of things the whole.
 * Whether the thing is there makes no difference to who may not.
 */
export const canGrant = <Context extends Services>(onWhat: (context: Context) => Promise<On> | On): Need<Context> => ({
  level: 'MANAGE',
  on: 'what is granted on, or the workspace or registry it is in',
  async check(context): Promise<Verdict> {
    const { caller } = context;
    if (mayDoAll(caller)) return 'granted';
    const { scope, type, pattern } = await onWhat(context);
    if (!isOneThing(type, pattern)) return canInNamedScope('MANAGE', () => scope).check(context);
    if (!allows(levelOnScope(caller, scope), 'MANAGE')) requireLevel(caller, 'MANAGE', { scope, type, id: pattern });
    return 'granted';
  },
});
