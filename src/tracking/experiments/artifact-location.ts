import { pathOfUri } from '../../artifacts/artifact-path.ts';
import { checkedBy } from '../../platform/fields.ts';
import { checkStorageLocation } from '../../platform/storage-location.ts';

/** Where a caller wants an experiment's artifacts: an object store that clients reach by themselves, or a folder of this server's own artifacts. */
export const artifactLocation = checkedBy((location) => {
  if (location === '') return;
  checkStorageLocation('artifact_location', location);
  pathOfUri(location);
});
