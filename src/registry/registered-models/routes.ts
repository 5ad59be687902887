import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { knownTagKey, tagKey } from '../../platform/names.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import { inWords, refuseModelAsStage } from '../address-model.ts';
import { aliasState, madeState, modelState, tagState } from '../audited-states.ts';
import { canonicalStage, ModelVersion, STAGES, toModelVersion, versionNumber } from '../model-versions/entity.ts';
import { getModelVersionByAlias, setAlias } from '../model-versions/store.ts';
import { forgetMounts } from '../mounts/store.ts';
import { canCreateModel, canOnModel, canOnVersion } from '../permissions.ts';
import { changeOfModel } from '../webhooks/announce.ts';
import { modelCreated } from '../webhooks/creation-data.ts';
import {
  addressedNewModelName,
  aliasName,
  description,
  modelName,
  newAliasName,
  newModelName,
  RegisteredModel,
  registeredModelTags,
  registeredModelTagValue,
  toRegisteredModel,
} from './entity.ts';
import { renameModel } from './rename-model.ts';
import { searchRegisteredModels } from './search.ts';
import {
  deleteAlias,
  deleteRegisteredModel,
  deleteRegisteredModelTag,
  getLatestVersions,
  getRegisteredModel,
  insertRegisteredModel,
  setRegisteredModelTag,
  updateRegisteredModel,
} from './store.ts';

const Nothing = z.object({});
const MAX_SEARCH_RESULTS = 1000;

const createRegisteredModel = endpoint({
  op: 'registered_model.create',
  summary: 'Make a registered model',
  method: 'POST',
  path: '/mlflow/registered-models/create',
  effect: 'write',
  model: 'name',
  input: z.object({ name: addressedNewModelName, tags: registeredModelTags, description: description.default('') }),
  output: z.object({ registered_model: RegisteredModel }),
  permission: canCreateModel,
  state: madeState,
  makes: ({ scope, input }) => ({ scope, type: 'registered_model', id: input.name }),
  webhookEvents: { names: ['registered_model.created', 'prompt.created'], of: ({ input }) => modelCreated(input) },
  async handler({ db, scope, input }) {
    const row = await insertRegisteredModel(db, { scope: scope.id, name: input.name }, input);
    return { registered_model: toRegisteredModel(row) };
  },
});

const getModel = endpoint({
  op: 'registered_model.get',
  summary: 'Get a registered model with its tags, aliases and the newest version of each stage',
  method: 'GET',
  path: '/mlflow/registered-models/get',
  effect: 'read',
  model: 'name',
  input: z.object({ name: modelName }),
  output: z.object({ registered_model: RegisteredModel }),
  permission: canOnModel('READ'),
  async handler({ db, scope, input }) {
    return { registered_model: toRegisteredModel(await getRegisteredModel(db, { scope: scope.id, name: input.name })) };
  },
});

const updateModel = endpoint({
  op: 'registered_model.update',
  summary: "Set a registered model's description; leaving it out clears it",
  method: 'PATCH',
  path: '/mlflow/registered-models/update',
  effect: 'write',
  model: 'name',
  input: z.object({ name: modelName, description: description.default('') }),
  output: z.object({ registered_model: RegisteredModel }),
  permission: canOnModel('EDIT'),
  state: modelState,
  async handler({ db, scope, input }) {
    return {
      registered_model: toRegisteredModel(await updateRegisteredModel(db, { scope: scope.id, name: input.name }, input.description)),
    };
  },
});

const rename = endpoint({
  op: 'registered_model.rename',
  summary: 'Rename a registered model',
  method: 'POST',
  path: '/mlflow/registered-models/rename',
  effect: 'write',
  model: 'name',
  input: z.object({ name: modelName, new_name: newModelName('new_name') }),
  output: z.object({ registered_model: RegisteredModel }),
  permission: canOnModel('EDIT'),
  state: modelState,
  async handler({ input, ...services }) {
    const row = await renameModel(services, input.name, input.new_name);
    await services.onceKept(forgetMounts);
    return { registered_model: toRegisteredModel(row) };
  },
});

const deleteModel = endpoint({
  op: 'registered_model.delete',
  summary: 'Delete a registered model with all its versions',
  method: 'DELETE',
  path: '/mlflow/registered-models/delete',
  effect: 'write',
  model: 'name',
  input: z.object({ name: modelName }),
  output: Nothing,
  permission: canOnModel('MANAGE'),
  state: modelState,
  async handler({ db, scope, input }) {
    await deleteRegisteredModel(db, { scope: scope.id, name: input.name });
    forgetMounts(db);
    return {};
  },
});

const searchInput = z.object({
  filter: z.string().optional(),
  max_results: searchLimit(MAX_SEARCH_RESULTS).default(100),
  order_by: z.array(z.string()).default([]),
  page_token: z.string().optional(),
});
const searchOutput = z.object({ registered_models: z.array(RegisteredModel).optional(), next_page_token: z.string().optional() });

/** R's client posts its searches, and 1.x clients list (docs/differences.md); the answer is the same. */
const searchModels = (['GET /search', 'POST /search', 'GET /list'] as const).map((route) => {
  const [method, path] = route.split(' ') as ['GET' | 'POST', string];
  return endpoint({
    op: `registered_model.${path.slice(1)}`,
    summary: 'Find registered models by name and tags',
    method,
    path: `/mlflow/registered-models${path}`,
    effect: 'read',
    input: searchInput,
    output: searchOutput,
    permission: 'authenticated',
    async handler({ input, ...services }) {
      const { rows, nextPageToken, words } = await searchRegisteredModels(services, input);
      const found = {
        ...(rows.length > 0 && { registered_models: rows.map(toRegisteredModel) }),
        ...(nextPageToken && { next_page_token: nextPageToken }),
      };
      return words ? inWords(found, words) : found;
    },
  });
});

const getLatest = (['POST', 'GET'] as const).map((method) =>
  endpoint({
    op: 'registered_model.get_latest_versions',
    summary: 'Get the newest version of each stage',
    method,
    path: '/mlflow/registered-models/get-latest-versions',
    effect: 'read',
    model: 'name',
    input: z.object({ name: modelName, stages: z.array(z.string()).default([]) }),
    output: z.object({ model_versions: z.array(ModelVersion).optional() }),
    permission: canOnVersion('READ'),
    async handler({ input, ...services }) {
      const { db, scope, consumers } = services;
      await refuseModelAsStage({ db }, input.name, input.stages);
      const stages = input.stages.length > 0 ? input.stages.map(canonicalStage) : STAGES;
      const rows = await getLatestVersions(db, { scope: scope.id, name: input.name }, stages);
      for (const row of rows) consumers.resolved(services, row);
      return rows.length > 0 ? { model_versions: rows.map(toModelVersion) } : {};
    },
  }),
);

const setTag = endpoint({
  op: 'registered_model.set_tag',
  summary: 'Set a tag of a registered model',
  method: 'POST',
  path: '/mlflow/registered-models/set-tag',
  effect: 'write',
  model: 'name',
  input: z.object({ name: modelName, key: tagKey, value: registeredModelTagValue.default('') }),
  output: Nothing,
  permission: canOnModel('EDIT'),
  state: tagState,
  webhookEvents: changeOfModel(null, 'prompt_tag.set', ['name', 'key', 'value']),
  async handler({ db, scope, input }) {
    await setRegisteredModelTag(db, { scope: scope.id, name: input.name }, { key: input.key, value: input.value });
    return {};
  },
});

const deleteTag = endpoint({
  op: 'registered_model.delete_tag',
  summary: 'Delete a tag of a registered model',
  method: 'DELETE',
  path: '/mlflow/registered-models/delete-tag',
  effect: 'write',
  model: 'name',
  input: z.object({ name: modelName, key: knownTagKey }),
  output: Nothing,
  permission: canOnModel('EDIT'),
  state: tagState,
  webhookEvents: changeOfModel(null, 'prompt_tag.deleted', ['name', 'key']),
  async handler({ db, scope, input }) {
    await deleteRegisteredModelTag(db, { scope: scope.id, name: input.name }, input.key);
    return {};
  },
});

const setModelAlias = endpoint({
  op: 'registered_model.set_alias',
  summary: 'Point an alias at a version',
  method: 'POST',
  path: '/mlflow/registered-models/alias',
  effect: 'write',
  model: 'name',
  input: z.object({ name: modelName, alias: newAliasName, version: versionNumber }),
  output: Nothing,
  permission: canOnVersion('EDIT'),
  state: aliasState,
  webhookEvents: changeOfModel('model_version_alias.created', 'prompt_alias.created', ['name', 'alias', 'version']),
  async handler({ db, scope, input }) {
    await setAlias(db, { scope: scope.id, name: input.name, version: input.version }, input.alias);
    return {};
  },
});

const deleteModelAlias = endpoint({
  op: 'registered_model.delete_alias',
  summary: 'Delete an alias',
  method: 'DELETE',
  path: '/mlflow/registered-models/alias',
  effect: 'write',
  model: 'name',
  input: z.object({ name: modelName, alias: aliasName }),
  output: Nothing,
  permission: canOnVersion('EDIT'),
  state: aliasState,
  webhookEvents: changeOfModel('model_version_alias.deleted', 'prompt_alias.deleted', ['name', 'alias']),
  async handler({ db, scope, input }) {
    await deleteAlias(db, { scope: scope.id, name: input.name }, input.alias);
    return {};
  },
});

const getByAlias = endpoint({
  op: 'registered_model.get_version_by_alias',
  summary: 'Get the version an alias points to',
  method: 'GET',
  path: '/mlflow/registered-models/alias',
  effect: 'read',
  audited: 'shared',
  model: 'name',
  input: z.object({ name: modelName, alias: aliasName }),
  output: z.object({ model_version: ModelVersion }),
  permission: canOnVersion('READ'),
  async handler({ input, ...services }) {
    const row = await getModelVersionByAlias(services.db, { scope: services.scope.id, name: input.name }, input.alias);
    services.consumers.resolved(services, row, input.alias);
    return { model_version: toModelVersion(row) };
  },
});

export const registeredModelEndpoints = [
  createRegisteredModel,
  getModel,
  updateModel,
  rename,
  deleteModel,
  ...searchModels,
  ...getLatest,
  setTag,
  deleteTag,
  setModelAlias,
  deleteModelAlias,
  getByAlias,
];
