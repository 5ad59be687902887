import { invalidParameter, type MlflowError } from '../../platform/errors.ts';
import { normpath } from '../../platform/python.ts';
import { decodeFully, splitUri } from '../../platform/uri.ts';
import type { Scope } from '../../scopes/entity.ts';

/** A path on some machine's own disk: no scheme, or `file:`. */
export const isLocalUri = (uri: string): boolean => ['', 'file'].includes(splitUri(uri).scheme);

/** Throws for a source whose path is not absolute or has `.` or `..` segments, also behind percent-encoding. */
export function refuseRelativeSource(source: string): void {
  const decoded = decodeFully(source).text;
  const path = splitUri(decoded).path.replace(/\/+$/, '').replace(/\/+/g, '/');
  if (path.startsWith('/') && !path.includes('\0') && !decoded.split('/').includes('..') && normpath(path) === path) return;
  throw invalidParameter(
    `Invalid model version source: '${source}'. If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path` +
      ' must be provided without relative path references present. Please provide an absolute path.',
  );
}

const ARTIFACT_ROUTE = ['api', '2.0', 'mlflow-artifacts', 'artifacts'];

/** True for what an MLflow server hands out: `mlflow-artifacts:`, or an address below its artifact route (mlflow/server/handlers.py, _is_mlflow_artifact_source). */
export function isOnArtifactServer(uri: string): boolean {
  const { scheme, path } = splitUri(uri);
  if (scheme === 'mlflow-artifacts') return true;
  const parts = segments(path);
  return ['http', 'https'].includes(scheme) && parts.some((_, i) => ARTIFACT_ROUTE.every((part, j) => parts[i + j] === part));
}

/** True when a URI is `root` or below it, comparing decoded path segments. */
export function isWithin(uri: string, root: string): boolean {
  const [inner, outer] = [splitUri(uri), splitUri(root)];
  const [innerPath, outerPath] = [segments(inner.path), segments(outer.path)];
  return (
    inner.scheme === outer.scheme &&
    inner.authority.toLowerCase() === outer.authority.toLowerCase() &&
    outerPath.length > 0 &&
    outerPath.every((segment, i) => innerPath[i] === segment)
  );
}

const segments = (path: string) =>
  path
    .split('/')
    .filter(Boolean)
    .map((segment) => decodeFully(segment).text);

/** What a `models:/` URI names. */
export type ModelUri =
  | { kind: 'logged_model'; modelId: string }
  | { kind: 'version'; name: string; version: string }
  | { kind: 'alias'; name: string; alias: string }
  | { kind: 'stage'; name: string; stage: string | null };

/** Reads a `models:/` URI as mlflow/store/artifact/utils/models.py (_parse_model_uri). Throws the error for one that names nothing. */
export function parseModelUri(uri: string): ModelUri {
  const [first = '', second, ...more] = splitUri(uri).path.replace(/^\/+/, '').split('/');
  if (more.length > 0 || first.trim() === '' || second?.trim() === '') throw unidentifiedSource(uri, 'model_id');
  if (second !== undefined) {
    if (/^\p{Nd}+$/u.test(second)) return { kind: 'version', name: first, version: second };
    return { kind: 'stage', name: first, stage: second.toLowerCase() === 'latest' ? null : second };
  }
  const at = first.lastIndexOf('@');
  if (at < 0) return { kind: 'logged_model', modelId: first };
  if (first.slice(at + 1).trim() === '') throw unidentifiedSource(uri, 'model_id');
  return { kind: 'alias', name: first.slice(0, at), alias: first.slice(at + 1) };
}

/** What an `azureml://` URI names: files of a run, or a model of a scope; of it a version, what an alias or `latest` points to, or neither (both null). */
export type AssetUri =
  | { kind: 'run'; runId: string; path: string }
  | { kind: 'model'; scope: Pick<Scope, 'kind' | 'name'>; name: string; version: string | null; label: string | null };

const ASSET_SCHEME = 'azureml:';

export const isAssetUri = (uri: string): boolean => uri.slice(0, ASSET_SCHEME.length).toLowerCase() === ASSET_SCHEME;

/** Reads an `azureml://` URI (docs/command-line.md). Throws INVALID_PARAMETER_VALUE with the ways to write one. */
export function parseAssetUri(uri: string): AssetUri {
  const [, home, owner = '', ...rest] = decodeSegments(/^azureml:\/\/([^?#]*?)\/*$/i.exec(uri)?.[1] ?? '') ?? [''];
  if (home === 'jobs' && rest.slice(0, 3).join('/') === 'outputs/artifacts/paths') {
    return { kind: 'run', runId: owner, path: rest.slice(3).join('/') };
  }
  const [type, name = '', by, which, ...more] = rest;
  if (type !== undefined && ['environments', 'components', 'data'].includes(type))
    throw invalidParameter(`'${uri}' names ${type}: so far only models are kept here.`);
  const isPlain = by === undefined || (which !== undefined && more.length === 0);
  const isVersion = by === 'versions' && /^[1-9]\d*$/.test(which ?? '');
  if (
    !isPlain ||
    type !== 'models' ||
    !(home === 'registries' || home === 'workspaces') ||
    !(by === undefined || by === 'labels' || isVersion)
  ) {
    throw invalidParameter(
      `'${uri}' is not the URI of an asset. Write azureml://registries/<registry>/models/<name>/versions/<number>, with .../labels/<alias> for an alias, or ` +
        'neither for the latest version; of a workspace azureml://workspaces/<workspace>/models/...; of a run azureml://jobs/<run id>/outputs/artifacts/paths/<path>.',
    );
  }
  const scope = { kind: home === 'registries' ? ('registry' as const) : ('workspace' as const), name: owner };
  return { kind: 'model', scope, name, version: isVersion ? (which ?? null) : null, label: by === 'labels' ? (which ?? null) : null };
}

/** The version that the URI of a model means: without one, the latest. */
export const versionOfAsset = ({ name, version, label }: Extract<AssetUri, { kind: 'model' }>) =>
  version === null ? { kind: 'alias' as const, name, alias: label ?? 'latest' } : { kind: 'version' as const, name, version };

/** Reads the URI of a model where its name is expected: without a version or label. Throws INVALID_PARAMETER_VALUE. */
export function parseModelAsset(uri: string): Extract<AssetUri, { kind: 'model' }> {
  const asset = parseAssetUri(uri);
  if (asset.kind === 'model' && asset.version === null && asset.label === null) return asset;
  throw invalidParameter(
    `'${uri}' cannot be the name of a model: write azureml://registries/<registry>/models/<name>, and the version or alias in the argument of its own.`,
  );
}

/** Decoded segments, or null when one is empty or cannot be decoded. The first is '' always. */
function decodeSegments(path: string): string[] | null {
  try {
    const segments = path.split('/').map(decodeURIComponent);
    return segments.includes('') ? null : ['', ...segments];
  } catch {
    return null;
  }
}

/** The URI of a model, or of a version of it. */
export function assetUriOf(scope: Pick<Scope, 'kind' | 'name'>, name: string, version?: string | number): string {
  const model = `azureml://${scope.kind === 'registry' ? 'registries' : 'workspaces'}/${scope.name}/models/${encodeURIComponent(name)}`;
  return version === undefined ? model : `${model}/versions/${version}`;
}

export const unidentifiedSource = (source: string, parameter: 'run_id' | 'model_id'): MlflowError =>
  invalidParameter(
    `Invalid model version source: '${source}'. The ${parameter} request parameter must identify the resource that contains the source.`,
  );

export const localSource = (source: string, parameter: 'run_id' | 'model_id'): MlflowError =>
  invalidParameter(
    `Invalid model version source: '${source}'. To use a local path as a model version source, the ${parameter} request parameter has to be specified and the local` +
      ` path has to be contained within the artifact directory of the run specified by the ${parameter}.`,
  );
