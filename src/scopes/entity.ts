import { invalidParameter } from '../platform/errors.ts';

/**
 * A home of models that a request is for: a workspace, which has experiments and runs too, or a registry, which workspaces share. `named` tells
 * whether the request named it: who does is answered as by a stock server with workspaces, who does not as by one without (docs/differences.md).
 */
export type Scope = {
  id: number;
  kind: 'workspace' | 'registry';
  name: string;
  named: boolean;
  /** Of a registry that was made although workspaces have models whose names begin with its name and a dot. */
  hidesModels?: true;
  /** Of a registry whose models everybody with a login may read. */
  openToRead?: true;
};

/** Where callers are who name no workspace (mlflow/utils/workspace_utils.py, DEFAULT_WORKSPACE_NAME). */
export const DEFAULT_SCOPE: Scope = { id: 1, kind: 'workspace', name: 'default', named: false };

const MIN_NAME_LENGTH = 2;
const MAX_NAME_LENGTH = 63;
const PATTERN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';
const RESERVED = ['workspaces', 'api', 'ajax-api', 'static-files'];

/** Throws INVALID_PARAMETER_VALUE for what cannot name a workspace, or a registry, which has the same rule (mlflow/store/workspace/abstract_store.py, WorkspaceNameValidator). */
export function checkWorkspaceName(name: string, noun: 'Workspace' | 'Registry' = 'Workspace'): void {
  const { length } = [...name];
  if (length < MIN_NAME_LENGTH || length > MAX_NAME_LENGTH) {
    throw invalidParameter(`${noun} name '${name}' must be between ${MIN_NAME_LENGTH} and ${MAX_NAME_LENGTH} characters.`);
  }
  if (!new RegExp(PATTERN).test(name)) {
    throw invalidParameter(
      `${noun} name '${name}' must match the pattern ${PATTERN} (lowercase alphanumeric with optional internal hyphens).`,
    );
  }
  if (RESERVED.includes(name)) throw invalidParameter(`${noun} name '${name}' is reserved and cannot be used.`);
}

/** The scope that a caller gets to see in place of one that holds something hidden from it: nothing is in it. */
export const emptied = (scope: Scope): Scope => ({ ...scope, id: 0 });
