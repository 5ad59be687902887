import type { Services } from '../../endpoint.ts';
import { doesNotExist } from '../../platform/errors.ts';
import { findRunArtifactUri } from '../runs/store.ts';

/** The URI of the folder with a run's artifacts. Throws RESOURCE_DOES_NOT_EXIST when the scope has no such run. */
export async function getRunArtifactRoot({ db, scope }: Pick<Services, 'db' | 'scope'>, runId: string): Promise<string> {
  const uri = await findRunArtifactUri(db, scope.id, runId);
  if (uri === null) throw doesNotExist(`Run with id=${runId} not found`);
  return uri;
}
