import { invalidParameter } from './errors.ts';
import { decodeFully, refuseHostScheme } from './uri.ts';

const MAX_LENGTH = 2048;
// As the stock server (mlflow/utils/uri.py, _decode).
const MAX_DECODINGS = 10;
const OBJECT_STORES = ['s3', 'gs', 'wasb', 'wasbs', 'abfs', 'dbfs'];

/**
 * Checks where a caller wants artifacts to lie: in an object store that clients reach by themselves, or with this server (`mlflow-artifacts:`, whose
 * path is not looked at). As mlflow/server/handlers.py (_validate_storage_location_uri); a path on the server's disk is refused as well
 * (docs/differences.md). `field` is the argument's name. Throws INVALID_PARAMETER_VALUE.
 */
export function checkStorageLocation(field: string, location: string): void {
  const [, scheme = '', rest = location] = /^([a-zA-Z][a-zA-Z0-9+.-]*):(.*)$/s.exec(location) ?? [];
  const kind = scheme.toLowerCase();
  const instead = `Leave ${field} out to store artifacts with this server, or give an object store such as s3://bucket/folder.`;
  const hash = rest.indexOf('#');
  if (hash >= 0 && hash < rest.length - 1) throw invalidParameter(`'${field}' URL can't include fragments or params.`);
  const query = rest.indexOf('?');
  const decoded = decodeFully(query >= 0 ? rest.slice(query) : '', MAX_DECODINGS);
  if (!decoded.done || decoded.text.includes('..')) throw invalidParameter('Invalid query string');
  refuseHostScheme(field, location);
  if (kind === 'runs') throw invalidParameter(`Artifact location cannot be a runs:/ URI. Given: '${location}'`);
  if (location.length > MAX_LENGTH) {
    throw invalidParameter(
      `Invalid artifact path length. The length of the artifact path cannot be greater than ${MAX_LENGTH} characters.`,
    );
  }
  if (kind === '' || kind === 'file') {
    throw invalidParameter(`Invalid ${field} '${location}': a folder on the server's own disk cannot be chosen. ${instead}`);
  }
  if (kind !== 'mlflow-artifacts' && !OBJECT_STORES.includes(kind)) {
    throw invalidParameter(
      `Invalid ${field} '${location}': its scheme is none of ${OBJECT_STORES.join(', ')} and mlflow-artifacts. ${instead}`,
    );
  }
}
