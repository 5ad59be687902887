import { z } from 'zod';
import { joinPath, ownPathOf, parseArtifactPath } from '../../artifacts/artifact-path.ts';
import { FileInfo } from '../../artifacts/entity.ts';
import { sendArtifact } from '../../artifacts/send-artifact.ts';
import { listArtifactsBelow } from '../../artifacts/store.ts';
import { endpoint, streamEndpoint } from '../../endpoint.ts';
import { badRequest, MlflowError } from '../../platform/errors.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import { experimentId, experimentIds } from '../experiments/entity.ts';
import { canInExperiment, canOnLoggedModel, readable } from '../permissions.ts';
import { generateRunName } from '../runs/run-name.ts';
import {
  distinctKeyValues,
  keyValues,
  LoggedModel,
  loggedModelStatus,
  modelType,
  newLoggedModelName,
  sourceRunId,
  toLoggedModel,
} from './entity.ts';
import { searchLoggedModels } from './search.ts';
import {
  deleteLoggedModel,
  deleteLoggedModelTag,
  findPromotedLoggedModel,
  getLoggedModel,
  getLoggedModelLocation,
  insertLoggedModel,
  insertLoggedModelParams,
  setLoggedModelStatus,
  setLoggedModelTags,
} from './store.ts';

const BODY_LIMIT = 8 * 1024 * 1024;
const MAX_SEARCH_RESULTS = 50_000;
const MAX_ORDER_BY = 50;
// The proto's own default (mlflow/protos/service.proto, SearchLoggedModels).
const DEFAULT_SEARCH_RESULTS = 50;

const Nothing = z.object({});
const oneModel = z.object({ model: LoggedModel });
/** Of the path: the one that a body repeats is not looked at. */
const modelIdField = { model_id: z.string() };

const create = endpoint({
  op: 'logged_model.create',
  summary: 'Make a logged model that waits for its files',
  method: 'POST',
  path: '/mlflow/logged-models',
  effect: 'write',
  bodyLimit: BODY_LIMIT,
  input: z.object({
    experiment_id: experimentId,
    name: newLoggedModelName,
    model_type: modelType,
    source_run_id: sourceRunId,
    params: distinctKeyValues('parameter'),
    tags: distinctKeyValues('tag'),
  }),
  output: oneModel,
  permission: canInExperiment('EDIT', 'logged_model'),
  async handler({ db, scope, input }) {
    const row = await insertLoggedModel(
      db,
      { scope: scope.id, experimentId: input.experiment_id },
      {
        name: input.name || generateRunName(),
        modelType: input.model_type,
        sourceRunId: input.source_run_id,
        params: input.params,
        tags: input.tags,
      },
    );
    return { model: toLoggedModel(row) };
  },
});

const get = endpoint({
  op: 'logged_model.get',
  summary: 'Get a logged model with its tags, params and metrics',
  method: 'GET',
  path: '/mlflow/logged-models/:model_id',
  effect: 'read',
  input: z.object({ ...modelIdField, allow_deleted: z.boolean().default(false) }),
  output: oneModel,
  permission: canOnLoggedModel('READ'),
  async handler({ db, scope, caller, input }) {
    try {
      return { model: toLoggedModel(await getLoggedModel(db, { scope: scope.id, modelId: input.model_id }, input.allow_deleted)) };
    } catch (error) {
      const promoted = error instanceof MlflowError ? await findPromotedLoggedModel(db, caller, input.model_id) : null;
      if (!promoted) throw error;
      return { model: promoted };
    }
  },
});

const finalize = endpoint({
  op: 'logged_model.finalize',
  summary: "Set a logged model's status",
  method: 'PATCH',
  path: '/mlflow/logged-models/:model_id',
  effect: 'write',
  input: z.object({ ...modelIdField, status: loggedModelStatus }),
  output: oneModel,
  permission: canOnLoggedModel('EDIT'),
  async handler({ db, scope, input }) {
    return { model: toLoggedModel(await setLoggedModelStatus(db, { scope: scope.id, modelId: input.model_id }, input.status)) };
  },
});

const deleteOne = endpoint({
  op: 'logged_model.delete',
  summary: 'Mark a logged model as deleted',
  method: 'DELETE',
  path: '/mlflow/logged-models/:model_id',
  effect: 'write',
  input: z.object(modelIdField),
  output: Nothing,
  permission: canOnLoggedModel('MANAGE'),
  async handler({ db, scope, input }) {
    await deleteLoggedModel(db, { scope: scope.id, modelId: input.model_id });
    return {};
  },
});

const logParams = endpoint({
  op: 'logged_model.log_params',
  summary: 'Add params to a logged model',
  method: 'POST',
  path: '/mlflow/logged-models/:model_id/params',
  effect: 'write',
  bodyLimit: BODY_LIMIT,
  input: z.object({ ...modelIdField, params: distinctKeyValues('parameter') }),
  output: Nothing,
  permission: canOnLoggedModel('EDIT'),
  async handler({ db, scope, input }) {
    await insertLoggedModelParams(db, { scope: scope.id, modelId: input.model_id }, input.params);
    return {};
  },
});

const setTags = endpoint({
  op: 'logged_model.set_tags',
  summary: 'Set tags of a logged model',
  method: 'PATCH',
  path: '/mlflow/logged-models/:model_id/tags',
  effect: 'write',
  bodyLimit: BODY_LIMIT,
  input: z.object({ ...modelIdField, tags: keyValues.default([]) }),
  output: Nothing,
  permission: canOnLoggedModel('EDIT'),
  async handler({ db, scope, input }) {
    await setLoggedModelTags(db, { scope: scope.id, modelId: input.model_id }, input.tags);
    return {};
  },
});

const deleteTag = endpoint({
  op: 'logged_model.delete_tag',
  summary: 'Delete a tag of a logged model',
  method: 'DELETE',
  path: '/mlflow/logged-models/:model_id/tags/*tag_key',
  effect: 'write',
  input: z.object({ ...modelIdField, tag_key: z.string() }),
  output: Nothing,
  permission: canOnLoggedModel('EDIT'),
  async handler({ db, scope, input }) {
    await deleteLoggedModelTag(db, { scope: scope.id, modelId: input.model_id }, input.tag_key);
    return {};
  },
});

const datasetFields = { dataset_name: z.string().default(''), dataset_digest: z.string().default('') };

const search = endpoint({
  op: 'logged_model.search',
  summary: 'Find logged models of experiments by attributes, metrics, params and tags',
  method: 'POST',
  path: '/mlflow/logged-models/search',
  effect: 'read',
  input: z.object({
    experiment_ids: experimentIds.unwrap(),
    filter: z.string().optional(),
    datasets: z
      .array(z.object(datasetFields))
      .refine((datasets) => datasets.every(({ dataset_name }) => dataset_name !== ''), {
        message: '`dataset_name` in the `datasets` clause must be specified.',
      })
      .default([]),
    max_results: searchLimit(MAX_SEARCH_RESULTS).default(DEFAULT_SEARCH_RESULTS),
    order_by: z
      .array(z.object({ field_name: z.string().default(''), ascending: z.boolean().default(true), ...datasetFields }))
      .refine((entries) => entries.length <= MAX_ORDER_BY, { message: `\`order_by\` can contain at most ${MAX_ORDER_BY} entries.` })
      .default([]),
    page_token: z.string().optional(),
  }),
  output: z.object({ models: z.array(LoggedModel).optional(), next_page_token: z.string().optional() }),
  permission: 'authenticated',
  async handler({ input, ...services }) {
    const experiments = readable(services, 'logged_model', input.experiment_ids);
    const { rows, nextPageToken } = await searchLoggedModels(services.db, services.scope.id, { ...input, experiment_ids: experiments });
    return {
      ...(rows.length > 0 && { models: rows.map(toLoggedModel) }),
      ...(nextPageToken && { next_page_token: nextPageToken }),
    };
  },
});

const listFiles = endpoint({
  op: 'logged_model.list_artifacts',
  summary: "List a folder of a logged model's artifacts",
  method: 'GET',
  path: '/mlflow/logged-models/:model_id/artifacts/directories',
  effect: 'read',
  input: z.object({ ...modelIdField, artifact_directory_path: z.string().default(''), page_token: z.string().optional() }),
  output: z.object({ root_uri: z.string(), files: z.array(FileInfo).optional() }),
  permission: canOnLoggedModel('READ'),
  async handler({ db, scope, input }) {
    const folder = parseArtifactPath(input.artifact_directory_path);
    const { artifact_uri: root } = await getLoggedModelLocation(db, { scope: scope.id, modelId: input.model_id });
    const files = await listArtifactsBelow(db, scope.id, ownPathOf(root), folder);
    return { root_uri: root, ...(files.length > 0 && { files }) };
  },
});

const getFile = streamEndpoint({
  op: 'logged_model.get_artifact',
  summary: 'Get a file of a logged model, as the browser UI asks for it',
  method: 'GET',
  path: '/ajax-api/2.0/mlflow/logged-models/:model_id/artifacts/files',
  apiVersion: 'none',
  effect: 'read',
  input: z.object({ ...modelIdField, artifact_file_path: z.string().default('') }),
  permission: canOnLoggedModel('READ'),
  async handler({ input, req, res, log, ...services }) {
    if (!input.artifact_file_path) throw badRequest('Request must include the "artifact_file_path" query parameter.');
    const path = parseArtifactPath(input.artifact_file_path);
    const { artifact_uri: root } = await getLoggedModelLocation(services.db, { scope: services.scope.id, modelId: input.model_id });
    await sendArtifact(services, joinPath(ownPathOf(root), path), { req, res, log });
  },
});

export const loggedModelEndpoints = [create, search, get, finalize, deleteOne, logParams, setTags, deleteTag, listFiles, getFile];
