import type { Knex } from 'knex';
import type { Caller } from '../../access/caller.ts';
import { mayDoAll, whereVisible } from '../../access/can.ts';
import { mayEnter, visiblePartsIn } from '../../access/grants.ts';
import { type Db, run, runBuilt, sqlBuilder, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import {
  afterOthers,
  INSERT_VERSION,
  INSERTED_COLUMNS,
  type InsertedVersion,
  type VersionToInsert,
  versionBindings,
} from '../model-versions/insert-version.ts';
import type { ModelKey } from '../registered-models/entity.ts';

/** What was promoted from where to where, as the API tells it. Times are epoch ms. */
export type PromotionRow = {
  promotion_id: string;
  status: 'COMPLETED' | 'FAILED';
  source: Record<string, unknown>;
  target: Record<string, unknown>;
  digest: string | null;
  requested_by: string;
  reason: string;
  creation_timestamp: number;
};

const COLUMNS = 'promotion_id, status, source, target, digest, requested_by, reason, creation_timestamp';

/** A promotion to be written. `source` and `target` are what the API tells of them. */
export type NewPromotion = {
  promotionId: string;
  source: Record<string, string>;
  /** Without the number of the version, which is added. */
  target: { registry: string; name: string; aliases: string[] };
  /** The user; empty while login is off. */
  requestedBy: string;
  reason: string;
  /** Canonical JSON with `unknownOf` for what is known only when the version is there. */
  snapshot: string;
};

/** Stand in a snapshot, as whole texts, for what the statement puts there: the number (a text), time (a number) and digest (a text) of the version. */
export const unknownOf = (promotionId: string) => ({
  version: `${promotionId}#version`,
  timestamp: `${promotionId}#timestamp`,
  digest: `${promotionId}#digest`,
});

const PROMOTE = statement(
  'promote_model_version',
  `${INSERT_VERSION},
   known as (
     select model_id, version, digest, replace(replace(replace(:snapshot::text,
       :unknown_version::text, version::text), '"' || :unknown_timestamp::text || '"', creation_timestamp::text), :unknown_digest::text, coalesce(digest, '')) as snapshot
     from version),
   provenance as (
     insert into model_version_provenance (model_id, version, promotion_id, snapshot, sha256, source_scope_id, source_model_id, source_version)
     select model_id, version, :promotion_id::uuid, snapshot, encode(sha256(convert_to(snapshot, 'UTF8')), 'hex'),
       :source_scope_id::integer, :source_model_id::bigint, :source_version::integer
     from known),
   promotion as (
     insert into promotions (promotion_id, status, source, target, target_scope_id, digest, requested_by, reason)
     select :promotion_id::uuid, 'COMPLETED', :promoted_from::jsonb, :target::jsonb || jsonb_build_object('version', version::text), :scope, digest, :requested_by, :reason
     from known
     returning ${COLUMNS})
   select frozen.digest as found_digest, written.* from frozen left join (
     select ${INSERTED_COLUMNS}, (select row_to_json(promotion) from promotion) as promotion from model m, version v) written on true`,
);

export type WrittenPromotion = { version: InsertedVersion; promotion: PromotionRow };

/**
 * Adds a version to a model of a registry with where it came from, in one statement. Null when the registry has no such model, or when the files are not
 * those of the source: `foundDigest` tells, null for none.
 */
export async function insertPromotedVersion(
  db: Db,
  key: ModelKey,
  version: VersionToInsert,
  { promotionId, source, target, requestedBy, reason, snapshot }: NewPromotion,
): Promise<{ written: WrittenPromotion | null; foundDigest: string | null }> {
  const { copied, folder } = version.source;
  const unknown = unknownOf(promotionId);
  const bindings = {
    ...versionBindings(key, version),
    must_have_files: copied !== null || folder !== null,
    must_have_digest: copied?.digest ?? null,
    snapshot,
    unknown_version: unknown.version,
    unknown_timestamp: unknown.timestamp,
    unknown_digest: unknown.digest,
    promotion_id: promotionId,
    source_scope_id: copied?.scope.id ?? null,
    source_model_id: copied?.modelId ?? null,
    source_version: copied?.version ?? null,
    promoted_from: JSON.stringify(source),
    target: JSON.stringify(target),
    requested_by: requestedBy,
    reason,
  };
  type Row = InsertedVersion & { found_digest: string | null; promotion: PromotionRow | null };
  const [row] = await afterOthers(db, key, () => run<Row>(db, PROMOTE, bindings));
  const { found_digest: foundDigest = null, promotion = null, ...inserted } = row ?? {};
  return { written: promotion && { version: inserted as InsertedVersion, promotion }, foundDigest };
}

const GET = statement('get_promotion', `select ${COLUMNS} from promotions where promotion_id = :promotion_id::uuid`);

export const promotionNotFound = (promotionId: string) => doesNotExist(`Promotion '${promotionId.slice(0, 100)}' not found`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getPromotion(db: Db, promotionId: string): Promise<PromotionRow> {
  const isUuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(promotionId);
  const [row] = isUuid ? await run<PromotionRow>(db, GET, { promotion_id: promotionId }) : [];
  if (!row) throw promotionNotFound(promotionId);
  return row;
}

const REGISTRIES = statement(
  'registries_for_promotions',
  `select id, name, visibility <> 'PRIVATE' as "openToRead" from scopes where kind = 'registry'`,
);

/** The condition that the caller may read the model which was promoted into. */
async function whereReadable(db: Db, query: Knex.QueryBuilder, caller: Caller): Promise<void> {
  if (mayDoAll(caller)) return;
  const registries = await run<{ id: number; name: string; openToRead: boolean }>(db, REGISTRIES);
  query.where((any) => {
    any.whereRaw('false');
    for (const registry of registries.filter((each) => mayEnter(caller, each))) {
      any.orWhere((of) => {
        of.where('target_scope_id', registry.id);
        whereVisible(of, "target ->> 'name'", visiblePartsIn(caller, registry, 'registered_model_version', 'registered_model'));
      });
    }
  });
}

/** Newest first; `registry` and `name` of the target, '' for any; `before` is the last row of the page before. */
export async function listPromotions(
  db: Db,
  caller: Caller,
  { registry, name }: { registry: string; name: string },
  before: { creation_timestamp: number; promotion_id: string } | null,
  limit: number,
): Promise<PromotionRow[]> {
  const query = sqlBuilder('promotions')
    .select(sqlBuilder.raw(COLUMNS))
    .orderByRaw('creation_timestamp desc, promotion_id desc')
    .limit(limit);
  if (registry !== '') query.whereRaw("target ->> 'registry' = ?", [registry]);
  if (name !== '') query.whereRaw("target ->> 'name' = ?", [name]);
  if (before) query.whereRaw('(creation_timestamp, promotion_id) < (?, ?::uuid)', [before.creation_timestamp, before.promotion_id]);
  await whereReadable(db, query, caller);
  return runBuilt<PromotionRow>(db, query);
}

const REMOVE_EMPTY = statement(
  'remove_unused_model',
  `delete from registered_models m
   where scope_id = :scope and name = :name and last_version = 0 and description = '' and creation_timestamp > now_ms() - 60000
     and not exists (select from registered_model_tags t where t.model_id = m.id)`,
);

/** Removes the model that a client made just before a promotion into it failed: nobody has used it (trap T3). */
export async function removeUnusedModel(db: Db, key: ModelKey): Promise<void> {
  await run(db, REMOVE_EMPTY, { scope: key.scope, name: key.name });
}

const WAS_DELETED = statement(
  'was_version_deleted',
  'select from deleted_model_versions where model_id = :model_id::bigint and version = :version limit 1',
);

/** True when a model had a version of this number that was deleted. */
export async function wasDeleted(db: Db, modelId: number, version: number): Promise<boolean> {
  return (await run(db, WAS_DELETED, { model_id: modelId, version })).length > 0;
}

const ENSURE_MODEL = statement(
  'ensure_model',
  'insert into registered_models (scope_id, name) values (:scope, :name) on conflict (scope_id, name) do nothing',
);

/** Makes an empty model unless there is one of that name. */
export async function ensureModel(db: Db, { scope, name }: ModelKey): Promise<void> {
  await run(db, ENSURE_MODEL, { scope, name });
}
