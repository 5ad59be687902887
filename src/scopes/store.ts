import { type Db, run, statement } from '../platform/db/database.ts';
import { doesNotExist, type MlflowError } from '../platform/errors.ts';
import type { Scope } from './entity.ts';

// Another server may have removed a workspace that this one still knows: for so long its requests find nothing there, or are told it is gone.
const KNOWN_FOR_MS = 1000;

type Known = { scopes: Map<string, { scope: Scope; until: number }>; changes: number };

const knownOf = new WeakMap<Db, Known>();

function knownTo(db: Db): Known {
  const known = knownOf.get(db) ?? { scopes: new Map(), changes: 0 };
  knownOf.set(db, known);
  return known;
}

export const workspaceNotFound = (name: string): MlflowError => doesNotExist(`Workspace '${name}' not found`);

const FIND_WORKSPACE = statement('find_workspace', `select id from scopes where kind = 'workspace' and name = :name`);

/**
 * The workspace of a name, as it was at most a second ago; what this server does to it is seen at once (`forgetWorkspace`), and so is a new one
 * everywhere, since names that were not found are not kept. Throws RESOURCE_DOES_NOT_EXIST.
 */
export async function getWorkspaceScope(db: Db, name: string): Promise<Scope> {
  const known = knownTo(db);
  const cached = known.scopes.get(name);
  if (cached && performance.now() < cached.until) return cached.scope;
  const { changes } = known;
  const [row] = await run<{ id: number }>(db, FIND_WORKSPACE, { name });
  if (!row) {
    known.scopes.delete(name);
    throw workspaceNotFound(name);
  }
  const scope = { id: row.id, name, named: true };
  // What was read before a removal must not be kept after it.
  if (changes === known.changes) known.scopes.set(name, { scope, until: performance.now() + KNOWN_FOR_MS });
  return scope;
}

/** To be called when a workspace was removed. */
export function forgetWorkspace(db: Db, name: string): void {
  const known = knownTo(db);
  known.scopes.delete(name);
  known.changes++;
}
