import { pathOfUri } from '../../artifacts/artifact-path.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { checkStorageLocation } from '../../platform/storage-location.ts';
import { type LocationRules, refuseHostScheme } from '../../platform/uri.ts';

/** Checks where a caller wants an experiment's artifacts: a store that clients reach by themselves, or a folder of this server's own artifacts. */
export function checkArtifactLocation(location: string, rules: LocationRules): void {
  if (location === '') return;
  checkStorageLocation('artifact_location', location, rules);
  pathOfUri(location);
}

/** In a workspace nobody chooses: where its experiments lie is the workspace's own setting. As there, a host is refused first. */
export function refuseArtifactLocation(location: string, rules: LocationRules): void {
  if (location === '') return;
  refuseHostScheme('artifact_location', location, rules);
  throw invalidParameter('artifact_location cannot be specified when workspaces are enabled');
}
