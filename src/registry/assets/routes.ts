import { z } from 'zod';
import { endpoint, type Services } from '../../endpoint.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy, int64 } from '../../platform/fields.ts';
import { checkKey } from '../../platform/names.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import type { Scope } from '../../scopes/entity.ts';
import { SCOPE_PATHS, scopeInPath, scopeOfPath } from '../asset-scope.ts';
import { checkTagValue, runLink, sourceUri, versionNumber } from '../model-versions/entity.ts';
import { getModelVersion, transitionStage } from '../model-versions/store.ts';
import { canMakeVersionInPath, canOnModelInPath, canOnVersionInPath } from '../permissions.ts';
import { description, modelName, newModelName } from '../registered-models/entity.ts';
import { searchRegisteredModels } from '../registered-models/search.ts';
import { getRegisteredModel } from '../registered-models/store.ts';
import { createVersion } from './create-version.ts';
import { ModelAsset, toModelAsset, toVersionAsset, VersionAsset } from './entity.ts';
import { listVersions } from './store.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;
const MAX_VERSION = 999_999_999;
const MAX_RUN_ID_LENGTH = 32;

const page = { max_results: searchLimit(MAX_RESULTS).default(DEFAULT_RESULTS) };
const modelInPath = { ...scopeInPath, name: modelName };
const versionInPath = { ...modelInPath, version: versionNumber };

const newVersion = {
  source: sourceUri,
  run_id: z.string().max(MAX_RUN_ID_LENGTH).optional(),
  model_id: z.string().optional(),
  run_link: runLink.default(''),
  description: description.default(''),
  tags: z
    .record(z.string(), z.string())
    .default({})
    .transform((tags) => Object.entries(tags).map(([key, value]) => ({ key, value })))
    .pipe(z.array(z.object({ key: checkedBy((key) => checkKey('key', key)), value: z.string() }).check(checkTagValue))),
};
const newModelInPath = { ...scopeInPath, name: newModelName('name') };

const there = (services: Services, scope: Scope): Services => ({
  ...services,
  scope,
  address: { ...services.address, scope, byPath: true },
});

const assetEndpointsBelow = (scopePath: (typeof SCOPE_PATHS)[number]) => [
  endpoint({
    op: 'model.list',
    summary: 'List the models of a workspace or registry, by name',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models`,
    effect: 'read',
    input: z.object({ ...scopeInPath, ...page, page_token: z.string().optional() }),
    output: z.object({ models: z.array(ModelAsset), next_page_token: z.string().optional() }),
    permission: 'authenticated',
    async handler({ input: { max_results, page_token, ...path }, ...services }) {
      const scope = await scopeOfPath(services, path);
      const { rows, nextPageToken } = await searchRegisteredModels(there(services, scope), { max_results, page_token, order_by: [] });
      return { models: rows.map((row) => toModelAsset(scope, row)), ...(nextPageToken && { next_page_token: nextPageToken }) };
    },
  }),
  endpoint({
    op: 'model.get',
    summary: 'Get a model with its tags and aliases',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name`,
    effect: 'read',
    input: z.object(modelInPath),
    output: ModelAsset,
    permission: canOnModelInPath('READ'),
    async handler({ input: { name, ...path }, ...services }) {
      const scope = await scopeOfPath(services, path);
      return toModelAsset(scope, await getRegisteredModel(services.db, { scope: scope.id, name }));
    },
  }),
  endpoint({
    op: 'model.list_versions',
    summary: 'List the versions of a model, highest number first',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions`,
    effect: 'read',
    input: z.object({ ...modelInPath, ...page, page_token: int64.optional() }),
    output: z.object({ versions: z.array(VersionAsset), next_page_token: z.string().optional() }),
    permission: canOnVersionInPath('READ'),
    async handler({ input: { name, max_results, page_token, ...path }, ...services }) {
      const scope = await scopeOfPath(services, path);
      const key = { scope: scope.id, name };
      const rows = await listVersions(services.db, key, page_token ?? null, max_results + 1);
      if (rows.length === 0) await getRegisteredModel(services.db, key);
      const versions = rows.slice(0, max_results);
      return {
        versions: versions.map((row) => toVersionAsset(scope, row)),
        ...(rows.length > versions.length && { next_page_token: String(versions.at(-1)?.version) }),
      };
    },
  }),
  endpoint({
    op: 'model.create_next_version',
    summary: 'Add the next version of a model; the model is made when there is none of that name',
    method: 'POST',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions`,
    effect: 'write',
    status: 201,
    input: z.object({ ...newModelInPath, ...newVersion }),
    output: VersionAsset,
    permission: canMakeVersionInPath,
    async handler({ input: { name, workspace, registry, ...request }, ...services }) {
      const scope = await scopeOfPath(services, { workspace, registry });
      return toVersionAsset(scope, await createVersion(services, scope, name, request, null));
    },
  }),
  endpoint({
    op: 'model.get_version',
    summary: 'Get a version of a model',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version`,
    effect: 'read',
    input: z.object(versionInPath),
    output: VersionAsset,
    permission: canOnVersionInPath('READ'),
    async handler({ input: { name, version, ...path }, ...services }) {
      const scope = await scopeOfPath(services, path);
      return toVersionAsset(scope, await getModelVersion(services.db, { scope: scope.id, name, version }));
    },
  }),
  endpoint({
    op: 'model.create_version',
    summary: 'Add the version of this very number, which must be new; the model is made when there is none of that name',
    method: 'PUT',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version`,
    effect: 'write',
    status: 201,
    input: z.object({ ...newModelInPath, version: versionNumber, ...newVersion }),
    output: VersionAsset,
    permission: canMakeVersionInPath,
    async handler({ input: { name, version, workspace, registry, ...request }, ...services }) {
      if (version < 1 || version > MAX_VERSION) throw invalidParameter(`The version must be a whole number from 1 to ${MAX_VERSION}.`);
      const scope = await scopeOfPath(services, { workspace, registry });
      return toVersionAsset(scope, await createVersion(services, scope, name, request, version));
    },
  }),
  endpoint({
    op: 'model.archive_version',
    summary: "Archive a version: lists leave it out, it stays where it is. It is MLflow's stage Archived",
    method: 'POST',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version\\:archive`,
    effect: 'write',
    input: z.object(versionInPath),
    output: VersionAsset,
    permission: canOnVersionInPath('EDIT'),
    async handler({ input: { name, version, ...path }, ...services }) {
      const scope = await scopeOfPath(services, path);
      return toVersionAsset(scope, await transitionStage(services.db, { scope: scope.id, name, version }, 'Archived', false));
    },
  }),
  endpoint({
    op: 'model.restore_version',
    summary: 'Undo archiving: the stage is None then, whatever it was before. A version that is not archived stays as it is',
    method: 'POST',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version\\:restore`,
    effect: 'write',
    input: z.object(versionInPath),
    output: VersionAsset,
    permission: canOnVersionInPath('EDIT'),
    async handler({ input: { name, version, ...path }, ...services }) {
      const scope = await scopeOfPath(services, path);
      const key = { scope: scope.id, name, version };
      const row = await getModelVersion(services.db, key);
      return toVersionAsset(scope, row.current_stage === 'Archived' ? await transitionStage(services.db, key, 'None', false) : row);
    },
  }),
];

/** Models and versions as assets of the extension API, below /workspaces/{workspace} and /registries/{registry} alike. */
export const assetEndpoints = SCOPE_PATHS.flatMap(assetEndpointsBelow);
