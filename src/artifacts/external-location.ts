import { invalidParameter, MlflowError } from '../platform/errors.ts';
import { splitUri } from '../platform/uri.ts';
import { parseArtifactPath } from './artifact-path.ts';
import type { S3Settings } from './blobs/s3.ts';

/** What this server may read for its users in other stores than its own: the folders `s3://bucket/prefix` of ADOPT_LOCATIONS. */
export type AdoptionSettings = { locations: readonly string[]; s3: S3Settings };

/**
 * Checks that a location is a folder in S3 the operator lets users read with the server's credentials, and gives it back as `s3://bucket/prefix`.
 * Folders are compared by whole names, as they are: S3 decodes and resolves nothing.
 * Throws INVALID_PARAMETER_VALUE for any other place, PERMISSION_DENIED for a folder that is not allowed.
 */
export function checkExternalFolder(location: string, { locations }: AdoptionSettings): string {
  const { scheme, authority, path } = splitUri(location);
  if (scheme !== 's3' || authority === '' || /[?#]/.test(location))
    throw invalidParameter(`Only files in s3://bucket/folder can be adopted, not those at ${location}.`);
  const folder = parseArtifactPath(path.replace(/^\//, ''));
  const url = folder === '' ? `s3://${authority}` : `s3://${authority}/${folder}`;
  if (!locations.some((allowed) => isFolderIn(url, allowed)))
    throw new MlflowError(
      'PERMISSION_DENIED',
      `This server does not read ${location} for its users. Its operator can allow that with the setting ADOPT_LOCATIONS.`,
    );
  return url;
}

/** True when `url` is `folder` or lies in it; neither ends with a slash. */
export const isFolderIn = (url: string, folder: string): boolean => `${url}/`.startsWith(`${folder}/`);
