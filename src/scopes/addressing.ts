import type { IncomingMessage } from 'node:http';
import type { Db } from '../platform/db/database.ts';
import { checkWorkspaceName, DEFAULT_SCOPE, type Scope } from './entity.ts';
import { getWorkspaceScope } from './store.ts';

const NAMED_DEFAULT: Scope = { ...DEFAULT_SCOPE, named: true };

/**
 * The scope a request is for: the one its X-MLFLOW-WORKSPACE header names (trimmed, as the stock server does), else `default`, which is never looked up.
 * Throws RESOURCE_DOES_NOT_EXIST for a name there is no workspace of, INVALID_PARAMETER_VALUE for one there cannot be.
 */
export async function addressScope(db: Db, req: IncomingMessage): Promise<Scope> {
  const header = req.headers['x-mlflow-workspace'];
  const name = typeof header === 'string' ? header.trim() : '';
  if (name === '') return DEFAULT_SCOPE;
  if (name === DEFAULT_SCOPE.name) return NAMED_DEFAULT;
  checkWorkspaceName(name);
  return getWorkspaceScope(db, name);
}
