import { z } from 'zod';
import type { Services } from '../endpoint.ts';
import { checkWorkspaceName, DEFAULT_SCOPE, type Scope } from '../scopes/entity.ts';
import { getNamedScope } from '../scopes/store.ts';

/** The two beginnings of a path of the extension API: what is below them is the same in a workspace and in a registry. */
export const SCOPE_PATHS = ['/workspaces/:workspace', '/registries/:registry'] as const;

/** What these paths take from a request. */
export const scopeInPath = { workspace: z.string().optional(), registry: z.string().optional() };

/** The scope such a path names. Throws RESOURCE_DOES_NOT_EXIST, or INVALID_PARAMETER_VALUE for a name there cannot be. */
export async function scopeOfPath(
  { db }: Pick<Services, 'db'>,
  { workspace, registry }: { workspace?: string | undefined; registry?: string | undefined },
): Promise<Scope> {
  const name = registry ?? workspace ?? '';
  if (registry === undefined && name === DEFAULT_SCOPE.name) return DEFAULT_SCOPE;
  checkWorkspaceName(name);
  return getNamedScope(db, name, registry === undefined ? 'workspace' : 'registry');
}
