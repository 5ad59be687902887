import type { IncomingMessage } from 'node:http';
import type { Db } from '../platform/db/database.ts';
import { doesNotExist } from '../platform/errors.ts';
import { DEFAULT_SCOPE, type Scope } from './entity.ts';
import { findScope } from './store.ts';

/**
 * The scope a request is for: the one its X-MLFLOW-WORKSPACE header names (trimmed, as the stock server does), else `default`.
 * Throws RESOURCE_DOES_NOT_EXIST for a name there is no workspace of.
 */
export async function addressScope(db: Db, req: IncomingMessage): Promise<Scope> {
  const header = req.headers['x-mlflow-workspace'];
  const name = typeof header === 'string' ? header.trim() : '';
  if (name === '' || name === DEFAULT_SCOPE.name) return DEFAULT_SCOPE;
  const scope = await findScope(db, name);
  if (!scope) throw doesNotExist(`Workspace '${name}' not found`);
  return scope;
}
