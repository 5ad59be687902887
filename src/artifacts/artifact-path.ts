import { invalidParameter } from '../platform/errors.ts';

const MAX_PATH_BYTES = 1500;
const MAX_SEGMENT_BYTES = 255;
const MAX_DECODINGS = 10;

/**
 * Checks an artifact path (already decoded once) and gives it back without a trailing slash: relative, `/`-separated, no empty, `.` or `..` segment,
 * also not after undoing percent-encoding until nothing changes (mlflow/utils/uri.py, validate_path_is_safe). The empty path is the root.
 * Throws INVALID_PARAMETER_VALUE.
 */
export function parseArtifactPath(raw: string): string {
  const path = raw.endsWith('/') ? raw.slice(0, -1) : raw;
  const decoded = decodeFully(path);
  const segments = decoded.split('/');
  if (/^([a-zA-Z]:)?[/\\]|^file:/i.test(decoded) || decoded.includes('#') || segments.some((segment) => /^\.\.[;?]*$/.test(segment)))
    throw invalidParameter('Invalid path');
  if (path === '') return '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\0-\x1f\x7f]/.test(decoded)) throw invalidParameter('Invalid path: it holds a control character.');
  if (segments.some((segment) => segment === '' || segment === '.'))
    throw invalidParameter("Invalid path: it holds an empty or '.' segment.");
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw invalidParameter(`Invalid path: it is longer than ${MAX_PATH_BYTES} bytes.`);
  if (path.split('/').some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)) {
    throw invalidParameter(`Invalid path: a file or folder name is longer than ${MAX_SEGMENT_BYTES} bytes.`);
  }
  return path;
}

function decodeFully(text: string): string {
  let decoded = text;
  for (let i = 0; i < MAX_DECODINGS; i++) {
    let next: string;
    try {
      next = decodeURIComponent(decoded);
    } catch {
      return decoded;
    }
    if (next === decoded) return decoded;
    decoded = next;
  }
  throw invalidParameter('Invalid path');
}

const SCHEME = 'mlflow-artifacts:/';
const FROZEN =
  /^(?:registries\/[^/]+\/|workspaces\/(?<workspace>[^/]+)\/)?registered-models\/(?<model>\d{1,18})\/versions\/(?<version>\d{1,9})(?:\/(?<path>.*))?$/s;

/** The artifact path that an `mlflow-artifacts:/` URI names, or null for a URI whose bytes are not ours. */
export function pathOfUri(uri: string): string | null {
  return uri.startsWith(SCHEME) && !uri.startsWith(`${SCHEME}/`) ? parseArtifactPath(uri.slice(SCHEME.length)) : null;
}

/** As `pathOfUri`; throws INVALID_PARAMETER_VALUE for a URI whose bytes are not ours. */
export function ownPathOf(uri: string): string {
  const path = pathOfUri(uri);
  if (path === null) throw invalidParameter(`These artifacts are at ${uri}, outside this server: read and write them there.`);
  return path;
}

/** `root` and `path` joined; either may be empty. */
export const joinPath = (root: string, path: string): string => [root, path].filter((part) => part !== '').join('/');

/** A place in a scope's artifacts: in its tree, or among the files of a registered version, which never change. */
export type Place =
  | { kind: 'tree'; path: string }
  | { kind: 'version'; workspace: string | null; modelId: string; version: number; path: string };

/**
 * Registered versions have their files under `registered-models/<id>/versions/<version>/`, those of a registry with `registries/<name>/` in front: folders
 * nobody can write to. The id says which model it is; the name is for people. With `workspaces/<name>/` in front those of that workspace are meant from
 * wherever the request is made.
 */
export function placeOf(path: string): Place {
  const { workspace = null, model, version, path: below = '' } = FROZEN.exec(path)?.groups ?? {};
  return model === undefined
    ? { kind: 'tree', path }
    : { kind: 'version', workspace, modelId: model, version: Number(version), path: below };
}

/** True for the folders of registered versions and everything in them. */
export const isReserved = (path: string): boolean => /^(?:(?:registries|workspaces)\/[^/]+\/)?registered-models(?:\/|$)/.test(path);
