import { invalidParameter, type MlflowError } from '../../platform/errors.ts';
import { normpath } from '../../platform/python.ts';
import { decodeFully, splitUri } from '../../platform/uri.ts';

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

export const unidentifiedSource = (source: string, parameter: 'run_id' | 'model_id'): MlflowError =>
  invalidParameter(
    `Invalid model version source: '${source}'. The ${parameter} request parameter must identify the resource that contains the source.`,
  );

export const localSource = (source: string, parameter: 'run_id' | 'model_id'): MlflowError =>
  invalidParameter(
    `Invalid model version source: '${source}'. To use a local path as a model version source, the ${parameter} request parameter has to be specified and the local` +
      ` path has to be contained within the artifact directory of the run specified by the ${parameter}.`,
  );
