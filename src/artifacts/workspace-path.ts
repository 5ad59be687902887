import { type Db, run, statement } from '../platform/db/database.ts';
import { invalidParameter } from '../platform/errors.ts';
import { DEFAULT_SCOPE, type Scope } from '../scopes/entity.ts';
import { isReserved, joinPath } from './artifact-path.ts';

const FOLDER = 'workspaces';

/** Where the artifacts of a workspace are, for callers who name it. */
export const uriOfWorkspace = (scope: Scope): string => `mlflow-artifacts:/${FOLDER}/${scope.name}`;

/**
 * The URI of a version's files with its workspace named, so that it means them from every other one too: a client asks for the files where its tracking URI
 * says. Any other URI stays as it is.
 */
export const nameWorkspace = (scope: Scope, uri: string): string =>
  uri.startsWith(FROZEN) ? uriOfWorkspace(scope) + uri.slice('mlflow-artifacts:'.length) : uri;

const FROZEN = 'mlflow-artifacts:/registered-models/';

const WHOSE_FOLDER = statement(
  'whose_workspace_folder',
  `select
     exists (select from scopes where kind = 'workspace' and name = :workspace) as is_taken,
     exists (select from scopes where id = :scope and :workspace = any (merged_workspaces)) as is_own`,
);

/**
 * The path in the tree of the request's scope that a checked path of the artifact endpoints stands for: below `workspaces/<name>/`, which a caller may
 * leave out; in the default workspace also outside of it (mlflow/server/handlers.py, _get_workspace_scoped_repo_path_if_enabled). The files of
 * registered versions have the same path in every scope, and are found in their own only, unless the path names it.
 * Throws INVALID_PARAMETER_VALUE for a path that names another workspace.
 */
export async function pathInWorkspace({ db, scope }: { db: Db; scope: Scope }, path: string): Promise<string> {
  if (isReserved(path)) return path;
  const isDefault = scope.id === DEFAULT_SCOPE.id;
  const [first, workspace] = path.split('/', 2);
  if (first !== FOLDER) return isDefault ? path : joinPath(`${FOLDER}/${scope.name}`, path);
  if (workspace === scope.name) return path;
  if (workspace === undefined) {
    if (isDefault) return path;
    throw invalidParameter(`Artifact paths prefixed with '${FOLDER}/' must include a workspace name.`);
  }
  if (isDefault) {
    const [whose] = await run<{ is_taken: boolean; is_own: boolean }>(db, WHOSE_FOLDER, { scope: scope.id, workspace });
    // To who names no workspace, a folder that is none's is one like any other.
    if (whose?.is_own || (!scope.named && !whose?.is_taken)) return path;
  }
  throw invalidParameter(`Artifact path targets workspace '${workspace}' but the workspace specified in the request is '${scope.name}'.`);
}
