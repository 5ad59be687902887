/** The tables of the floors, in a schema of their own, which connections have as their search path. */
export const SCHEMA = `
  create schema if not exists floor;
  create table if not exists models (
    name text primary key, creation_time bigint not null, last_updated_time bigint not null, description text not null, last_version integer not null default 0);
  create table if not exists model_tags (name text references models, key text, value text not null, primary key (name, key));
  create table if not exists versions (
    name text references models, version integer, creation_time bigint not null, last_updated_time bigint not null, description text not null,
    current_stage text not null default 'None', source text not null, run_id text not null, primary key (name, version));
  create index if not exists versions_by_stage on versions (name, current_stage, version desc);
  create table if not exists version_tags (
    name text, version integer, key text, value text not null, primary key (name, version, key), foreign key (name, version) references versions);
  create table if not exists aliases (
    name text, alias text, version integer not null, primary key (name, alias), foreign key (name, version) references versions);
  create index if not exists aliases_by_version on aliases (name, version);
`;

const VERSION = `json_build_object(
  'name', v.name, 'version', v.version::text, 'creation_timestamp', v.creation_time, 'last_updated_timestamp', v.last_updated_time,
  'description', v.description, 'user_id', '', 'current_stage', v.current_stage, 'source', v.source, 'run_id', v.run_id, 'status', 'READY', 'run_link', '',
  'tags', (select json_agg(json_build_object('key', t.key, 'value', t.value)) from version_tags t where t.name = v.name and t.version = v.version),
  'aliases', (select json_agg(a.alias) from aliases a where a.name = v.name and a.version = v.version))`;

/** PostgreSQL writes the whole reply as one text, in one statement, of which Node makes no object. */
export type Route = {
  method: 'GET' | 'POST';
  path: string;
  /** Gives one row with one column, `reply`; none when what is asked for is not there. */
  sql: string;
  values(input: Record<string, unknown>): unknown[];
};

export const routes: Route[] = [
  {
    method: 'GET',
    path: '/registered-models/alias',
    sql: `select json_build_object('model_version', ${VERSION})::text as reply
      from aliases named join versions v on v.name = named.name and v.version = named.version where named.name = $1 and named.alias = $2`,
    values: ({ name, alias }) => [name, alias],
  },
  {
    method: 'GET',
    path: '/registered-models/get',
    sql: `select json_build_object('registered_model', json_build_object(
        'name', m.name, 'creation_timestamp', m.creation_time, 'last_updated_timestamp', m.last_updated_time, 'description', m.description,
        'tags', (select json_agg(json_build_object('key', t.key, 'value', t.value)) from model_tags t where t.name = m.name),
        'aliases', (select json_agg(json_build_object('alias', a.alias, 'version', a.version::text)) from aliases a where a.name = m.name),
        'latest_versions', (select json_agg(${VERSION}) from unnest(array['None', 'Staging', 'Production', 'Archived']) stage,
          lateral (select * from versions x where x.name = m.name and x.current_stage = stage order by x.version desc limit 1) v)))::text as reply
      from models m where m.name = $1`,
    values: ({ name }) => [name],
  },
  {
    method: 'GET',
    path: '/model-versions/get',
    sql: `select json_build_object('model_version', ${VERSION})::text as reply from versions v where v.name = $1 and v.version = $2::int`,
    values: ({ name, version }) => [name, version],
  },
  {
    method: 'GET',
    path: '/model-versions/get-download-uri',
    sql: `select json_build_object('artifact_uri', v.source)::text as reply from versions v where v.name = $1 and v.version = $2::int`,
    values: ({ name, version }) => [name, version],
  },
  {
    method: 'GET',
    path: '/model-versions/search',
    sql: `select json_build_object('model_versions', (select json_agg(${VERSION})
      from (select * from versions where name = $1 order by version desc limit 1) v))::text as reply`,
    values: ({ filter }) => [/^name='([^']*)'$/.exec(String(filter))?.[1]],
  },
  {
    method: 'POST',
    path: '/registered-models/alias',
    sql: `insert into aliases select v.name, $2::text, v.version from versions v where v.name = $1 and v.version = $3::int
      on conflict (name, alias) do update set version = excluded.version returning '{}' as reply`,
    values: ({ name, alias, version }) => [name, alias, version],
  },
  {
    method: 'POST',
    path: '/model-versions/set-tag',
    sql: `insert into version_tags select v.name, v.version, $3::text, $4::text from versions v where v.name = $1 and v.version = $2::int
      on conflict (name, version, key) do update set value = excluded.value returning '{}' as reply`,
    values: ({ name, version, key, value }) => [name, version, key, value],
  },
  {
    method: 'POST',
    path: '/model-versions/transition-stage',
    sql: `with model as (update models set last_updated_time = $4 where name = $1 returning name),
        v as (update versions set current_stage = $3, last_updated_time = $4 from model
          where versions.name = model.name and versions.version = $2::int returning versions.*)
      select json_build_object('model_version', ${VERSION})::text as reply from v`,
    values: ({ name, version, stage }) => [name, version, stage, Date.now()],
  },
  {
    method: 'POST',
    path: '/model-versions/create',
    // The number comes from a counter, whose update is the lock: max(version) + 1 would be read before the wait for it.
    sql: `with model as (update models set last_version = last_version + 1, last_updated_time = $2 where name = $1 returning name, last_version),
        v as (insert into versions (name, version, creation_time, last_updated_time, description, source, run_id)
          select name, last_version, $2, $2, $3, $4, $5 from model returning *),
        t as (insert into version_tags select v.name, v.version, given.key, given.value
          from v, json_to_recordset($6::json) given (key text, value text) returning key, value)
      select json_build_object('model_version', json_build_object(
        'name', v.name, 'version', v.version::text, 'creation_timestamp', v.creation_time, 'last_updated_timestamp', v.last_updated_time,
        'description', v.description, 'user_id', '', 'current_stage', v.current_stage, 'source', v.source, 'run_id', v.run_id, 'status', 'READY',
        'run_link', '', 'tags', (select json_agg(json_build_object('key', t.key, 'value', t.value)) from t)))::text as reply from v`,
    values: ({ name, description, source, run_id, tags }) => [
      name,
      Date.now(),
      description ?? '',
      source,
      run_id ?? '',
      JSON.stringify(tags ?? []),
    ],
  },
  {
    method: 'POST',
    path: '/registered-models/create',
    sql: `with m as (insert into models (name, creation_time, last_updated_time, description) values ($1, $2, $2, $3) on conflict do nothing returning *),
        t as (insert into model_tags select m.name, given.key, given.value from m, json_to_recordset($4::json) given (key text, value text)
          returning key, value)
      select json_build_object('registered_model', json_build_object(
        'name', m.name, 'creation_timestamp', m.creation_time, 'last_updated_timestamp', m.last_updated_time, 'description', m.description,
        'tags', (select json_agg(json_build_object('key', t.key, 'value', t.value)) from t)))::text as reply from m`,
    values: ({ name, description, tags }) => [name, Date.now(), description ?? '', JSON.stringify(tags ?? [])],
  },
];
