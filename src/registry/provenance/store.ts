import { type Db, run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import type { VersionKey } from '../model-versions/store.ts';

/** The source as it is now: null when it was removed. Its names may have changed since. */
type LiveSource = { scope_id: number; kind: 'workspace' | 'registry'; scope: string; name: string; version: number } | null;

export type ProvenanceRow = { promotion_id: string; snapshot: string; sha256: string; live_source: LiveSource };

const GET = statement(
  'get_provenance',
  `select p.promotion_id, p.snapshot, p.sha256, (
     select json_build_object('scope_id', s.id, 'kind', s.kind, 'scope', s.name, 'name', m.name, 'version', v.version)
     from model_versions v join registered_models m on m.id = v.model_id join scopes s on s.id = m.scope_id
     where v.model_id = p.source_model_id and v.version = p.source_version) as live_source
   from registered_models model
   join model_versions version on version.model_id = model.id and version.version = :version::bigint
   left join model_version_provenance p on p.model_id = version.model_id and p.version = version.version
   where model.scope_id = :scope and model.name = :name`,
);

/** Null for a version that was not promoted. Throws RESOURCE_DOES_NOT_EXIST when there is no such version. */
export async function getProvenance(db: Db, key: VersionKey): Promise<ProvenanceRow | null> {
  const [row] = await run<{ [Column in keyof ProvenanceRow]: ProvenanceRow[Column] | null }>(db, GET, key);
  if (!row) throw doesNotExist(`Model Version (name=${key.name}, version=${key.version}) not found`);
  return row.promotion_id === null ? null : (row as ProvenanceRow);
}

const FIND_SNAPSHOT = statement(
  'find_snapshot',
  'select snapshot, sha256 from model_version_provenance where model_id = :model_id::bigint and version = :version',
);

/** The snapshot of a version that was itself promoted. */
export async function findSnapshot(db: Db, modelId: number, version: number): Promise<{ snapshot: string; sha256: string } | null> {
  const [row] = await run<{ snapshot: string; sha256: string }>(db, FIND_SNAPSHOT, { model_id: modelId, version });
  return row ?? null;
}
