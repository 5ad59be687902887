import type { Caller } from '../../access/caller.ts';
import { enterable, IS_ENTERABLE } from '../../access/enterable.ts';
import { type Db, run, statement } from '../../platform/db/database.ts';
import { alreadyExists } from '../../platform/errors.ts';
import { workspaceNotFound } from '../store.ts';
import type { WorkspaceRow } from './entity.ts';

const COLUMNS = 'name, description, default_artifact_root, trace_archival_location, trace_archival_retention';

function single(rows: WorkspaceRow[], name: string): WorkspaceRow {
  if (!rows[0]) throw workspaceNotFound(name);
  return rows[0];
}

const LIST = statement('list_workspaces', `select ${COLUMNS} from scopes s where kind = 'workspace' and ${IS_ENTERABLE} order by name`);

/** Those the caller was given anything in. */
export function listWorkspaces(db: Db, caller: Caller): Promise<WorkspaceRow[]> {
  return run<WorkspaceRow>(db, LIST, { ...enterable(caller) });
}

const GET = statement('get_workspace', `select ${COLUMNS} from scopes where kind = 'workspace' and name = :name`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getWorkspace(db: Db, name: string): Promise<WorkspaceRow> {
  return single(await run<WorkspaceRow>(db, GET, { name }), name);
}

/** What is to be said of a workspace; null says nothing of it, and an empty text takes it back (a description stays, empty). */
export type WorkspaceSettings = { description: string | null; root: string | null; location: string | null; retention: string | null };

const INSERT = statement(
  'insert_workspace',
  `insert into scopes (kind, name, description, default_artifact_root, trace_archival_location, trace_archival_retention)
   values ('workspace', :name, :description, nullif(:root::text, ''), nullif(:location::text, ''), nullif(:retention::text, ''))
   on conflict (name) do nothing
   returning ${COLUMNS}`,
);

/** Throws RESOURCE_ALREADY_EXISTS for the name of a workspace, or of a registry: they share one name space. */
export async function insertWorkspace(db: Db, name: string, settings: WorkspaceSettings): Promise<WorkspaceRow> {
  const [row] = await run<WorkspaceRow>(db, INSERT, { name, ...settings });
  if (!row) throw alreadyExists(`Workspace '${name}' already exists.`);
  return row;
}

const changed = (column: string, value: string) =>
  `${column} = case when :${value}::text is null then ${column} else nullif(:${value}, '') end`;

const UPDATE = statement(
  'update_workspace',
  `update scopes set description = coalesce(:description::text, description), ${changed('default_artifact_root', 'root')},
     ${changed('trace_archival_location', 'location')}, ${changed('trace_archival_retention', 'retention')}
   where kind = 'workspace' and name = :name
   returning ${COLUMNS}`,
);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function updateWorkspace(db: Db, name: string, settings: WorkspaceSettings): Promise<WorkspaceRow> {
  return single(await run<WorkspaceRow>(db, UPDATE, { name, ...settings }), name);
}
