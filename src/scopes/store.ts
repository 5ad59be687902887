import type { Caller } from '../access/caller.ts';
import { mayEnter } from '../access/grants.ts';
import { type Db, identityOf, isPool, primaryOf, quickRead, run } from '../platform/db/database.ts';
import { doesNotExist, type MlflowError } from '../platform/errors.ts';
import type { Scope } from './entity.ts';

// Another server may have made or removed a scope: for so long this one may go on as if it had not.
const KNOWN_FOR_MS = 1000;

type Asking = { db: Db; caller: Caller };

type Known = { scopes: Map<string, { scope: Scope | null; until: number }>; changes: number };

const MOST_KNOWN = 10_000;
const knownOf = new WeakMap<Db, Known>();

function knownTo(db: Db): Known {
  const identity = identityOf(db);
  const known = knownOf.get(identity) ?? { scopes: new Map(), changes: 0 };
  knownOf.set(identity, known);
  return known;
}

export const registryNotFound = (name: string): MlflowError => doesNotExist(`Registry '${name}' not found`);
export const workspaceNotFound = (name: string): MlflowError => doesNotExist(`Workspace '${name}' not found`);

const FIND_SCOPE = quickRead(
  'find_scope',
  `select id, kind, hides_models, kind = 'registry' and visibility <> 'PRIVATE' as open_to_read from scopes where name = :name`,
);

/**
 * The workspace or registry of a name, or null, as it was at most a second ago; what this server does to it is seen at once (`forgetScope`).
 * Absence is remembered too: every model whose name has a dot asks for what stands before it.
 */
export async function findScope(db: Db, name: string): Promise<Scope | null> {
  const cached = knownTo(db).scopes.get(name);
  return cached && performance.now() < cached.until ? cached.scope : lookUpScope(db, name);
}

async function lookUpScope(db: Db, name: string): Promise<Scope | null> {
  const known = knownTo(db);
  const { changes } = known;
  const [row] = await run<{ id: number; kind: Scope['kind']; hides_models: boolean; open_to_read: boolean }>(primaryOf(db), FIND_SCOPE, {
    name,
  });
  const scope = row
    ? {
        id: row.id,
        kind: row.kind,
        name,
        named: true,
        ...(row.hides_models && { hidesModels: true as const }),
        ...(row.open_to_read && { openToRead: true as const }),
      }
    : null;
  if (known.scopes.size >= MOST_KNOWN) known.scopes.clear();
  // What was read before a change must not be kept after it, nor what a transaction may yet undo.
  if (changes === known.changes && isPool(primaryOf(db))) known.scopes.set(name, { scope, until: performance.now() + KNOWN_FOR_MS });
  return scope;
}

/**
 * The workspace or registry that a request names: a new one is found at once, whichever server made it. Throws RESOURCE_DOES_NOT_EXIST, also for one
 * that the caller was given nothing in.
 */
export async function getNamedScope({ db, caller }: Asking, name: string, kind: Scope['kind'] | null): Promise<Scope> {
  const scope = (await findScope(db, name)) ?? (await lookUpScope(db, name));
  if (!scope || (kind !== null && scope.kind !== kind) || !mayEnter(caller, scope))
    throw kind === 'registry' ? registryNotFound(name) : workspaceNotFound(name);
  return scope;
}

/** To be called when a workspace or registry was made or removed. */
export function forgetScope(db: Db, name: string): void {
  const known = knownTo(db);
  known.scopes.delete(name);
  known.changes++;
}
