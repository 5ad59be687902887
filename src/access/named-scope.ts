import { type Db, run, statement } from '../platform/db/database.ts';
import { doesNotExist } from '../platform/errors.ts';
import type { Caller } from './caller.ts';
import { type GuardedScope, mayEnter } from './grants.ts';

type Kind = 'workspace' | 'registry';

/** A workspace or registry as far as granting goes. */
export type NamedScope = GuardedScope & { name: string; kind: Kind };

export type ScopeRow = { id: number; name: string; kind: Kind; open_to_read: boolean };

/** The columns of a `ScopeRow`, of scope `s`. */
export const SCOPE_COLUMNS = `s.id, s.name, s.kind, s.kind = 'registry' and s.visibility <> 'PRIVATE' as open_to_read`;

export const toNamedScope = ({ id, name, kind, open_to_read: openToRead }: ScopeRow): NamedScope => ({ id, name, kind, openToRead });

const FIND = statement('scope_to_grant_in', `select ${SCOPE_COLUMNS} from scopes s where s.name = :name`);

/** The workspace or registry of a name; null for one of either kind. Throws RESOURCE_DOES_NOT_EXIST, also for one that the caller may not know of. */
export async function getScopeNamed({ db, caller }: { db: Db; caller: Caller }, name: string, kind: Kind | null): Promise<NamedScope> {
  const [row] = await run<ScopeRow>(db, FIND, { name });
  const scope = row && toNamedScope(row);
  if (!scope || (kind !== null && scope.kind !== kind) || !mayEnter(caller, scope))
    throw doesNotExist(`${kind === 'registry' ? 'Registry' : 'Workspace'} '${name}' not found`);
  return scope;
}
