import type { Knex } from 'knex';
import { MlflowError } from '../platform/errors.ts';
import type { Level, Need, Verdict } from '../platform/permission.ts';
import type { Caller } from './caller.ts';
import { allows, type GuardedScope, levelOn, levelOnScope, type Resource, type Visible } from './grants.ts';

type Asked = { caller: Caller };
type NamedResource = Omit<Resource, 'scope'> & { scope: GuardedScope & { name: string } };

export const permissionDenied = (message: string) => new MlflowError('PERMISSION_DENIED', message);

/** True for callers of whom nothing need be looked up. */
export const mayDoAll = ({ everywhere, only }: Caller): boolean => everywhere === 'MANAGE' && only === null;

/**
 * Declares that a level is needed on what `resourceOf` finds; null stands for what is not there. A caller with none on it is answered as if it were not
 * there, one with too little by PERMISSION_DENIED.
 */
export function can<Context extends Asked>(
  level: Level,
  on: string,
  resourceOf: (context: Context) => Promise<NamedResource | NamedResource[] | null> | NamedResource | NamedResource[] | null,
): Need<Context> {
  return {
    level,
    on,
    async check(context): Promise<Verdict> {
      if (mayDoAll(context.caller)) return 'granted';
      const found = await resourceOf(context);
      const resources = found === null || Array.isArray(found) ? found : [found];
      if (resources === null || resources.some((resource) => levelOn(context.caller, resource) === null)) return 'hidden';
      for (const resource of resources) requireLevel(context.caller, level, resource);
      return 'granted';
    },
  };
}

/** Throws PERMISSION_DENIED unless the caller has `level` on the resource. */
export function requireLevel(caller: Caller, level: Level, resource: NamedResource): void {
  const held = levelOn(caller, resource);
  if (allows(held, level)) return;
  const { type, id, whole, scope } = resource;
  throw tooLittle(caller, held, level, `${(whole?.type ?? type).replace('_', ' ')} '${whole?.id ?? id}' in '${scope.name}'`);
}

type NamedScope = GuardedScope & { name: string; kind: string };

/** Declares that a level is needed on the workspace or registry of the request as a whole. Who may not know of it was told so before (`addressScope`). */
export const canInScope = (level: Level): Need<Asked & { scope: NamedScope }> => canInNamedScope(level, ({ scope }) => scope);

/** As `canInScope`, on another one. */
export function canInNamedScope<Context extends Asked>(
  level: Level,
  scopeOf: (context: Context) => Promise<NamedScope> | NamedScope,
): Need<Context> {
  return {
    level,
    on: 'workspace or registry',
    async check(context): Promise<Verdict> {
      if (mayDoAll(context.caller)) return 'granted';
      const scope = await scopeOf(context);
      const held = levelOnScope(context.caller, scope);
      if (!allows(held, level)) throw tooLittle(context.caller, held, level, `${scope.kind} '${scope.name}'`);
      return 'granted';
    },
  };
}

function tooLittle({ username, tokenId }: Caller, held: Level | null, needed: Level, thing: string): MlflowError {
  const who = tokenId === undefined ? `'${username}'` : `this token of '${username}'`;
  return permissionDenied(
    `Permission denied: ${needed} is needed on ${thing}, and ${who} has ${held ?? 'no permission'} there. Ask somebody who manages it to grant it.`,
  );
}

/** The condition of a search that it finds only what is visible, on the column or expression `id`; none is added when that is all there is. */
export function whereVisible(query: Knex.QueryBuilder, id: string, visible: Visible | null): void {
  if (visible === null) return;
  const { all, ids, patterns, exceptIds, exceptPatterns } = visible;
  const isAmong = (names: string[], likes: string[]) => ({ sql: `(${id} = any (?) or ${id} like any (?))`, bindings: [names, likes] });
  if (!all) {
    const { sql, bindings } = isAmong(ids, patterns);
    query.whereRaw(sql, bindings);
  }
  if (exceptIds.length + exceptPatterns.length > 0) {
    const { sql, bindings } = isAmong(exceptIds, exceptPatterns);
    query.whereRaw(`not ${sql}`, bindings);
  }
}
