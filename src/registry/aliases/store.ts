import { type Db, quickRead, run, statement } from '../../platform/db/database.ts';
import { doesNotExist, invalidState } from '../../platform/errors.ts';
import type { ModelKey } from '../registered-models/entity.ts';

export type AliasKey = ModelKey & { alias: string };

/** One move of an alias: versions are numbers, null where it was new or was removed; the time is epoch ms. */
export type AliasMoveRow = {
  id: number;
  from_version: number | null;
  to_version: number | null;
  moved_by: string;
  moved_timestamp: number;
};

const FROM_MODEL = 'from registered_models m where m.scope_id = :scope and m.name = :name';

const HISTORY = statement(
  'get_alias_history',
  `select (
     select json_agg(move) from (
       select id, from_version, to_version, moved_by, moved_timestamp from alias_moves
       where model_id = m.id and alias = :alias and (:before::bigint is null or id < :before) order by id desc limit :limit::integer) move) as moves
   ${FROM_MODEL}`,
);

const modelNotFound = ({ name }: ModelKey) => doesNotExist(`Registered Model with name=${name} not found`);
const aliasNotFound = ({ alias }: AliasKey) => doesNotExist(`Registered model alias ${alias} not found.`);

/** The moves of an alias, newest first, those before the one with the id `before`. Throws RESOURCE_DOES_NOT_EXIST for an unknown model. */
export async function getAliasHistory(db: Db, key: AliasKey, before: number | null, limit: number): Promise<AliasMoveRow[]> {
  const [row] = await run<{ moves: AliasMoveRow[] | null }>(db, HISTORY, { ...key, before, limit });
  if (!row) throw modelNotFound(key);
  return row.moves ?? [];
}

const AS_OF = quickRead(
  'get_alias_as_of',
  `select (
     select row_to_json(move) from (
       select id, from_version, to_version, moved_by, moved_timestamp from alias_moves
       where model_id = m.id and alias = :alias and (:as_of::bigint is null or moved_timestamp <= :as_of) order by id desc limit 1) move) as move
   ${FROM_MODEL}`,
);

/** The last move of an alias until a time (epoch ms), or of all. Throws RESOURCE_DOES_NOT_EXIST when it pointed to nothing then. */
export async function getAliasAsOf(db: Db, key: AliasKey, asOf: number | null): Promise<AliasMoveRow & { to_version: number }> {
  const [row] = await run<{ move: AliasMoveRow | null }>(db, AS_OF, { ...key, as_of: asOf });
  if (!row) throw modelNotFound(key);
  if (row.move?.to_version == null) throw aliasNotFound(key);
  return { ...row.move, to_version: row.move.to_version };
}

const ROLL_BACK = statement(
  'roll_back_alias',
  `with a as (
     select a.model_id, a.alias, a.version from registered_models m join registered_model_aliases a on a.model_id = m.id and a.alias = :alias
     where m.scope_id = :scope and m.name = :name for update of a),
   previous as (
     select move.from_version as version from a join alias_moves move on move.model_id = a.model_id and move.alias = a.alias
     join model_versions v on v.model_id = a.model_id and v.version = move.from_version
     where move.from_version <> a.version order by move.id desc limit 1),
   moved as (
     update registered_model_aliases r set version = previous.version from a, previous where r.model_id = a.model_id and r.alias = a.alias
     returning r.version)
   select a.version as from_version, (select version from moved) as to_version from a`,
);

/**
 * Points an alias to the version it pointed to before, if that is still there. Throws RESOURCE_DOES_NOT_EXIST for an unknown alias, INVALID_STATE when
 * there is no version before.
 */
export async function rollBackAlias(db: Db, key: AliasKey): Promise<{ from_version: number; to_version: number }> {
  const [row] = await run<{ from_version: number; to_version: number | null }>(db, ROLL_BACK, key);
  if (!row) throw aliasNotFound(key);
  if (row.to_version === null) throw invalidState(`Alias ${key.alias} of ${key.name} has no earlier version to go back to.`);
  return { from_version: row.from_version, to_version: row.to_version };
}
