import { z } from 'zod';
import { endpoint, type Services, streamEndpoint } from '../../endpoint.ts';
import { alreadyExists, doesNotExist } from '../../platform/errors.ts';
import { requiredText } from '../../platform/fields.ts';
import { canInNamedScope } from '../can.ts';
import { getScopeNamed, type NamedScope } from '../named-scope.ts';
import { idParam } from '../roles/entity.ts';
import { username } from '../users/entity.ts';
import { selfOrAdmin } from '../users/self.ts';
import { getUser } from '../users/store.ts';
import { canGrant } from './can-grant.ts';
import { fromOlder, olderPermission, toOlder } from './entity.ts';
import { addGrant, changeGrant, findGrant, findModelType, type Granted, listGrantsOnScopes, removeGrant, setGrant } from './store.ts';

// What clients of MLflow 2.5 to 3.10 send: each kind of thing has its own four calls.

const toUser = (name: string) => ({ kind: 'user' as const, name });

type OnModel = Services & { input: { name: string; username: string } };

// Of a prompt they ask as of a model.
async function modelOf({ db, scope, input }: OnModel): Promise<Granted> {
  const isPrompt = (await findModelType(db, scope, input.name)) === 'prompt';
  return { scope, types: isPrompt ? ['prompt', 'registered_model'] : ['registered_model', 'prompt'], pattern: input.name };
}

const canGrantOnModel = canGrant<OnModel>(async (context) => {
  const { scope, types, pattern } = await modelOf(context);
  return { scope, type: types[0] ?? '', pattern };
});

const modelPermissionText = ({ scope, input }: OnModel) =>
  `Registered model permission with workspace=${scope.name}, name=${input.name} and username=${input.username}`;
const noModelPermission = (context: OnModel) => doesNotExist(`${modelPermissionText(context)} not found`);

const ModelPermission = z.object({ workspace: z.string(), name: z.string(), user_id: z.number(), permission: z.string() });
const oneModelPermission = z.object({ registered_model_permission: ModelPermission });

const onModel = { name: requiredText, username };

const createOnModel = endpoint({
  op: 'model_permission.create',
  summary: 'Grant a user a level on a registered model (MLflow 2.5 to 3.10)',
  method: 'POST',
  path: '/mlflow/registered-models/permissions/create',
  effect: 'write',
  model: 'name',
  input: z.object({ ...onModel, permission: olderPermission }),
  output: oneModelPermission,
  permission: canGrantOnModel,
  async handler(context) {
    const { db, scope, input } = context;
    const user = await getUser(db, input.username);
    if (!(await addGrant(db, await modelOf(context), toUser(input.username), fromOlder(input.permission))))
      throw alreadyExists(`${modelPermissionText(context)} already exists.`);
    return {
      registered_model_permission: { workspace: scope.name, name: input.name, user_id: user.id, permission: input.permission },
    };
  },
});

const getOnModel = endpoint({
  op: 'model_permission.get',
  summary: 'Get what a user was granted by name on a registered model (MLflow 2.5 to 3.10)',
  method: 'GET',
  path: '/mlflow/registered-models/permissions/get',
  effect: 'read',
  model: 'name',
  input: z.object(onModel),
  output: oneModelPermission,
  permission: canGrantOnModel,
  async handler(context) {
    const { db, scope, input } = context;
    const user = await getUser(db, input.username);
    const permission = await findGrant(db, await modelOf(context), toUser(input.username));
    if (permission === null) throw noModelPermission(context);
    return {
      registered_model_permission: { workspace: scope.name, name: input.name, user_id: user.id, permission: toOlder(permission) },
    };
  },
});

const updateOnModel = endpoint({
  op: 'model_permission.update',
  summary: 'Change what a user was granted by name on a registered model (MLflow 2.5 to 3.10)',
  method: 'PATCH',
  path: '/mlflow/registered-models/permissions/update',
  effect: 'write',
  model: 'name',
  input: z.object({ ...onModel, permission: olderPermission }),
  output: z.object({}),
  permission: canGrantOnModel,
  async handler(context) {
    const { db, input } = context;
    await getUser(db, input.username);
    if (!(await changeGrant(db, await modelOf(context), toUser(input.username), fromOlder(input.permission))))
      throw noModelPermission(context);
    return {};
  },
});

const removeOnModel = endpoint({
  op: 'model_permission.delete',
  summary: 'Take back what a user was granted by name on a registered model (MLflow 2.5 to 3.10)',
  method: 'DELETE',
  path: '/mlflow/registered-models/permissions/delete',
  effect: 'write',
  model: 'name',
  input: z.object(onModel),
  output: z.object({}),
  permission: canGrantOnModel,
  async handler(context) {
    const { db, input } = context;
    await getUser(db, input.username);
    if (!(await removeGrant(db, await modelOf(context), toUser(input.username)))) throw noModelPermission(context);
    return {};
  },
});

type OnExperiment = Services & { input: { experiment_id: number; username: string } };

const experimentOf = ({ scope, input }: OnExperiment): Granted => ({ scope, types: ['experiment'], pattern: String(input.experiment_id) });

const canGrantOnExperiment = canGrant<OnExperiment>((context) => ({ ...experimentOf(context), type: 'experiment' }));

const noExperimentPermission = ({ input }: OnExperiment) =>
  doesNotExist(`Experiment permission with experiment_id=${input.experiment_id} and username=${input.username} not found`);

const ExperimentPermission = z.object({ experiment_id: z.string(), user_id: z.number(), permission: z.string() });
const oneExperimentPermission = z.object({ experiment_permission: ExperimentPermission });

const onExperiment = { experiment_id: idParam('experiment_id'), username };

const createOnExperiment = endpoint({
  op: 'experiment_permission.create',
  summary: 'Grant a user a level on an experiment (MLflow 2.5 to 3.10)',
  method: 'POST',
  path: '/mlflow/experiments/permissions/create',
  effect: 'write',
  input: z.object({ ...onExperiment, permission: olderPermission }),
  output: oneExperimentPermission,
  permission: canGrantOnExperiment,
  async handler(context) {
    const { db, input } = context;
    const user = await getUser(db, input.username);
    if (!(await addGrant(db, experimentOf(context), toUser(input.username), fromOlder(input.permission))))
      throw alreadyExists(`Experiment permission (experiment_id=${input.experiment_id}, username=${input.username}) already exists.`);
    return { experiment_permission: { experiment_id: String(input.experiment_id), user_id: user.id, permission: input.permission } };
  },
});

const getOnExperiment = endpoint({
  op: 'experiment_permission.get',
  summary: 'Get what a user was granted by name on an experiment (MLflow 2.5 to 3.10)',
  method: 'GET',
  path: '/mlflow/experiments/permissions/get',
  effect: 'read',
  input: z.object(onExperiment),
  output: oneExperimentPermission,
  permission: canGrantOnExperiment,
  async handler(context) {
    const { db, input } = context;
    const user = await getUser(db, input.username);
    const permission = await findGrant(db, experimentOf(context), toUser(input.username));
    if (permission === null) throw noExperimentPermission(context);
    return { experiment_permission: { experiment_id: String(input.experiment_id), user_id: user.id, permission: toOlder(permission) } };
  },
});

const updateOnExperiment = endpoint({
  op: 'experiment_permission.update',
  summary: 'Change what a user was granted by name on an experiment (MLflow 2.5 to 3.10)',
  method: 'PATCH',
  path: '/mlflow/experiments/permissions/update',
  effect: 'write',
  input: z.object({ ...onExperiment, permission: olderPermission }),
  output: z.object({}),
  permission: canGrantOnExperiment,
  async handler(context) {
    const { db, input } = context;
    await getUser(db, input.username);
    if (!(await changeGrant(db, experimentOf(context), toUser(input.username), fromOlder(input.permission))))
      throw noExperimentPermission(context);
    return {};
  },
});

const removeOnExperiment = endpoint({
  op: 'experiment_permission.delete',
  summary: 'Take back what a user was granted by name on an experiment (MLflow 2.5 to 3.10)',
  method: 'DELETE',
  path: '/mlflow/experiments/permissions/delete',
  effect: 'write',
  input: z.object(onExperiment),
  output: z.object({}),
  permission: canGrantOnExperiment,
  async handler(context) {
    const { db, input } = context;
    await getUser(db, input.username);
    if (!(await removeGrant(db, experimentOf(context), toUser(input.username)))) throw noExperimentPermission(context);
    return {};
  },
});

type OnScope = Services & { input: { workspace_name: string } };

const scopeOf = (context: OnScope): Promise<NamedScope> => getScopeNamed(context, context.input.workspace_name, null);

const WorkspacePermission = z.object({ workspace: z.string(), user_id: z.number(), permission: z.string(), can_use: z.boolean() });

const toWorkspacePermission = (row: { workspace: string; user_id: number; permission: string }) => ({
  ...row,
  can_use: ['USE', 'EDIT', 'MANAGE'].includes(row.permission),
});

const ofScope = { apiVersion: '3.0', scoped: false, path: '/mlflow/workspaces/:workspace_name/permissions' } as const;
const onScope = { workspace_name: z.string() };

const listOnScope = endpoint({
  ...ofScope,
  op: 'workspace_permission.list',
  summary: 'List what users were granted by name on a workspace or registry as a whole (MLflow 3.10)',
  method: 'GET',
  effect: 'read',
  input: z.object(onScope),
  output: z.object({ permissions: z.array(WorkspacePermission) }),
  permission: canInNamedScope('MANAGE', scopeOf),
  async handler(context) {
    const { id: scope } = await scopeOf(context);
    return { permissions: (await listGrantsOnScopes(context.db, { scope, user: null })).map(toWorkspacePermission) };
  },
});

const setOnScope = endpoint({
  ...ofScope,
  op: 'workspace_permission.set',
  summary: 'Grant a user a level on a workspace or registry as a whole (MLflow 3.10)',
  method: 'POST',
  effect: 'write',
  input: z.object({ ...onScope, username, permission: olderPermission }),
  output: z.object({ permission: WorkspacePermission }),
  permission: canInNamedScope('MANAGE', scopeOf),
  async handler(context) {
    const { db, input } = context;
    const [scope, user] = [await scopeOf(context), await getUser(db, input.username)];
    await setGrant(db, { scope, types: [scope.kind], pattern: '*' }, toUser(input.username), input.permission);
    return { permission: toWorkspacePermission({ workspace: scope.name, user_id: user.id, permission: input.permission }) };
  },
});

/** Reads the user from the query, unlike other DELETEs, and answers without a body. */
const removeOnScope = streamEndpoint({
  ...ofScope,
  op: 'workspace_permission.delete',
  summary: 'Take back what a user was granted by name on a workspace or registry as a whole (MLflow 3.10)',
  method: 'DELETE',
  effect: 'write',
  input: z.object({ ...onScope, username }),
  permission: canInNamedScope('MANAGE', scopeOf),
  async handler(context) {
    const { db, input, res } = context;
    const scope = await scopeOf(context);
    await getUser(db, input.username);
    if (!(await removeGrant(db, { scope, types: ['workspace', 'registry'], pattern: '*' }, toUser(input.username))))
      throw doesNotExist(`Workspace permission does not exist for workspace='${scope.name}', username='${input.username}'`);
    res.writeHead(204).end();
  },
});

const listOfUser = endpoint({
  op: 'workspace_permission.list_of_user',
  summary: 'List the workspaces and registries that a user was granted by name as a whole (MLflow 3.10)',
  method: 'GET',
  apiVersion: '3.0',
  path: '/mlflow/workspace-permissions',
  effect: 'read',
  scoped: false,
  input: z.object({ username }),
  output: z.object({ permissions: z.array(WorkspacePermission) }),
  permission: selfOrAdmin,
  async handler({ db, input }) {
    const { id: user } = await getUser(db, input.username);
    return { permissions: (await listGrantsOnScopes(db, { scope: null, user })).map(toWorkspacePermission) };
  },
});

export const olderGrantEndpoints = [
  createOnModel,
  getOnModel,
  updateOnModel,
  removeOnModel,
  createOnExperiment,
  getOnExperiment,
  updateOnExperiment,
  removeOnExperiment,
  listOnScope,
  setOnScope,
  removeOnScope,
  listOfUser,
];
