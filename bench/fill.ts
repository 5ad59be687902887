import pg from 'pg';

/** Versions of the models that show whether a cost grows with the versions of one model; a database has those that are at most a tenth of it. */
const GROWN = [10, 1_000, 10_000, 100_000];
const WORDS = ['churn', 'demand', 'pricing', 'ranking', 'search', 'vision', 'speech', 'risk'];
/** The same at every size, so that what is found is too. */
const RARE = 20;
const FIRST_MS = 1_700_000_000_000;

export type FilledModel = { name: string; scope: string; versions: number };

/** What `fill` puts into a database: requests are made of it. */
export type Filling = {
  versions: number;
  runs: number;
  /** The models of the workspace `default`, of few versions each. */
  models: FilledModel[];
  /** Those of 10 versions, 1000, and so on. */
  grown: FilledModel[];
  all: FilledModel[];
};

export const SMALL_WORKSPACE = 'small';
export const PREFIX = 'fraud-';
export const INFIX = 'nightly';
/** On every 50th version, and on 20 whatever the size; `git_commit` is on all, on each with a value of its own. */
export const COMMON_TAG = { key: 'team', value: 'team-7' };
export const RARE_TAG = { key: 'incident', value: 'open' };

/** A registry of so many versions, with 2 % of its models in a registry, and one in a workspace of its own. */
export function fillingOf(
  versions: number,
  { models = Math.max(100, versions / 100), runs = Math.max(1000, versions / 10) }: { models?: number; runs?: number } = {},
): Filling {
  const grown = GROWN.filter((count) => count * 10 <= versions).map((count) => ({
    name: `grown-${count}`,
    scope: 'default',
    versions: count,
  }));
  const many = models - grown.length;
  const rest = versions - grown.reduce((sum, model) => sum + model.versions, 0);
  const small = Array.from({ length: many }, (_, k) => ({
    name: nameOf(k),
    scope: k === 2 * RARE ? SMALL_WORKSPACE : k % 50 === 49 ? 'shared' : 'default',
    versions: Math.floor(rest / many) + (k < rest % many ? 1 : 0),
  }));
  return { versions, runs, models: small.filter(({ scope }) => scope === 'default'), grown, all: [...grown, ...small] };
}

function nameOf(k: number): string {
  const number = String(k).padStart(5, '0');
  if (k < RARE) return `${PREFIX}${number}`;
  const word = WORDS[k % WORDS.length];
  return k < 2 * RARE ? `${word}-${INFIX}-${number}` : `${word}-${number}`;
}

/** The value of `git_commit` of the version that was made as number `rank` of all, from 1. */
const COMMIT = "md5('commit ' || rank)";

const STATEMENTS = [
  `insert into scopes (kind, name) values ('workspace', '${SMALL_WORKSPACE}'), ('registry', 'shared')`,
  `insert into blobs (sha256, size, storage_key)
   select encode(sha256(('blob ' || n)::bytea), 'hex'), 1000 + n, 'fill/' || n from generate_series(1, :runs) n`,

  `insert into registered_models (scope_id, name, description, creation_timestamp, last_updated_timestamp, last_version)
   select s.id, m.name, 'Model ' || m.name, ${FIRST_MS}, ${FIRST_MS} + m.k * 1000, m.versions
   from planned_models m join scopes s on s.name = m.scope order by m.k`,
  `insert into registered_model_tags (model_id, key, value)
   select id, key, case key when 'owner' then 'person-' || id % 500 else 'c' || id % 20 end
   from registered_models, unnest(array['cost_centre', 'owner']) key`,

  // As they come in the life of a registry: all models grow at once.
  `create temporary table planned as
   select m.id as model_id, n as version, p.versions, row_number() over (order by n / p.versions::float, m.id) as rank
   from planned_models p join scopes s on s.name = p.scope join registered_models m on m.scope_id = s.id and m.name = p.name
   cross join lateral generate_series(1, p.versions) n`,
  'analyze planned',
  `insert into model_versions
     (model_id, version, creation_timestamp, last_updated_timestamp, description, current_stage, source, storage_location, digest, run_id)
   select model_id, version, ${FIRST_MS} + rank * 1000, ${FIRST_MS} + rank * 1000, 'Trained by the nightly job',
     case when version = versions then 'Production' when version = versions - 1 then 'Staging' when version % 10 = 0 then 'Archived' else 'None' end,
     'mlflow-artifacts:/1/' || md5('run ' || rank % :runs) || '/artifacts/model', 'mlflow-artifacts:/registered-models/' || model_id || '/versions/' || version,
     encode(sha256(('version ' || rank)::bytea), 'hex'), md5('run ' || rank % :runs)
   from planned order by rank`,
  `insert into model_version_tags (model_id, version, key, value)
   select model_id, version, tag.key, tag.value from planned cross join lateral (values
     ('framework', (array['sklearn', 'torch', 'xgboost', 'onnx'])[rank % 4 + 1]), ('team', 'team-' || rank % 50), ('git_commit', ${COMMIT})) tag (key, value)
   order by rank`,
  `insert into model_version_tags (model_id, version, key, value)
   select model_id, version, '${RARE_TAG.key}', '${RARE_TAG.value}' from planned
   where version = 1 and model_id in (select id from registered_models where name like '${PREFIX}%')`,
  `insert into model_version_files (model_id, version, path, blob_id)
   select model_id, version, 'MLmodel', (select min(id) from blobs) + rank % :runs from planned order by rank`,
  `insert into registered_model_aliases (model_id, alias, version)
   select model_id, case versions - version when 0 then 'champion' else 'challenger' end, version from planned where versions - version < 2`,
  'insert into alias_moves (model_id, alias, to_version) select model_id, alias, version from registered_model_aliases',

  `insert into experiments (scope_id, name, artifact_location) select 1, name, 'mlflow-artifacts:/' || name from unnest(array['large', 'small']) name`,
  `create temporary table planned_runs as
   select md5('run ' || n) as run_id, n, experiment_id
   from generate_series(0, :runs - 1) n join experiments e on e.name = case when n % 10 = 0 then 'small' else 'large' end`,
  `insert into runs (run_id, experiment_id, name, user_id, status, start_time, end_time, artifact_uri)
   select run_id, experiment_id, 'run-' || n, 'user-' || n % 10, 'FINISHED', ${FIRST_MS} + n * 1000, ${FIRST_MS} + n * 1000 + 500,
     'mlflow-artifacts:/' || experiment_id || '/' || run_id || '/artifacts'
   from planned_runs order by n`,
  `insert into run_tags (run_id, key, value)
   select run_id, tag.key, tag.value from planned_runs cross join lateral (values
     ('mlflow.user', 'user-' || n % 10), ('mlflow.runName', 'run-' || n), ('mlflow.source.git.commit', md5('commit ' || n))) tag (key, value)
   order by n`,
  `insert into run_tags (run_id, key, value)
   select run_id, '${RARE_TAG.key}', '${RARE_TAG.value}' from planned_runs where n % (:runs / ${RARE}) = 1`,
  `insert into run_params (run_id, key, value)
   select run_id, param.key, param.value from planned_runs cross join lateral (values
     ('learning_rate', '0.0' || n % 5), ('max_depth', (n % 20)::text), ('seed', n::text)) param (key, value)
   order by n`,
  `insert into run_latest_metrics (run_id, key, timestamp, step, value, is_nan)
   select run_id, key, ${FIRST_MS} + n * 1000, 0, n::bigint * 7919 % 10007 / 10007.0, false
   from planned_runs cross join unnest(array['accuracy', 'loss', 'rmse']) key order by n`,
  'insert into run_metrics (run_id, key, timestamp, step, value) select run_id, key, timestamp, step, value from run_latest_metrics',
  `insert into datasets (experiment_id, name, digest, source_type, source)
   select experiment_id, 'day-' || day, day, 'local', '/data' from experiments, generate_series(1, 30) day where experiment_id > 0`,
  `insert into run_dataset_inputs (run_id, dataset_id)
   select run_id, dataset_id from planned_runs r join datasets d on d.experiment_id = r.experiment_id and d.digest = (r.n % 30 + 1)::text order by n`,
  `insert into run_model_outputs (run_id, model_id) select run_id, 'm-' || md5('model ' || n) from planned_runs order by n`,
  `insert into artifacts (scope_id, path, blob_id)
   select 1, experiment_id || '/' || run_id || '/artifacts/model/MLmodel', (select min(id) from blobs) + n from planned_runs order by n`,
];

const FILLED = [
  'model_versions',
  'model_version_tags',
  'model_version_files',
  'run_tags',
  'run_params',
  'run_latest_metrics',
  'run_metrics',
];

/**
 * Fills a migrated, empty database by SQL, in the state that so many requests would have left it in, statistics too. Triggers and the checks of
 * foreign keys are off meanwhile, so it needs a superuser; indexes are made afterwards.
 */
export async function fill(url: string, { runs, all }: Filling): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set session_replication_role = replica; set work_mem = '256MB'; set maintenance_work_mem = '256MB'");
    await client.query('create temporary table planned_models (k integer, name text, scope text, versions integer)');
    await client.query('insert into planned_models select * from unnest($1::integer[], $2::text[], $3::text[], $4::integer[])', [
      ...[all.map((_, k) => k), all.map(({ name }) => name), all.map(({ scope }) => scope), all.map((model) => model.versions)],
    ]);
    const { rows: indexes } = await client.query<{ name: string; definition: string }>(
      `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
       from pg_index where not indisunique and indrelid = any ($1::regclass[])`,
      [FILLED],
    );
    for (const { name } of indexes) await client.query(`drop index ${name}`);
    for (const statement of STATEMENTS) {
      await client.query(statement.replaceAll(':runs', String(runs)));
    }
    for (const { definition } of indexes) await client.query(definition);
    await client.query('vacuum (analyze)');
  } finally {
    await client.end();
  }
}
