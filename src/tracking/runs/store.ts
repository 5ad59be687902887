import { type Db, run, statement } from '../../platform/db/database.ts';

const FIND_ARTIFACT_URI = statement(
  'find_run_artifact_uri',
  `select r.artifact_uri from runs r join experiments e on e.experiment_id = r.experiment_id
   where e.scope_id = :scope and r.run_id = :run_id`,
);

/** Where a run's artifacts are, whatever its lifecycle stage; null when the scope has no such run. */
export async function findRunArtifactUri(db: Db, scope: number, runId: string): Promise<string | null> {
  const [row] = await run<{ artifact_uri: string }>(db, FIND_ARTIFACT_URI, { scope, run_id: runId });
  return row?.artifact_uri ?? null;
}
