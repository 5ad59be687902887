import { pathOfUri } from '../../artifacts/artifact-path.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy } from '../../platform/fields.ts';
import { refuseHostScheme } from '../../platform/uri.ts';

const MAX_LENGTH = 2048;
const OBJECT_STORES = ['s3', 'gs', 'wasb', 'wasbs', 'abfs', 'dbfs'];
const INSTEAD = 'Leave artifact_location out to store artifacts with this server, or give an object store such as s3://bucket/folder.';

/**
 * Where a caller wants an experiment's artifacts: an object store that clients reach by themselves, or a folder of this server's own artifacts.
 * As mlflow/server/handlers.py (_validate_storage_location_uri); a path on the server's disk is refused as well (docs/differences.md).
 */
export const artifactLocation = checkedBy((location) => {
  if (location !== '') checkLocation(location);
});

function checkLocation(location: string): void {
  const [, scheme = '', rest = location] = /^([a-zA-Z][a-zA-Z0-9+.-]*):(.*)$/s.exec(location) ?? [];
  const kind = scheme.toLowerCase();
  const hash = rest.indexOf('#');
  if (hash >= 0 && hash < rest.length - 1) throw invalidParameter("'artifact_location' URL can't include fragments or params.");
  const query = rest.indexOf('?');
  if (query >= 0 && decodeFully(rest.slice(query)).includes('..')) throw invalidParameter('Invalid query string');
  refuseHostScheme('artifact_location', location);
  if (kind === 'runs') throw invalidParameter(`Artifact location cannot be a runs:/ URI. Given: '${location}'`);
  if (location.length > MAX_LENGTH) {
    throw invalidParameter(
      `Invalid artifact path length. The length of the artifact path cannot be greater than ${MAX_LENGTH} characters.`,
    );
  }
  if (kind === '' || kind === 'file') {
    throw invalidParameter(`Invalid artifact_location '${location}': a folder on the server's own disk cannot be chosen. ${INSTEAD}`);
  }
  if (kind === 'mlflow-artifacts') pathOfUri(location);
  else if (!OBJECT_STORES.includes(kind)) {
    throw invalidParameter(
      `Invalid artifact_location '${location}': its scheme is none of ${OBJECT_STORES.join(', ')} and mlflow-artifacts. ${INSTEAD}`,
    );
  }
}

function decodeFully(text: string): string {
  const decoded = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return decoded === text ? text : decodeFully(decoded);
}
