import { z } from 'zod';
import type { Services } from '../endpoint.ts';
import { invalidParameter } from '../platform/errors.ts';
import { checkWorkspaceName, DEFAULT_SCOPE, emptied, type Scope } from '../scopes/entity.ts';
import { getNamedScope } from '../scopes/store.ts';

/** The two beginnings of a path of the extension API: what is below them is the same in a workspace and in a registry. */
export const SCOPE_PATHS = ['/workspaces/:workspace', '/registries/:registry'] as const;

/** What these paths take from a request. */
export const scopeInPath = { workspace: z.string().optional(), registry: z.string().optional() };

/** The scope such a path names. Throws RESOURCE_DOES_NOT_EXIST, or INVALID_PARAMETER_VALUE for a name there cannot be. */
export async function scopeOfPath(
  services: Pick<Services, 'db' | 'caller' | 'hidden'>,
  { workspace, registry }: { workspace?: string | undefined; registry?: string | undefined },
): Promise<Scope> {
  if (workspace !== undefined && registry !== undefined)
    throw invalidParameter('Name either a workspace or a registry: the path has one, and the arguments have the other.');
  const scope = await named(services, registry ?? workspace ?? '', registry === undefined ? 'workspace' : 'registry');
  return services.hidden ? emptied(scope) : scope;
}

async function named(services: Pick<Services, 'db' | 'caller'>, name: string, kind: Scope['kind']): Promise<Scope> {
  if (kind === 'workspace' && name === DEFAULT_SCOPE.name) return DEFAULT_SCOPE;
  checkWorkspaceName(name, kind === 'registry' ? 'Registry' : 'Workspace');
  return getNamedScope(services, name, kind);
}
