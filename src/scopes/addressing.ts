import type { IncomingMessage } from 'node:http';
import type { Caller } from '../access/caller.ts';
import type { Db } from '../platform/db/database.ts';
import { invalidParameter } from '../platform/errors.ts';
import type { Declared } from '../platform/http/endpoint.ts';
import { checkWorkspaceName, DEFAULT_SCOPE, type Scope } from './entity.ts';
import { getNamedScope } from './store.ts';

const NAMED_DEFAULT: Scope = { ...DEFAULT_SCOPE, named: true };

/** A scope that a request names by the beginning of its path. */
type BasePath = { kind: Scope['kind']; name: string };

const BASE_PATH = /^\/+(registries|workspaces)\/+([^/?#]+)\/*(?=\/(?:ajax-)?api\/)/;

const basePaths = new WeakMap<IncomingMessage, BasePath>();

/** Takes `/registries/<name>` or `/workspaces/<name>` off the path of a request to the API, and remembers it for `addressScope`. */
export function takeBasePath(req: IncomingMessage): void {
  const match = BASE_PATH.exec(req.url ?? '');
  if (!match?.[2]) return;
  basePaths.set(req, { kind: match[1] === 'registries' ? 'registry' : 'workspace', name: match[2] });
  req.url = req.url?.slice(match[0].length);
}

/** The name of a workspace or registry that a request begins with or has in its header, whether there is one or not; '' for none. */
export const nameOfScope = (req: IncomingMessage): string =>
  basePaths.get(req)?.name ?? String(req.headers['x-mlflow-workspace'] ?? '').trim();

/** What a request is about: `scope` as its path or header names it, `consumer` the workspace of who asks. */
export type Address = { scope: Scope; consumer: Scope; byPath: boolean };

export const UNNAMED: Address = { scope: DEFAULT_SCOPE, consumer: DEFAULT_SCOPE, byPath: false };

/**
 * Turns the base path, or else the X-MLFLOW-WORKSPACE header (trimmed, as the stock server does), into the scope a request is for; without either it is
 * `default`, which is never looked up. Below a base path the header says which workspace asks. Registries and workspaces share one name space, so the
 * header may name a registry too. Throws RESOURCE_DOES_NOT_EXIST for a name there is nothing of, INVALID_PARAMETER_VALUE for one there cannot be.
 */
export async function addressScope(asking: { db: Db; caller: Caller }, req: IncomingMessage): Promise<Address> {
  const base = basePaths.get(req) ?? null;
  const header = req.headers['x-mlflow-workspace'];
  const name = typeof header === 'string' ? header.trim() : '';
  if (base === null && name === '') return UNNAMED;
  const named = name === '' ? DEFAULT_SCOPE : await namedScope(asking, name, null);
  const scope = base === null ? named : await namedScope(asking, base.name, base.kind);
  const consumer = [name === '' ? scope : named, scope].find(({ kind }) => kind === 'workspace') ?? DEFAULT_SCOPE;
  return { scope, consumer, byPath: base !== null };
}

async function namedScope(asking: { db: Db; caller: Caller }, name: string, kind: Scope['kind'] | null): Promise<Scope> {
  if (name === DEFAULT_SCOPE.name && kind !== 'registry') return NAMED_DEFAULT;
  checkWorkspaceName(name, kind === 'registry' ? 'Registry' : 'Workspace');
  return getNamedScope(asking, name, kind);
}

/** Throws INVALID_PARAMETER_VALUE for what would write runs, experiments or artifacts into a registry: they live in workspaces. */
export function refuseTracking({ scope }: Address, { op, effect, inWorkspace }: Declared): void {
  if (scope.kind === 'workspace' || !inWorkspace || effect === 'read') return;
  throw invalidParameter(
    `'${scope.name}' is a registry: it has models, but no experiments, runs or artifacts of its own, so '${op}' cannot be done there. ` +
      `Keep MLFLOW_TRACKING_URI and MLFLOW_WORKSPACE on a workspace, and name the shared models '${scope.name}.<model>', ` +
      `or set MLFLOW_REGISTRY_URI to <server>/registries/${scope.name}.`,
  );
}
