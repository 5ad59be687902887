import { type Db, run, statement } from '../../platform/db/database.ts';
import { CONTEXT_TAG, type DatasetSummaryRow } from './entity.ts';

// 1000 at most, as mlflow/store/tracking/sqlalchemy_store.py (_search_datasets).
const FIND_SUMMARIES = statement(
  'find_dataset_summaries',
  `select distinct d.experiment_id, d.name, d.digest, context.value as context
   from experiments e
   join datasets d on d.experiment_id = e.experiment_id
   join run_dataset_inputs i on i.dataset_id = d.dataset_id
   left join lateral (
     select tag ->> 'value' as value from jsonb_array_elements(i.tags) tag where tag ->> 'key' = '${CONTEXT_TAG}' limit 1) context on true
   where e.scope_id = :scope and e.experiment_id = any (:experimentIds::bigint[])
   order by d.experiment_id, d.name, d.digest, context
   limit 1000`,
);

/** The data sets that runs of these experiments had as input, once for each context they were used in. */
export function findDatasetSummaries(db: Db, scope: number, experimentIds: number[]): Promise<DatasetSummaryRow[]> {
  return run<DatasetSummaryRow>(db, FIND_SUMMARIES, { scope, experimentIds });
}
