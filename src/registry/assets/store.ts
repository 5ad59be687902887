import { type Db, run, statement } from '../../platform/db/database.ts';
import { VERSION_COLUMNS } from '../model-versions/columns.ts';
import type { ModelVersionRow } from '../model-versions/entity.ts';
import type { ModelKey } from '../registered-models/entity.ts';

const LIST_VERSIONS = statement(
  'list_model_versions',
  `select ${VERSION_COLUMNS} from registered_models m join model_versions v on v.model_id = m.id
   where m.scope_id = :scope and m.name = :name and (:below::bigint is null or v.version < :below)
   order by v.version desc limit :limit::integer`,
);

/** Versions of a model from the highest number downwards; only those below a number unless it is null. None for a model that is not there. */
export const listVersions = (db: Db, key: ModelKey, below: number | null, limit: number): Promise<ModelVersionRow[]> =>
  run<ModelVersionRow>(db, LIST_VERSIONS, { ...key, below, limit });
