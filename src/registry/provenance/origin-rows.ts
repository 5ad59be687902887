import { type Db, run, statement } from '../../platform/db/database.ts';
import type { ExperimentRow } from '../../tracking/experiments/entity.ts';
import { EXPERIMENT_COLUMNS } from '../../tracking/experiments/store.ts';
import type { LoggedModelRow } from '../../tracking/logged-models/entity.ts';
import { LOGGED_MODEL_COLUMNS } from '../../tracking/logged-models/store.ts';
import { RUN_COLUMNS } from '../../tracking/runs/columns.ts';
import type { RunRow } from '../../tracking/runs/entity.ts';
import type { ModelVersionRow } from '../model-versions/entity.ts';
import type { DescribingFile } from './model-files.ts';

/** What a version was made of, each null when it is not there: runs and logged models may have been removed, or never have been this server's. */
export type OriginRows = {
  run: RunRow | null;
  logged_model: LoggedModelRow | null;
  /** Of the run, or else of the logged model. */
  experiment: ExperimentRow | null;
  /** The version that is copied, and its files that describe it; not there when none is. */
  version?: ModelVersionRow | null;
  files?: DescribingFile[] | null;
};

/** SQL that reads the OriginRows of the run and logged model that the expressions name in `:scope`: common table expressions, and the columns. */
export const readingOrigin = (of: { runId: string; loggedModelId: string }) => ({
  with: `
   run as (
     select ${RUN_COLUMNS} from runs r join experiments e on e.experiment_id = r.experiment_id where r.run_id = ${of.runId} and e.scope_id = :scope),
   logged_model as (
     select ${LOGGED_MODEL_COLUMNS} from logged_models l join experiments e on e.experiment_id = l.experiment_id
     where l.model_id = ${of.loggedModelId} and e.scope_id = :scope),
   experiment as (
     select ${EXPERIMENT_COLUMNS} from experiments e
     where e.experiment_id = coalesce((select experiment_id from run), (select experiment_id from logged_model)))`,
  select: `
   (select row_to_json(run) from run) as run, (select row_to_json(logged_model) from logged_model) as logged_model,
   (select row_to_json(experiment) from experiment) as experiment`,
});

const bound = readingOrigin({ runId: ':run_id', loggedModelId: ':logged_model_id' });
const READ = statement('read_origin', `with ${bound.with} select ${bound.select}`);

/** Reads the run and logged model of a scope ('' for none) and their experiment, in any lifecycle stage. */
export async function readOriginRows(db: Db, scope: number, of: { runId: string; loggedModelId: string }): Promise<OriginRows> {
  const [rows] = await run<OriginRows>(db, READ, { scope, run_id: of.runId, logged_model_id: of.loggedModelId });
  return rows ?? { run: null, logged_model: null, experiment: null };
}
