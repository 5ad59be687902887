import { type Db, run, statement } from '../../platform/db/database.ts';
import type { ExperimentRow } from '../../tracking/experiments/entity.ts';
import { EXPERIMENT_COLUMNS } from '../../tracking/experiments/store.ts';
import type { LoggedModelRow } from '../../tracking/logged-models/entity.ts';
import { LOGGED_MODEL_COLUMNS } from '../../tracking/logged-models/store.ts';
import { RUN_COLUMNS } from '../../tracking/runs/columns.ts';
import type { RunRow } from '../../tracking/runs/entity.ts';
import { VERSION_COLUMNS } from '../model-versions/columns.ts';
import type { ModelVersionRow } from '../model-versions/entity.ts';
import { type DescribingFile, describingFiles } from './model-files.ts';

/** What a version was made of, each null when it is not there: runs and logged models may have been removed, or never have been this server's. */
export type OriginRows = {
  run: RunRow | null;
  logged_model: LoggedModelRow | null;
  /** Of the run, or else of the logged model. */
  experiment: ExperimentRow | null;
  version: ModelVersionRow | null;
  /** Those of the version. */
  files: DescribingFile[] | null;
};

/** SQL that reads OriginRows of what the expressions name in `:scope`: common table expressions, and the columns. */
export const readingOrigin = (of: { runId: string; loggedModelId: string; modelId: string; version: string }) => ({
  with: `
   run as (
     select ${RUN_COLUMNS} from runs r join experiments e on e.experiment_id = r.experiment_id where r.run_id = ${of.runId} and e.scope_id = :scope),
   logged_model as (
     select ${LOGGED_MODEL_COLUMNS} from logged_models l join experiments e on e.experiment_id = l.experiment_id
     where l.model_id = ${of.loggedModelId} and e.scope_id = :scope),
   experiment as (
     select ${EXPERIMENT_COLUMNS} from experiments e
     where e.experiment_id = coalesce((select experiment_id from run), (select experiment_id from logged_model))),
   copied as (
     select ${VERSION_COLUMNS} from registered_models m join model_versions v on v.model_id = m.id
     where m.id = ${of.modelId} and v.version = ${of.version})`,
  select: `
   (select row_to_json(run) from run) as run, (select row_to_json(logged_model) from logged_model) as logged_model,
   (select row_to_json(experiment) from experiment) as experiment, (select row_to_json(copied) from copied) as version,
   (select json_agg(file) from (${describingFiles(of)}) file) as files`,
});

const bound = readingOrigin({
  runId: ':run_id',
  loggedModelId: ':logged_model_id',
  modelId: ':model_id::bigint',
  version: ':version::integer',
});
const READ = statement('read_origin', `with ${bound.with} select ${bound.select}`);

/** Reads the run and logged model of a scope ('' for none), their experiment, and the version that is copied (null for none), in any lifecycle stage. */
export async function readOriginRows(
  db: Db,
  scope: number,
  of: { runId: string; loggedModelId: string; copied: { modelId: number; version: number } | null },
): Promise<OriginRows> {
  const [rows] = await run<OriginRows>(db, READ, {
    scope,
    run_id: of.runId,
    logged_model_id: of.loggedModelId,
    model_id: of.copied?.modelId ?? null,
    version: of.copied?.version ?? null,
  });
  return rows ?? { run: null, logged_model: null, experiment: null, version: null, files: null };
}
