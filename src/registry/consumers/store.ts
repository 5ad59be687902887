import { type Db, run, sqlBuilder, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import { fetchPage } from '../../platform/search/page.ts';
import type { VersionKey } from '../model-versions/store.ts';

/** What was counted of one consumer of one version, which is named by `model_id`, or by `scope_id` and `name`. Times are epoch ms. */
export type Consumption = {
  model_id: string | null;
  scope_id: number | null;
  name: string | null;
  version: number;
  workspace: string;
  user_name: string;
  client: string;
  aliases: string[];
  first_time: number;
  last_time: number;
  resolve_count: number;
  download_count: number;
};

// In the order of the key, so that servers which write at once do not wait for each other in a circle.
const ADD = statement(
  'add_consumption',
  `insert into model_version_consumers as known
     (model_id, version, workspace, user_name, client, aliases, first_time, last_time, resolve_count, download_count)
   select v.model_id, v.version, g.workspace, g.user_name, g.client, max(g.aliases), min(g.first_time), max(g.last_time),
     sum(g.resolve_count), sum(g.download_count)
   from jsonb_to_recordset(:counted::jsonb) as g (
     model_id bigint, scope_id integer, name text, version integer, workspace text, user_name text, client text, aliases text[],
     first_time bigint, last_time bigint, resolve_count bigint, download_count bigint)
   join registered_models m
     on m.id = coalesce(g.model_id, (select named.id from registered_models named where named.scope_id = g.scope_id and named.name = g.name))
   join scopes s on s.id = m.scope_id and s.kind = 'registry'
   join model_versions v on v.model_id = m.id and v.version = g.version
   group by v.model_id, v.version, g.workspace, g.user_name, g.client
   order by v.model_id, v.version, g.workspace collate "C", g.user_name collate "C", g.client collate "C"
   on conflict (model_id, version, workspace, user_name, client) do update set
     aliases = array(select distinct alias from unnest(known.aliases || excluded.aliases) alias order by alias),
     first_time = least(known.first_time, excluded.first_time), last_time = greatest(known.last_time, excluded.last_time),
     resolve_count = known.resolve_count + excluded.resolve_count, download_count = known.download_count + excluded.download_count`,
);

/** Adds counts to those in the database; what is of a version that is gone is left out. */
export async function addConsumption(db: Db, counted: Consumption[]): Promise<void> {
  await run(db, ADD, { counted: JSON.stringify(counted) });
}

export type ConsumerRow = Pick<
  Consumption,
  'workspace' | 'user_name' | 'client' | 'aliases' | 'first_time' | 'last_time' | 'resolve_count' | 'download_count'
>;

const COLUMNS = ['workspace', 'user_name', 'client', 'aliases', 'first_time', 'last_time', 'resolve_count', 'download_count'];

const GET_ID = statement(
  'get_consumed_version',
  `select v.model_id from registered_models m join model_versions v on v.model_id = m.id and v.version = :version::bigint
   where m.scope_id = :scope and m.name = :name`,
);

/** Who uses a version, the last first, page by page. Throws RESOURCE_DOES_NOT_EXIST. */
export async function listConsumers(
  db: Db,
  key: VersionKey,
  page: { limit: number; pageToken: string | undefined },
): Promise<{ rows: ConsumerRow[]; nextPageToken: string | null }> {
  const [found] = await run<{ model_id: number }>(db, GET_ID, key);
  if (!found) throw doesNotExist(`Model Version (name=${key.name}, version=${key.version}) not found`);
  const of = { model_id: found.model_id, version: key.version };
  return fetchPage<ConsumerRow>(db, sqlBuilder('model_version_consumers').select(COLUMNS).where(of), {
    ...page,
    sorts: [{ sql: 'last_time', descending: true }, ...['workspace', 'user_name', 'client'].map((sql) => ({ sql, descending: false }))],
    fingerprint: of,
  });
}
