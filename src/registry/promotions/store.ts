import { type Db, run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
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

const INSERT = statement(
  'insert_promotion',
  `insert into promotions (promotion_id, status, source, target, target_scope_id, digest, reason)
   values (:promotion_id::uuid, 'COMPLETED', :source::jsonb, :target::jsonb, :target_scope_id, :digest, :reason)
   returning ${COLUMNS}`,
);

export type NewPromotion = {
  promotionId: string;
  source: Record<string, unknown>;
  target: Record<string, unknown>;
  targetScopeId: number;
  digest: string | null;
  reason: string;
};

export async function insertPromotion(
  db: Db,
  { promotionId, source, target, targetScopeId, digest, reason }: NewPromotion,
): Promise<PromotionRow> {
  const [row] = await run<PromotionRow>(db, INSERT, {
    promotion_id: promotionId,
    source: JSON.stringify(source),
    target: JSON.stringify(target),
    target_scope_id: targetScopeId,
    digest,
    reason,
  });
  if (!row) throw new Error('insert_promotion gave no row');
  return row;
}

const GET = statement('get_promotion', `select ${COLUMNS} from promotions where promotion_id = :promotion_id::uuid`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getPromotion(db: Db, promotionId: string): Promise<PromotionRow> {
  const isUuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(promotionId);
  const [row] = isUuid ? await run<PromotionRow>(db, GET, { promotion_id: promotionId }) : [];
  if (!row) throw doesNotExist(`Promotion '${promotionId.slice(0, 100)}' not found`);
  return row;
}

const LIST = statement(
  'list_promotions',
  `select ${COLUMNS} from promotions
   where (:registry::text = '' or target ->> 'registry' = :registry) and (:name::text = '' or target ->> 'name' = :name)
     and (:before::bigint is null or (creation_timestamp, promotion_id) < (:before, :before_id::uuid))
   order by creation_timestamp desc, promotion_id desc limit :limit::integer`,
);

/** Newest first; `registry` and `name` of the target, '' for any; `before` is the last row of the page before. */
export function listPromotions(
  db: Db,
  of: { registry: string; name: string },
  before: { creation_timestamp: number; promotion_id: string } | null,
  limit: number,
): Promise<PromotionRow[]> {
  return run<PromotionRow>(db, LIST, {
    ...of,
    before: before?.creation_timestamp ?? null,
    before_id: before?.promotion_id ?? null,
    limit,
  });
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
