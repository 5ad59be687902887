import type { Scope } from '../scopes/entity.ts';

/** A workspace or registry by its name. */
export type NamedScope = Pick<Scope, 'kind' | 'name'>;

const segments = ({ kind, name }: NamedScope) => `${kind === 'registry' ? 'registries' : 'workspaces'}/${encodeURIComponent(name)}`;

/** Where the extension API has a scope. */
export const scopePath = (scope: NamedScope): string => `/api/1.0/${segments(scope)}`;

/** Where MLflow's API of a scope is. */
export const mlflowApi = (scope: NamedScope): string => `/${segments(scope)}/api/2.0/mlflow`;
