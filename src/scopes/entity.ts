/** A home of models and experiments that a request is for. */
export type Scope = { id: number; name: string };

/** Where callers are who name no workspace (mlflow/utils/workspace_utils.py, DEFAULT_WORKSPACE_NAME). */
export const DEFAULT_SCOPE: Scope = { id: 1, name: 'default' };
