import { joinPath, pathOfUri } from '../../artifacts/artifact-path.ts';
import type { Services } from '../../endpoint.ts';
import { type Db, run, statement } from '../../platform/db/database.ts';
import { doesNotExist, invalidParameter, type MlflowError } from '../../platform/errors.ts';
import { foundIn } from '../../platform/python-pattern.ts';
import { refuseHostScheme, splitUri } from '../../platform/uri.ts';
import { emptied, type Scope } from '../../scopes/entity.ts';
import { findLoggedModel } from '../../tracking/logged-models/store.ts';
import { scopeToRead } from '../../tracking/permissions.ts';
import { findRunArtifactUri } from '../../tracking/runs/store.ts';
import { readDottedName } from '../address-model.ts';
import { mayReadVersions } from '../permissions.ts';
import { IS_PROMPT_TAG } from '../registered-models/entity.ts';
import { getLatestVersions, getRegisteredModel } from '../registered-models/store.ts';
import { canonicalStage, STAGES, versionNumber } from './entity.ts';
import {
  isLocalUri,
  isOnArtifactServer,
  isWithin,
  localSource,
  parseModelUri,
  refuseRelativeSource,
  unidentifiedSource,
} from './source-uri.ts';
import { getModelVersion, getModelVersionByAlias } from './store.ts';

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
type CopiedVersion = { scope: Scope; modelId: number; name: string; version: number; alias?: string; digest: string | null };

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
  const { source, run_id: runId = '', model_id: modelId = '' } = request;
  if (locations.versionSource && !foundIn(request.source, locations.versionSource)) {
    throw invalidParameter(`Invalid model version source: '${request.source}'.`);
  }
  const tracking = address.consumer;
  const plain = { source, runId, loggedModelId: modelId, location: source, folder: null, copied: null, tracking };
  const promptTag = request.tags.findLast(({ key }) => key === IS_PROMPT_TAG);
  if (promptTag?.value.toLowerCase() === 'true') {
    if (!PROMPT_SOURCES.includes(source))
      throw invalidParameter(`Invalid prompt source: '${source}'. Prompt sources must use an MLflow placeholder.`);
    return plain;
  }
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
  return modelId ? inLoggedModel(db, readable, plain) : inRun(db, readable, plain);
}

const FROZEN_COPY = statement(
  'model_version_to_copy',
  `select m.id as model_id, v.storage_location, v.logged_model_id, v.digest from registered_models m join model_versions v on v.model_id = m.id and v.version = :version
   where m.scope_id = :scope and m.name = :name`,
);

/**
 * A copy of a registered version shares its files. The source is looked for where the request is made; `<registry>.<model>` anywhere, and for a version
 * of a registry `<workspace>.<model>` too (mission 2.2).
 */
async function copyOf(place: Place, target: Scope, { source, run_id, model_id }: SourceRequest): Promise<VersionSource> {
  const { db, address } = place;
  const uri = parseModelUri(source);
  if (uri.kind === 'logged_model') throw unidentifiedSource(source, 'model_id');
  const dotted = await readDottedName(place, uri.name, target.kind === 'registry');
  const scope = dotted?.scope ?? address.scope;
  const key = { scope: scope.id, name: dotted?.name ?? uri.name };
  const isReadable = await mayReadVersions(place, scope, key.name);
  const model = await getRegisteredModel(db, isReadable ? key : { ...key, scope: emptied(scope).id });
  if (model.tags?.some((tag) => tag.key === IS_PROMPT_TAG)) {
    throw invalidParameter(`Invalid model version source: '${source}'. Prompt versions cannot be used as model version sources.`);
  }
  const version = await versionOf(db, key, uri);
  const [copied] = await run<{ model_id: number; storage_location: string; logged_model_id: string; digest: string | null }>(
    db,
    FROZEN_COPY,
    {
      ...key,
      version: version.version,
    },
  );
  if (!copied) throw doesNotExist(`Model Version (name=${key.name}, version=${version.version}) not found`);
  if ((run_id !== undefined && run_id !== version.run_id) || (model_id !== undefined && model_id !== copied.logged_model_id)) {
    throw invalidParameter(
      `Invalid model version source: '${source}'. The run_id and model_id request parameters must match the referenced model version.`,
    );
  }
  // From elsewhere, the name alone would mean another model.
  const prefix = scope.id === target.id ? '' : `${scope.name}.`;
  return {
    source: `models:/${prefix}${key.name}/${version.version}`,
    runId: version.run_id,
    loggedModelId: copied.logged_model_id,
    location: copied.storage_location,
    folder: null,
    copied: {
      scope,
      modelId: copied.model_id,
      name: key.name,
      version: version.version,
      ...(uri.kind === 'alias' && { alias: uri.alias }),
      digest: copied.digest,
    },
    tracking: scope.kind === 'workspace' ? scope : address.consumer,
  };
}

async function versionOf(
  db: Db,
  key: { scope: number; name: string },
  uri: Exclude<ReturnType<typeof parseModelUri>, { kind: 'logged_model' }>,
) {
  if (uri.kind === 'version') return getModelVersion(db, { ...key, version: versionNumber.parse(uri.version) });
  if (uri.kind === 'alias') return getModelVersionByAlias(db, key, uri.alias);
  const stages = uri.stage === null ? STAGES : [canonicalStage(uri.stage)];
  const versions = await getLatestVersions(db, key, stages);
  const [newest] = versions.sort((a, b) => b.version - a.version);
  if (!newest)
    throw doesNotExist(`No versions of model with name '${key.name}'${uri.stage === null ? '' : ` and stage '${uri.stage}'`} found`);
  return newest;
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

async function inRun(db: Db, scope: number, plain: VersionSource): Promise<VersionSource> {
  const { source, runId } = plain;
  const { scheme, authority, path } = splitUri(source);
  if (scheme === 'models') throw unidentifiedSource(source, 'model_id');
  if (scheme === 'runs') {
    const [, sourceRunId = '', ...below] = path.split('/');
    if (authority || !runId || sourceRunId !== runId) throw unidentifiedSource(source, 'run_id');
    const root = pathOfUri((await findRunArtifactUri(db, scope, runId)) ?? '');
    return { ...plain, folder: root === null ? null : joinPath(root, below.filter(Boolean).join('/')) };
  }
  if (isOnArtifactServer(source)) {
    const root = runId ? await findRunArtifactUri(db, scope, runId) : null;
    if (root === null || !isWithin(source, root)) throw unidentifiedSource(source, 'run_id');
    return { ...plain, folder: pathOfUri(source) };
  }
  return plain;
}
