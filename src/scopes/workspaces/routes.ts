import { z } from 'zod';
import { canInNamedScope } from '../../access/can.ts';
import { endpoint, type Services, streamEndpoint } from '../../endpoint.ts';
import { ifThere, invalidParameter } from '../../platform/errors.ts';
import type { LocationRules } from '../../platform/uri.ts';
import { forgetScope, getNamedScope } from '../store.ts';
import { deleteWorkspace } from './delete-workspace.ts';
import {
  checkArchivalLocation,
  checkDefaultArtifactRoot,
  DELETION_MODES,
  type DeletionMode,
  description,
  newWorkspaceName,
  removableWorkspaceName,
  toWorkspace,
  traceArchivalConfig,
  Workspace,
  workspaceName,
} from './entity.ts';
import { getWorkspace, insertWorkspace, listWorkspaces, updateWorkspace, type WorkspaceSettings } from './store.ts';

const settingsFields = {
  description: description.optional(),
  default_artifact_root: z.string().trim().optional(),
  trace_archival_config: traceArchivalConfig.optional(),
};
const oneWorkspace = z.object({ workspace: Workspace });

type SettingsInput = z.output<z.ZodObject<typeof settingsFields>>;

function toSettings(input: SettingsInput, locations: LocationRules): WorkspaceSettings {
  const { description, default_artifact_root: root, trace_archival_config: archival } = input;
  if (root !== undefined) checkDefaultArtifactRoot(root, locations);
  if (archival?.location !== undefined) checkArchivalLocation(archival.location, locations);
  return {
    description: description ?? null,
    root: root ?? null,
    location: archival?.location ?? null,
    retention: archival?.retention ?? null,
  };
}

/** The settings of a workspace, for the audit. */
const workspaceState = ({ db, input }: Services & { input: { name?: string; workspace_name?: string } }): Promise<unknown> =>
  ifThere(getWorkspace(db, input.workspace_name ?? input.name ?? ''));

const list = endpoint({
  op: 'workspace.list',
  summary: 'List the workspaces',
  method: 'GET',
  path: '/mlflow/workspaces',
  apiVersion: '3.0',
  effect: 'read',
  input: z.object({}),
  output: z.object({ workspaces: z.array(Workspace) }),
  permission: 'authenticated',
  async handler({ db, caller }) {
    return { workspaces: (await listWorkspaces(db, caller)).map(toWorkspace) };
  },
});

const create = endpoint({
  op: 'workspace.create',
  summary: 'Make a workspace',
  method: 'POST',
  path: '/mlflow/workspaces',
  apiVersion: '3.0',
  effect: 'write',
  status: 201,
  input: z.object({ name: newWorkspaceName, ...settingsFields }),
  output: oneWorkspace,
  permission: 'admin',
  state: workspaceState,
  async handler({ db, locations, onceKept, input }) {
    const row = await insertWorkspace(db, input.name, toSettings(input, locations));
    await onceKept((db) => forgetScope(db, input.name));
    return { workspace: toWorkspace(row) };
  },
});

const get = endpoint({
  op: 'workspace.get',
  summary: 'Get a workspace',
  method: 'GET',
  path: '/mlflow/workspaces/:workspace_name',
  apiVersion: '3.0',
  effect: 'read',
  input: z.object({ workspace_name: workspaceName }),
  output: oneWorkspace,
  permission: 'authenticated',
  async handler({ input, ...services }) {
    await getNamedScope(services, input.workspace_name, 'workspace');
    return { workspace: toWorkspace(await getWorkspace(services.db, input.workspace_name)) };
  },
});

const update = endpoint({
  op: 'workspace.update',
  summary: 'Change what is given of a workspace; an empty text takes a setting back',
  method: 'PATCH',
  path: '/mlflow/workspaces/:workspace_name',
  apiVersion: '3.0',
  effect: 'write',
  input: z.object({ workspace_name: workspaceName, ...settingsFields }),
  output: oneWorkspace,
  permission: canInNamedScope('MANAGE', (context) => getNamedScope(context, context.input.workspace_name, 'workspace')),
  state: workspaceState,
  async handler({ db, locations, input }) {
    const settings = toSettings(input, locations);
    if (Object.values(settings).every((setting) => setting === null)) {
      throw invalidParameter('Workspace update must have at least one key');
    }
    return { workspace: toWorkspace(await updateWorkspace(db, input.workspace_name, settings)) };
  },
});

/** Reads its mode from the query, unlike other DELETEs, and answers without a body. */
const remove = streamEndpoint({
  op: 'workspace.delete',
  summary: 'Remove a workspace: empty ones only, or with all that is in it, or after moving that to the default workspace',
  method: 'DELETE',
  path: '/mlflow/workspaces/:workspace_name',
  apiVersion: '3.0',
  effect: 'write',
  input: z.object({
    workspace_name: removableWorkspaceName,
    mode: z
      .string()
      .default('RESTRICT')
      .pipe(
        z.custom<DeletionMode>((mode) => DELETION_MODES.includes(mode as DeletionMode), {
          error: ({ input }) => `Invalid deletion mode '${input}'. Must be one of: ${DELETION_MODES.join(', ')}`,
        }),
      ),
  }),
  permission: 'admin',
  async handler({ db, webhooks, input, res }) {
    await deleteWorkspace(db, input.workspace_name, input.mode);
    await webhooks.reload();
    res.writeHead(204).end();
  },
});

export const workspaceEndpoints = [list, create, get, update, remove];
