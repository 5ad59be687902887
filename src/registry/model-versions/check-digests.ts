import { type Db, run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import type { ModelKey } from '../registered-models/entity.ts';

/** A registered model, or one version of it when `version` is not null. */
export type ModelChoice = { modelId: number; version: number | null };

const FIND_MODEL = statement(
  'find_model_to_verify',
  `select id, :version::integer is null or exists (select from model_versions where model_id = id and version = :version::integer) as has_version
   from registered_models where scope_id = :scope and name = :name`,
);

/** The model of a name. Throws RESOURCE_DOES_NOT_EXIST when the scope has none, or it has no such version. */
export async function chooseModel(db: Db, key: ModelKey, version: number | null): Promise<ModelChoice> {
  const [found] = await run<{ id: number; has_version: boolean }>(db, FIND_MODEL, { ...key, version });
  if (!found) throw doesNotExist(`Registered Model with name=${key.name} not found`);
  if (!found.has_version) throw doesNotExist(`Model Version (name=${key.name}, version=${version}) not found`);
  return { modelId: found.id, version };
}

export type WrongDigest = { workspace: string; name: string; version: number; digest: string; computed: string | null };

const PAGE = 100;

const CHECK = statement(
  'check_version_digests',
  `with versions as (
     select v.model_id, v.version, v.digest from model_versions v
     where v.digest is not null and (v.model_id, v.version) > (:model_id::bigint, :version::integer)
       and v.model_id = coalesce(:only_model::bigint, v.model_id) and v.version = coalesce(:only_version::integer, v.version)
     order by v.model_id, v.version limit ${PAGE})
   select v.model_id, s.name as workspace, m.name, v.version, v.digest, files.computed
   from versions v join registered_models m on m.id = v.model_id join scopes s on s.id = m.scope_id
   cross join lateral (
     select encode(sha256(convert_to(string_agg(b.sha256 || '  ' || f.path || E'\\n', '' order by f.path), 'UTF8')), 'hex') as computed
     from model_version_files f join blobs b on b.id = f.blob_id where f.model_id = v.model_id and f.version = v.version) files
   order by v.model_id, v.version`,
);

/**
 * Computes the digest of each frozen version, or of those of `choice`, from its list of files (docs/frozen-versions.md), and tells of those that have
 * another. Gives the number of versions looked at.
 */
export async function checkDigests(
  db: Db,
  choice: ModelChoice | null,
  signal: AbortSignal,
  onWrong: (wrong: WrongDigest) => void,
): Promise<number> {
  let at = { model_id: 0, version: 0 };
  let checked = 0;
  while (!signal.aborted) {
    const rows = await run<WrongDigest & { model_id: number }>(db, CHECK, {
      ...at,
      only_model: choice?.modelId ?? null,
      only_version: choice?.version ?? null,
    });
    for (const { model_id: _, ...row } of rows) if (row.digest !== row.computed) onWrong(row);
    checked += rows.length;
    const last = rows.at(-1);
    if (!last || rows.length < PAGE) break;
    at = { model_id: last.model_id, version: last.version };
  }
  return checked;
}
