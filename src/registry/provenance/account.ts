import type { Services } from '../../endpoint.ts';
import { run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import type { Scope } from '../../scopes/entity.ts';
import type { VersionKey } from '../model-versions/store.ts';
import { describeModelFiles, type ModelDescription } from './model-files.ts';
import { type Origin, readOrigin, type Snapshot } from './snapshot.ts';

const GET = statement(
  'get_version_to_describe',
  `select v.model_id, v.run_id, v.logged_model_id, p.snapshot
   from registered_models m join model_versions v on v.model_id = m.id and v.version = :version::bigint
   left join model_version_provenance p on p.model_id = v.model_id and p.version = v.version
   where m.scope_id = :scope and m.name = :name`,
);

type VersionToDescribe = { model_id: number; run_id: string; logged_model_id: string; snapshot: string | null };

/** How a version was made and what its files say: as its promotion has kept it, or else as it is now. Throws RESOURCE_DOES_NOT_EXIST. */
export async function readAccount(
  { db, blobs }: Pick<Services, 'db' | 'blobs'>,
  scope: Scope,
  key: VersionKey,
): Promise<Origin & { model: ModelDescription }> {
  const [version] = await run<VersionToDescribe>(db, GET, key);
  if (!version) throw doesNotExist(`Model Version (name=${key.name}, version=${key.version}) not found`);
  const { model_id, run_id: runId, logged_model_id: loggedModelId, snapshot } = version;
  if (snapshot !== null) return JSON.parse(snapshot) as Snapshot;
  return {
    ...(await readOrigin(db, scope, { runId, loggedModelId })),
    model: await describeModelFiles(db, blobs, model_id, key.version),
  };
}
