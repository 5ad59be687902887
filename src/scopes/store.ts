import { type Db, run, statement } from '../platform/db/database.ts';
import type { Scope } from './entity.ts';

const FIND_SCOPE = statement('find_scope', 'select id, name from scopes where name = :name');

export async function findScope(db: Db, name: string): Promise<Scope | null> {
  const [scope] = await run<Scope>(db, FIND_SCOPE, { name });
  return scope ?? null;
}
