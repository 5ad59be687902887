import { invalidParameter } from './errors.ts';
import { decodeFully, type LocationRules, namesHost, refuseHostScheme } from './uri.ts';

// As the stock server (mlflow/utils/uri.py, _decode).
const MAX_DECODINGS = 10;
const OBJECT_STORES = ['s3', 'gs', 'wasb', 'wasbs', 'abfs', 'dbfs'];

/**
 * Checks where a caller wants artifacts to lie: in a store that clients reach by themselves, or with this server (`mlflow-artifacts:`, whose
 * path is not looked at). As mlflow/server/handlers.py (_validate_storage_location_uri); a path on the server's disk, or with `..`, is refused as well
 * (docs/differences.md). `field` is the argument's name. Throws INVALID_PARAMETER_VALUE.
 */
export function checkStorageLocation(field: string, location: string, rules: LocationRules): void {
  const [, scheme = '', rest = location] = /^([a-zA-Z][a-zA-Z0-9+.-]*):(.*)$/s.exec(location) ?? [];
  const kind = scheme.toLowerCase();
  const instead = `Leave ${field} out to store artifacts with this server, or give an object store such as s3://bucket/folder.`;
  const hash = rest.indexOf('#');
  if (hash >= 0 && hash < rest.length - 1) throw invalidParameter(`'${field}' URL can't include fragments or params.`);
  const query = rest.indexOf('?');
  const decoded = decodeFully(query >= 0 ? rest.slice(query) : '', MAX_DECODINGS);
  if (!decoded.done || decoded.text.includes('..')) throw invalidParameter('Invalid query string');
  refuseHostScheme(field, location, rules);
  if (kind === 'runs') throw invalidParameter(`Artifact location cannot be a runs:/ URI. Given: '${location}'`);
  if (location.length > rules.maxLength) {
    throw invalidParameter(
      `Invalid artifact path length. The length of the artifact path cannot be greater than ${rules.maxLength} characters. To configure this limit, please set the` +
        ' MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH environment variable.',
    );
  }
  const path = decodeFully(query >= 0 ? rest.slice(0, query) : rest, MAX_DECODINGS);
  if (kind !== 'mlflow-artifacts' && (!path.done || path.text.split(/[/\\]/).includes('..'))) {
    throw invalidParameter(`Invalid ${field} '${location}': its path must not lead up by '..'. ${instead}`);
  }
  if (namesHost(location)) return;
  if (kind === '' || kind === 'file') {
    throw invalidParameter(`Invalid ${field} '${location}': a folder on the server's own disk cannot be chosen. ${instead}`);
  }
  if (kind !== 'mlflow-artifacts' && !OBJECT_STORES.includes(kind)) {
    throw invalidParameter(
      `Invalid ${field} '${location}': its scheme is none of ${OBJECT_STORES.join(', ')} and mlflow-artifacts. ${instead}`,
    );
  }
}
