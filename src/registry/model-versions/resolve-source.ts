import { joinPath, parseArtifactPath, pathOfUri } from '../../artifacts/artifact-path.ts';
import { listArtifacts } from '../../artifacts/store.ts';
import type { Services } from '../../endpoint.ts';
import type { Db } from '../../platform/db/database.ts';
import { doesNotExist, invalidParameter, type MlflowError } from '../../platform/errors.ts';
import { foundIn } from '../../platform/python-pattern.ts';
import { refuseHostScheme, splitUri } from '../../platform/uri.ts';
import { emptied, type Scope } from '../../scopes/entity.ts';
import { getNamedScope } from '../../scopes/store.ts';
import { findLoggedModel, findLoggedModelOfRun } from '../../tracking/logged-models/store.ts';
import { scopeToRead } from '../../tracking/permissions.ts';
import { findRunArtifactUri } from '../../tracking/runs/store.ts';
import { aliasThere, readModelName, readMount } from '../address-model.ts';
import { mayReadVersions } from '../permissions.ts';
import type { OriginRows } from '../provenance/origin-rows.ts';
import { IS_PROMPT_TAG } from '../registered-models/entity.ts';
import { getLatestVersions } from '../registered-models/store.ts';
import { canonicalStage, type ModelVersionRow, STAGES, versionNumber } from './entity.ts';
import {
  isAssetUri,
  isLocalUri,
  isOnArtifactServer,
  isWithin,
  localSource,
  type ModelUri,
  parseAssetUri,
  parseModelUri,
  refuseRelativeSource,
  unidentifiedSource,
  versionOfAsset,
} from './source-uri.ts';
import { getModelVersionByAlias } from './store.ts';
import { findVersionToCopy } from './version-to-copy.ts';

/** Where the model of a new version comes from, checked. */
export type VersionSource = {
  /** As it is stored and shown: a `models:/name@alias` has become `models:/name/3`. */
  source: string;
  runId: string;
  loggedModelId: string;
  /** What clients download from while the version has no frozen files of its own. */
  location: string;
  /** The folder of the artifacts of `tracking` whose files are to be frozen, or null. */
  folder: string | null;
  /** The version whose frozen files are to be shared, or null. */
  copied: CopiedVersion | null;
  /** The workspace whose runs and logged models these are. */
  tracking: Scope;
};

/** A version that is the source of another. `alias`: by which it was named; `digest` is null for one without frozen files. */
type CopiedVersion = {
  scope: Scope;
  modelId: number;
  name: string;
  version: number;
  alias?: string;
  digest: string | null;
  status: ModelVersionRow['status'];
  /** What it was made of: for a version of a registry, which keeps that. */
  origin?: OriginRows;
};

type Place = Pick<Services, 'db' | 'address' | 'locations' | 'caller'>;

export type SourceRequest = {
  source: string;
  run_id?: string | undefined;
  model_id?: string | undefined;
  tags: { key: string; value: string }[];
};

const PROMPT_SOURCES = ['prompt-template', 'dummy-source'];

/**
 * Applies the stock server's rules for sources, in its order (mlflow/server/handlers.py, _create_model_version): the operator's regular expression
 * matches; prompts have a placeholder; no scheme that names a host, unless it is allowed; `models:/name/…` is resolved to a version, whose run it inherits; local paths are refused, since no run's artifacts lie on a
 * disk the caller may name; `runs:/` and `mlflow-artifacts:/` must lie in the run or logged model given. Throws INVALID_PARAMETER_VALUE or
 * RESOURCE_DOES_NOT_EXIST with its sentences.
 */
export async function resolveSource(place: Place, target: Scope, request: SourceRequest): Promise<VersionSource> {
  const { db, address, locations } = place;
  if (locations.versionSource && !foundIn(request.source, locations.versionSource)) {
    throw invalidParameter(`Invalid model version source: '${request.source}'.`);
  }
  const tracking = address.consumer;
  const asset = isAssetUri(request.source) ? parseAssetUri(request.source) : null;
  const {
    source,
    run_id: runId = '',
    model_id: modelId = '',
  } = asset?.kind === 'run' ? { ...request, ...(await sourceInRun(db, await scopeToRead(place, tracking, asset), asset)) } : request;
  const plain = { source, runId, loggedModelId: modelId, location: source, folder: null, copied: null, tracking };
  const promptTag = request.tags.findLast(({ key }) => key === IS_PROMPT_TAG);
  if (promptTag?.value.toLowerCase() === 'true') {
    if (!PROMPT_SOURCES.includes(source))
      throw invalidParameter(`Invalid prompt source: '${source}'. Prompt sources must use an MLflow placeholder.`);
    return plain;
  }
  if (asset?.kind === 'model') return copyOf(place, target, request);
  refuseHostScheme('source', source, locations);
  const { scheme, authority } = splitUri(source);
  if (scheme === 'models') {
    if (authority)
      throw invalidParameter(`Invalid model version source: '${source}'. Registered model sources must use the active model registry.`);
    if (parseModelUri(source).kind !== 'logged_model') return copyOf(place, target, request);
  }
  const { id: readable } = modelId
    ? await scopeToRead(place, tracking, { modelId })
    : runId
      ? await scopeToRead(place, tracking, { runId })
      : tracking;
  if (isLocalUri(source)) throw await refusedLocal(db, readable, plain);
  refuseRelativeSource(source);
  return modelId ? inLoggedModel(db, readable, plain) : inRun(db, readable, plain, target);
}

/**
 * The source of a version that is made of what a run has at `path`: its files, or the newest logged model of that name where there are none, as
 * MLflow 3 logs models (mlflow/tracking/_model_registry/fluent.py, _register_model). Throws RESOURCE_DOES_NOT_EXIST when there is no run, or nothing of it.
 */
export async function sourceInRun(
  db: Db,
  { id: scope }: Scope,
  { runId, path }: { runId: string; path: string },
): Promise<{ source: string; run_id: string; model_id?: string }> {
  const files = { source: `runs:/${joinPath(runId, path)}`, run_id: runId };
  const uri = await findRunArtifactUri(db, scope, runId);
  if (uri === null) throw doesNotExist(`Run with id=${runId} not found`);
  const root = pathOfUri(uri);
  if (root === null || (await listArtifacts(db, scope, parseArtifactPath(joinPath(root, path)))).length > 0) return files;
  const modelId = await findLoggedModelOfRun(db, scope, { runId, name: path });
  if (modelId === null)
    throw doesNotExist(`Run ${runId} has no files at '${path}', and no logged model of that name: log the model first.`);
  return { source: `models:/${modelId}`, run_id: runId, model_id: modelId };
}

/** Reads the source of a copy. `<registry>.<model>` is read everywhere, `<workspace>.<model>` for a version of a registry (mission 2.2). */
async function readVersionUri(place: Place, target: Scope, source: string) {
  const { address } = place;
  if (isAssetUri(source)) {
    const asset = parseAssetUri(source);
    if (asset.kind !== 'model') throw unidentifiedSource(source, 'run_id');
    const { name } = asset;
    const scope = await getNamedScope(place, asset.scope.name, asset.scope.kind);
    if (scope.kind === 'workspace' && target.kind === 'workspace' && scope.id !== address.scope.id) {
      throw invalidParameter(
        `'${source}' is in another workspace, which only a registry's version may be made of. Share it to a registry first (POST /api/1.0/promotions), and name it there.`,
      );
    }
    return { uri: versionOfAsset(asset), ...((await readMount(place, scope, name)) ?? { scope, name, words: null }) };
  }
  const uri = parseModelUri(source);
  if (uri.kind === 'logged_model') throw unidentifiedSource(source, 'model_id');
  const named = await readModelName(place, uri.name, target.kind === 'registry');
  return { uri, ...(named ?? { scope: address.scope, name: uri.name, words: null }) };
}

/** A copy of a registered version shares its files. The source is looked for where the request is made, unless it names its scope. */
async function copyOf(place: Place, target: Scope, { source, run_id, model_id }: SourceRequest): Promise<VersionSource> {
  const { db, address } = place;
  const { scope, name, uri, words } = await readVersionUri(place, target, source);
  const alias = uri.kind === 'alias' ? (words ? aliasThere(uri.alias, words) : uri.alias) : null;
  const key = { scope: ((await mayReadVersions(place, scope, name)) ? scope : emptied(scope)).id, name };
  const wanted = alias === null || alias.toLowerCase() === 'latest' ? await numberOf(db, key, uri) : null;
  const copied = await findVersionToCopy(db, key, { version: wanted, alias }, target.kind === 'registry');
  const asked = words?.nameOf(name) ?? name;
  if (!copied) throw doesNotExist(`Registered Model with name=${asked} not found`);
  if (copied.is_prompt) {
    throw invalidParameter(`Invalid model version source: '${source}'. Prompt versions cannot be used as model version sources.`);
  }
  const { version } = copied;
  if (version === null) {
    throw wanted === null
      ? invalidParameter(`Registered model alias ${alias} not found.`)
      : doesNotExist(`Model Version (name=${asked}, version=${wanted}) not found`);
  }
  if ((run_id !== undefined && run_id !== copied.run_id) || (model_id !== undefined && model_id !== copied.logged_model_id)) {
    throw invalidParameter(
      `Invalid model version source: '${source}'. The run_id and model_id request parameters must match the referenced model version.`,
    );
  }
  // From elsewhere, the name alone would mean another model.
  const prefix = scope.id === target.id ? '' : `${scope.name}.`;
  return {
    source: `models:/${prefix}${name}/${version}`,
    runId: copied.run_id,
    loggedModelId: copied.logged_model_id,
    location: copied.storage_location,
    folder: null,
    copied: {
      scope,
      modelId: copied.model_id,
      name,
      version,
      ...(alias !== null && { alias }),
      digest: copied.digest,
      status: copied.status,
      ...(copied.origin && { origin: copied.origin }),
    },
    tracking: scope.kind === 'workspace' ? scope : address.consumer,
  };
}

/** The number that a URI means which names none by an alias of its own. */
async function numberOf(db: Db, key: { scope: number; name: string }, uri: Exclude<ModelUri, { kind: 'logged_model' }>): Promise<number> {
  if (uri.kind === 'version') return versionNumber.parse(uri.version);
  if (uri.kind === 'alias') return (await getModelVersionByAlias(db, key, 'latest')).version;
  const stages = uri.stage === null ? STAGES : [canonicalStage(uri.stage)];
  const versions = await getLatestVersions(db, key, stages);
  const [newest] = versions.sort((a, b) => b.version - a.version);
  if (!newest)
    throw doesNotExist(`No versions of model with name '${key.name}'${uri.stage === null ? '' : ` and stage '${uri.stage}'`} found`);
  return newest.version;
}

/** A path is never inside a run's or model's artifacts, which lie in the artifact store; one that is not there is told first. */
async function refusedLocal(db: Db, scope: number, { source, runId, loggedModelId }: VersionSource): Promise<MlflowError> {
  if (loggedModelId)
    return (await findLoggedModel(db, scope, loggedModelId)) ? localSource(source, 'model_id') : unidentifiedSource(source, 'model_id');
  return runId && (await findRunArtifactUri(db, scope, runId)) === null
    ? unidentifiedSource(source, 'run_id')
    : localSource(source, 'run_id');
}

async function inLoggedModel(db: Db, scope: number, plain: VersionSource): Promise<VersionSource> {
  const { source, loggedModelId } = plain;
  const { scheme } = splitUri(source);
  if (scheme === 'runs') throw unidentifiedSource(source, 'model_id');
  const byId = scheme === 'models';
  if (byId && !namesLoggedModel(source, loggedModelId)) throw unidentifiedSource(source, 'model_id');
  const model = await findLoggedModel(db, scope, loggedModelId);
  if (!model) {
    if (byId || isOnArtifactServer(source)) throw unidentifiedSource(source, 'model_id');
    return plain;
  }
  if (isOnArtifactServer(source) && !isWithin(source, model.artifact_uri)) throw unidentifiedSource(source, 'model_id');
  const location = byId ? model.artifact_uri : source;
  return { ...plain, runId: plain.runId || model.source_run_id, location, folder: pathOfUri(location) };
}

function namesLoggedModel(source: string, modelId: string): boolean {
  const uri = parseModelUri(source);
  return uri.kind === 'logged_model' && uri.modelId === modelId;
}

async function inRun(db: Db, scope: number, plain: VersionSource, target: Scope): Promise<VersionSource> {
  const { source, runId } = plain;
  const { scheme, authority, path } = splitUri(source);
  if (scheme === 'models') throw unidentifiedSource(source, 'model_id');
  if (scheme === 'runs') {
    const [, sourceRunId = '', ...below] = path.split('/');
    if (authority || !runId || sourceRunId !== runId) throw unidentifiedSource(source, 'run_id');
    const uri = await findRunArtifactUri(db, scope, runId);
    // A stock server takes it; what is shared must be there.
    if (uri === null && target.kind === 'registry') {
      throw doesNotExist(
        `Run with id=${runId} not found in workspace '${plain.tracking.name}': only what a run has can be registered in registry '${target.name}'. ` +
          'Make the request in the workspace of the run (MLFLOW_WORKSPACE, or X-MLFLOW-WORKSPACE).',
      );
    }
    const root = pathOfUri(uri ?? '');
    return { ...plain, folder: root === null ? null : joinPath(root, below.filter(Boolean).join('/')) };
  }
  if (isOnArtifactServer(source)) {
    const root = runId ? await findRunArtifactUri(db, scope, runId) : null;
    if (root === null || !isWithin(source, root)) throw unidentifiedSource(source, 'run_id');
    return { ...plain, folder: pathOfUri(source) };
  }
  return plain;
}
