import { type Db, quickRead, run } from '../../platform/db/database.ts';
import { describingFiles } from '../provenance/model-files.ts';
import { type OriginRows, readingOrigin } from '../provenance/origin-rows.ts';
import { IS_PROMPT_TAG, type ModelKey } from '../registered-models/entity.ts';
import { VERSION_COLUMNS } from './columns.ts';
import type { ModelVersionRow } from './entity.ts';

const VERSION_TO_COPY = `
  select m.id as model_id, exists (select from registered_model_tags t where t.model_id = m.id and t.key = '${IS_PROMPT_TAG}') as is_prompt,
    v.version, v.run_id, v.logged_model_id, v.storage_location, v.digest, v.status
  from registered_models m
  left join registered_model_aliases a on a.model_id = m.id and a.alias = :alias::text
  left join model_versions v on v.model_id = m.id and v.version = coalesce(:version::bigint, a.version)
  where m.scope_id = :scope and m.name = :name`;

const FIND = quickRead('model_version_to_copy', VERSION_TO_COPY);

const ofSource = (column: string) => `(select ${column} from source)`;
const named = { modelId: ofSource('model_id'), version: ofSource('version') };
const origin = readingOrigin({ runId: ofSource('run_id'), loggedModelId: ofSource('logged_model_id') });
const FIND_WITH_ORIGIN = quickRead(
  'model_version_to_copy_with_origin',
  `with source as (${VERSION_TO_COPY}), ${origin.with},
   copied as (
     select ${VERSION_COLUMNS} from registered_models m join model_versions v on v.model_id = m.id
     where m.id = ${named.modelId} and v.version = ${named.version})
   select source.*, (select row_to_json(origin) from (
     select ${origin.select}, (select row_to_json(copied) from copied) as version,
       (select json_agg(file) from (${describingFiles(named)}) file) as files) origin) as origin
   from source`,
);

/** A version that may become the source of another, and its model. */
export type VersionToCopy = {
  model_id: number;
  is_prompt: boolean;
  /** Null, with what follows, when there is no such version. */
  version: number | null;
  run_id: string;
  logged_model_id: string;
  storage_location: string;
  digest: string | null;
  status: ModelVersionRow['status'];
  /** What it was made of, when that was asked for. */
  origin?: OriginRows;
};

/** Reads the version of a number or alias, whichever is not null; `withOrigin`: also what it was made of, in its own scope. Undefined when there is no such model. */
export async function findVersionToCopy(
  db: Db,
  key: ModelKey,
  of: { version: number | null; alias: string | null },
  withOrigin: boolean,
): Promise<VersionToCopy | undefined> {
  const [row] = await run<VersionToCopy>(db, withOrigin ? FIND_WITH_ORIGIN : FIND, { ...key, ...of });
  return row;
}
