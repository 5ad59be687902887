import { type Db, run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import type { VersionKey } from '../model-versions/store.ts';

/** A version as it is now, under its names of today. `snapshot` and what follows are null for one that was not promoted. */
export type LiveVersion = {
  model_id: number;
  scope_id: number;
  kind: 'workspace' | 'registry';
  scope: string;
  name: string;
  version: number;
  digest: string | null;
  creation_timestamp: number;
  source: string;
  run_id: string;
  logged_model_id: string;
  aliases: string[];
  snapshot: string | null;
  sha256: string | null;
  source_model_id: number | null;
  source_version: number | null;
};

const COLUMNS = `
  m.id as model_id, s.id as scope_id, s.kind, s.name as scope, m.name, v.version, v.digest, v.creation_timestamp, v.source, v.run_id, v.logged_model_id,
  array(select a.alias from registered_model_aliases a where a.model_id = v.model_id and a.version = v.version order by a.alias) as aliases,
  p.snapshot, p.sha256, p.source_model_id, p.source_version`;

const FROM = `
  from model_versions v join registered_models m on m.id = v.model_id join scopes s on s.id = m.scope_id
  left join model_version_provenance p on p.model_id = v.model_id and p.version = v.version`;

const GET = statement(
  'get_lineage_version',
  `select ${COLUMNS} ${FROM} where m.scope_id = :scope and m.name = :name and v.version = :version::bigint`,
);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getLiveVersion(db: Db, key: VersionKey): Promise<LiveVersion> {
  const [row] = await run<LiveVersion>(db, GET, key);
  if (!row) throw doesNotExist(`Model Version (name=${key.name}, version=${key.version}) not found`);
  return row;
}

const FIND_BY_ID = statement(
  'find_lineage_version',
  `select ${COLUMNS} ${FROM} where v.model_id = :model_id::bigint and v.version = :version::integer`,
);

/** The version that another one was promoted from, if it is still there. */
export async function findSource(db: Db, { source_model_id, source_version }: LiveVersion): Promise<LiveVersion | null> {
  const [row] = await run<LiveVersion>(db, FIND_BY_ID, { model_id: source_model_id, version: source_version });
  return row ?? null;
}

const FIND_BY_DIGEST = statement(
  'find_lineage_version_by_digest',
  `select ${COLUMNS} ${FROM} where s.name = :scope and m.name = :name and v.version = :version::bigint and v.digest = :digest`,
);

/** The version of these names, unless it has other bytes now: then another one was made in its place. */
export async function findSameVersion(
  db: Db,
  named: { scope: string; name: string; version: number; digest: string },
): Promise<LiveVersion | null> {
  const [row] = await run<LiveVersion>(db, FIND_BY_DIGEST, named);
  return row ?? null;
}

const FIND_COPIED = statement(
  'find_copied_version',
  `select ${COLUMNS} ${FROM}
   where v.version = :version::bigint and v.creation_timestamp <= :before::bigint
     and ((m.scope_id = :scope and m.name = :name) or (s.name = :first_part and m.name = :rest))
   order by (s.name = :first_part) desc limit 1`,
);

/** The version whose copy in a workspace this is: a `source` of `models:/<name>/<version>`, or of another scope `models:/<scope>.<name>/<version>`. */
export async function findCopied(db: Db, { source, scope_id, creation_timestamp }: LiveVersion): Promise<LiveVersion | null> {
  const [, name, version] = /^models:\/([^/@?#]+)\/(\d{1,9})$/.exec(source) ?? [];
  if (name === undefined) return null;
  const dot = name.indexOf('.');
  const [row] = await run<LiveVersion>(db, FIND_COPIED, {
    scope: scope_id,
    name,
    version,
    before: creation_timestamp,
    first_part: dot < 0 ? '' : name.slice(0, dot),
    rest: name.slice(dot + 1),
  });
  return row ?? null;
}

type VersionIds = Pick<LiveVersion, 'model_id' | 'version'>;

const GIVEN = 'given as (select * from unnest(:model_ids::bigint[], :versions::integer[]) as given (model_id, version))';
const given = (versions: VersionIds[]) => ({
  model_ids: versions.map(({ model_id }) => model_id),
  versions: versions.map(({ version }) => version),
});

const LIST_DERIVED = statement(
  'list_derived_versions',
  `with ${GIVEN},
   originals as (
     select g.model_id, g.version, m.scope_id, m.name, s.name as scope, v.creation_timestamp
     from given g join model_versions v on v.model_id = g.model_id and v.version = g.version
     join registered_models m on m.id = g.model_id join scopes s on s.id = m.scope_id),
   derived as (
     select o.model_id as from_model, o.version as from_version, p.model_id, p.version
     from originals o join model_version_provenance p on p.source_model_id = o.model_id and p.source_version = o.version
     union
     select o.model_id, o.version, c.model_id, c.version
     from originals o join model_versions c on c.source = 'models:/' || o.name || '/' || o.version and c.creation_timestamp >= o.creation_timestamp
     join registered_models copy on copy.id = c.model_id and copy.scope_id = o.scope_id
     where (c.model_id, c.version) <> (o.model_id, o.version)
     union
     select o.model_id, o.version, c.model_id, c.version
     from originals o
     join model_versions c on c.source = 'models:/' || o.scope || '.' || o.name || '/' || o.version and c.creation_timestamp >= o.creation_timestamp
     join registered_models copy on copy.id = c.model_id and copy.scope_id <> o.scope_id
     join scopes home on home.id = copy.scope_id and home.kind = 'workspace')
   select d.from_model, d.from_version, ${COLUMNS}
   ${FROM} join derived d on d.model_id = v.model_id and d.version = v.version
   order by v.creation_timestamp, v.model_id, v.version limit :limit::integer`,
);

export type DerivedVersion = LiveVersion & { from_model: number; from_version: number };

/** What was promoted or copied from these versions, the oldest first. */
export function listDerived(db: Db, versions: VersionIds[], limit: number): Promise<DerivedVersion[]> {
  return run<DerivedVersion>(db, LIST_DERIVED, { ...given(versions), limit });
}

const LIST_WORKSPACES = statement(
  'list_consuming_workspaces',
  `with ${GIVEN}
   select c.model_id, c.version, c.workspace, c.user_name, min(c.first_time) as first_time, max(c.last_time) as last_time,
     sum(c.resolve_count)::bigint as resolve_count, sum(c.download_count)::bigint as download_count
   from given g join model_version_consumers c on c.model_id = g.model_id and c.version = g.version
   group by c.model_id, c.version, c.workspace, c.user_name
   order by last_time desc, c.model_id, c.version, c.workspace, c.user_name limit :limit::integer`,
);

/** Who has resolved and downloaded a version; times are epoch ms. */
export type Use = VersionIds & {
  workspace: string;
  user_name: string;
  first_time: number;
  last_time: number;
  resolve_count: number;
  download_count: number;
};

export function listUses(db: Db, versions: VersionIds[], limit: number): Promise<Use[]> {
  return run<Use>(db, LIST_WORKSPACES, { ...given(versions), limit });
}

const LIST_RUNS = statement(
  'list_runs_using_version',
  `with ${GIVEN}
   select v.model_id, v.version, r.run_id, r.name, r.status, r.start_time, r.end_time, r.experiment_id::text as experiment_id, s.name as workspace
   from given g join model_versions v on v.model_id = g.model_id and v.version = g.version and v.logged_model_id <> ''
   join run_model_inputs i on i.model_id = v.logged_model_id
   join runs r on r.run_id = i.run_id join experiments e on e.experiment_id = r.experiment_id join scopes s on s.id = e.scope_id
   where r.lifecycle_stage = 'active'
   order by r.start_time desc nulls last, r.run_id limit :limit::integer`,
);

export type UsingRun = VersionIds & {
  run_id: string;
  name: string;
  status: string;
  start_time: number | bigint | null;
  end_time: number | bigint | null;
  experiment_id: string;
  workspace: string;
};

/** The runs that had the model of one of these versions as input, the newest first. */
export function listUsingRuns(db: Db, versions: VersionIds[], limit: number): Promise<UsingRun[]> {
  return run<UsingRun>(db, LIST_RUNS, { ...given(versions), limit });
}

const FIND_LIVE = statement(
  'find_live_nodes',
  `select
     array(select run_id from runs where run_id = any(:runs::text[]) and lifecycle_stage = 'active') as runs,
     array(select experiment_id::text from experiments where experiment_id = any(:experiments::bigint[]) and lifecycle_stage = 'active') as experiments,
     array(select model_id from logged_models where model_id = any(:logged_models::text[]) and lifecycle_stage = 'active') as logged_models,
     array(select promotion_id::text from promotions where promotion_id = any(:promotions::uuid[])) as promotions,
     array(select distinct d.name || ' ' || d.digest from datasets d join run_dataset_inputs i on i.dataset_id = d.dataset_id
       where i.run_id = any(:runs)) as datasets,
     (select json_object_agg(name, creation_timestamp) from scopes where kind = 'workspace' and name = any(:workspaces::text[])) as workspaces`,
);

/** What of these is there now. Data sets are told by name and digest of those that the runs had, workspaces with when they were made (epoch ms). */
export type Live = {
  runs: string[];
  experiments: string[];
  logged_models: string[];
  promotions: string[];
  datasets: string[];
  workspaces: Record<string, number> | null;
};

export async function findLive(
  db: Db,
  asked: { runs: string[]; experiments: string[]; logged_models: string[]; promotions: string[]; workspaces: string[] },
): Promise<Live> {
  const [row] = await run<Live>(db, FIND_LIVE, asked);
  if (!row) throw new Error('find_live_nodes gave no row');
  return row;
}
