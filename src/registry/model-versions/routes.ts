import { z } from 'zod';
import { joinPath, ownPathOf, parseArtifactPath } from '../../artifacts/artifact-path.ts';
import { sendArtifact } from '../../artifacts/send-artifact.ts';
import { nameWorkspace } from '../../artifacts/workspace-path.ts';
import { endpoint, streamEndpoint } from '../../endpoint.ts';
import { invalidParameter, missingValue } from '../../platform/errors.ts';
import { checkedBy, requiredText } from '../../platform/fields.ts';
import { checkKey, checkLength, knownTagKey, tagKey } from '../../platform/names.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import { madeState, tagState, versionState } from '../audited-states.ts';
import { canOnVersion } from '../permissions.ts';
import { orRemoveModel, promote, promotionOf } from '../promotions/promote.ts';
import { refuseReservedTag } from '../promotions/reserved-tags.ts';
import { checkedModelName, description, modelName } from '../registered-models/entity.ts';
import { changeOfModel } from '../webhooks/announce.ts';
import { versionCreated } from '../webhooks/creation-data.ts';
import { createModelVersion } from './create-model-version.ts';
import {
  canonicalStage,
  checkTagValue,
  createdSource,
  integerVersion,
  ModelVersion,
  runLink,
  toModelVersion,
  versionNumber,
} from './entity.ts';
import { searchModelVersions } from './search.ts';
import {
  deleteModelVersion,
  deleteModelVersionTag,
  getDownloadUri,
  getModelVersion,
  setModelVersionTag,
  transitionStage,
  updateModelVersion,
} from './store.ts';

const MAX_SEARCH_RESULTS = 200_000;
const MAX_RUN_ID_LENGTH = 32;
const BODY_LIMIT = 8 * 1024 * 1024;

const Nothing = z.object({});
const versionKey = { name: modelName, version: versionNumber };
const oneVersion = z.object({ model_version: ModelVersion });

const create = endpoint({
  op: 'model_version.create',
  summary: 'Add a version to a registered model and freeze its files',
  method: 'POST',
  path: '/mlflow/model-versions/create',
  effect: 'write',
  model: 'name',
  bodyLimit: BODY_LIMIT,
  input: z.object({
    name: modelName,
    source: createdSource,
    run_id: checkedBy((id) => checkLength('run_id', MAX_RUN_ID_LENGTH, id)).optional(),
    tags: z
      .array(z.object({ key: z.string().default(''), value: z.string().default('') }))
      .default([])
      .pipe(z.array(z.object({ key: checkedBy((key) => checkKey('key', key)), value: z.string() }).check(checkTagValue))),
    run_link: runLink.default(''),
    description: description.default(''),
    model_id: z.string().optional(),
  }),
  output: oneVersion,
  permission: canOnVersion('EDIT'),
  state: madeState,
  webhookEvents: {
    names: ['model_version.created', 'prompt_version.created'],
    of: ({ input, output }) => versionCreated(input, output.model_version),
  },
  async handler({ input, ...services }) {
    const { scope } = services;
    const key = { scope: scope.id, name: input.name };
    const create = async () => {
      if (input.source === '') throw missingValue('source');
      return scope.kind === 'registry'
        ? (await promote(services, scope, key, promotionOf(input))).version
        : createModelVersion(services, key, input);
    };
    return { model_version: toModelVersion(await (scope.kind === 'registry' ? orRemoveModel(services, key, create) : create())) };
  },
});

const get = endpoint({
  op: 'model_version.get',
  summary: 'Get a version with its tags and aliases',
  method: 'GET',
  path: '/mlflow/model-versions/get',
  effect: 'read',
  audited: 'shared',
  model: 'name',
  input: z.object(versionKey),
  output: oneVersion,
  permission: canOnVersion('READ'),
  async handler({ input, ...services }) {
    const row = await getModelVersion(services.db, { scope: services.scope.id, ...input });
    services.consumers.resolved(services, row);
    return { model_version: toModelVersion(row) };
  },
});

const update = endpoint({
  op: 'model_version.update',
  summary: "Set a version's description; leaving it out removes it",
  method: 'PATCH',
  path: '/mlflow/model-versions/update',
  effect: 'write',
  model: 'name',
  input: z.object({ ...versionKey, description: description.optional() }),
  output: oneVersion,
  permission: canOnVersion('EDIT'),
  state: versionState,
  async handler({ db, scope, input }) {
    const row = await updateModelVersion(db, { scope: scope.id, name: input.name, version: input.version }, input.description ?? null);
    return { model_version: toModelVersion(row) };
  },
});

const transition = endpoint({
  op: 'model_version.transition_stage',
  summary: 'Move a version to a stage',
  method: 'POST',
  path: '/mlflow/model-versions/transition-stage',
  effect: 'write',
  model: 'name',
  input: z.object({ ...versionKey, stage: requiredText, archive_existing_versions: z.boolean().default(false) }),
  output: oneVersion,
  permission: canOnVersion('EDIT'),
  state: versionState,
  async handler({ db, scope, input }) {
    const stage = canonicalStage(input.stage);
    if (input.archive_existing_versions && (stage === 'None' || stage === 'Archived')) {
      throw invalidParameter(
        `Model version transition cannot archive existing model versions because '${input.stage}' is not an Active stage. Valid stages are ['Staging', 'Production']`,
      );
    }
    const row = await transitionStage(
      db,
      { scope: scope.id, name: input.name, version: input.version },
      stage,
      input.archive_existing_versions,
    );
    return { model_version: toModelVersion(row) };
  },
});

const deleteVersion = endpoint({
  op: 'model_version.delete',
  summary: 'Delete a version; its number is never given again',
  method: 'DELETE',
  path: '/mlflow/model-versions/delete',
  effect: 'write',
  model: 'name',
  input: z.object(versionKey),
  output: Nothing,
  permission: canOnVersion('MANAGE'),
  state: versionState,
  async handler({ db, scope, input }) {
    await deleteModelVersion(db, { scope: scope.id, ...input });
    return {};
  },
});

const downloadUri = endpoint({
  op: 'model_version.get_download_uri',
  summary: 'Where to download a version from',
  method: 'GET',
  path: '/mlflow/model-versions/get-download-uri',
  effect: 'read',
  audited: 'shared',
  model: 'name',
  // The stock server checks no argument's presence here, so what is missing is an empty text.
  input: z.object({ name: z.string().default('').pipe(checkedModelName), version: z.string().default('').pipe(integerVersion) }),
  output: z.object({ artifact_uri: z.string() }),
  permission: canOnVersion('READ'),
  async handler({ input, ...services }) {
    const { db, scope, address } = services;
    const artifactUri = await getDownloadUri(db, { scope: scope.id, ...input });
    services.consumers.resolved(services, input);
    return { artifact_uri: address.byPath || scope.id !== address.scope.id ? nameWorkspace(scope, artifactUri) : artifactUri };
  },
});

/** R's client posts its searches; the answer is the same. */
const search = (['GET', 'POST'] as const).map((method) =>
  endpoint({
    op: 'model_version.search',
    summary: 'Find versions by model, run, source, number and tags',
    method,
    path: '/mlflow/model-versions/search',
    effect: 'read',
    input: z.object({
      filter: z.string().optional(),
      max_results: searchLimit(MAX_SEARCH_RESULTS).default(MAX_SEARCH_RESULTS),
      order_by: z.array(z.string()).default([]),
      page_token: z.string().optional(),
    }),
    output: z.object({ model_versions: z.array(ModelVersion).optional(), next_page_token: z.string().optional() }),
    permission: 'authenticated',
    async handler({ input, ...services }) {
      const { rows, nextPageToken } = await searchModelVersions(services, input);
      return {
        ...(rows.length > 0 && { model_versions: rows.map(toModelVersion) }),
        ...(nextPageToken && { next_page_token: nextPageToken }),
      };
    },
  }),
);

const setTag = endpoint({
  op: 'model_version.set_tag',
  summary: 'Set a tag of a version',
  method: 'POST',
  path: '/mlflow/model-versions/set-tag',
  effect: 'write',
  model: 'name',
  input: z.object({ ...versionKey, key: tagKey, value: z.string().default('') }).check(checkTagValue),
  output: Nothing,
  permission: canOnVersion('EDIT'),
  state: tagState,
  webhookEvents: changeOfModel('model_version_tag.set', 'prompt_version_tag.set', ['name', 'version', 'key', 'value']),
  async handler({ db, scope, input }) {
    const { key, value, ...version } = input;
    refuseReservedTag(scope, input.key);
    await setModelVersionTag(db, { scope: scope.id, ...version }, { key, value });
    return {};
  },
});

const deleteTag = endpoint({
  op: 'model_version.delete_tag',
  summary: 'Delete a tag of a version',
  method: 'DELETE',
  path: '/mlflow/model-versions/delete-tag',
  effect: 'write',
  model: 'name',
  input: z.object({ ...versionKey, key: knownTagKey }),
  output: Nothing,
  permission: canOnVersion('EDIT'),
  state: tagState,
  webhookEvents: changeOfModel('model_version_tag.deleted', 'prompt_version_tag.deleted', ['name', 'version', 'key']),
  async handler({ db, scope, input }) {
    const { key, ...version } = input;
    refuseReservedTag(scope, input.key);
    await deleteModelVersionTag(db, { scope: scope.id, ...version }, key);
    return {};
  },
});

const getArtifact = (['/model-versions/get-artifact', '/ajax-api/2.0/mlflow/model-versions/get-artifact'] as const).map((path) =>
  streamEndpoint({
    op: 'model_version.get_artifact',
    summary: 'Get a file of a version, as the browser UI asks for it',
    method: 'GET',
    path,
    apiVersion: 'none',
    effect: 'read',
    audited: 'shared',
    model: 'name',
    // As for the download URI: what is missing is an empty text.
    input: z.object({
      name: z.string().default('').pipe(checkedModelName),
      version: z.string().default('').pipe(integerVersion),
      path: requiredText,
    }),
    permission: canOnVersion('READ'),
    async handler({ input, req, res, log, ...services }) {
      const path = parseArtifactPath(input.path);
      const uri = await getDownloadUri(services.db, { scope: services.scope.id, name: input.name, version: input.version });
      await sendArtifact(services, joinPath(ownPathOf(uri), path), { req, res, log });
    },
  }),
);

export const modelVersionEndpoints = [
  create,
  get,
  update,
  transition,
  deleteVersion,
  downloadUri,
  ...search,
  setTag,
  deleteTag,
  ...getArtifact,
];
