/** The columns of a RunInfoRow, of `runs r`. */
export const RUN_INFO_COLUMNS = `
  r.run_id, r.experiment_id, r.name, r.user_id, r.status, r.start_time, r.end_time, r.lifecycle_stage, r.artifact_uri`;

const keysAndValues = (table: string) =>
  `(select json_agg(json_build_object('key', t.key, 'value', t.value) order by t.key) from ${table} t where t.run_id = r.run_id)`;

/** A metric's value on the wire, of a table `m`. */
export const METRIC_VALUE = `case when m.is_nan then to_json('NaN'::text) else to_json(m.value) end`;

/** The columns of a RunRow as searches show it, of `runs r`: the stock server leaves model inputs out there. */
export const FOUND_RUN_COLUMNS = `${RUN_INFO_COLUMNS},
  ${keysAndValues('run_tags')} as tags,
  ${keysAndValues('run_params')} as params,
  (select json_agg(json_build_object('key', m.key, 'value', ${METRIC_VALUE}, 'timestamp', m.timestamp, 'step', m.step) order by m.key)
     from run_latest_metrics m where m.run_id = r.run_id) as metrics,
  (select json_agg(json_strip_nulls(json_build_object('tags', nullif(i.tags, '[]'), 'dataset', json_build_object(
       'name', d.name, 'digest', d.digest, 'source_type', d.source_type, 'source', d.source,
       'schema', nullif(d.schema, ''), 'profile', nullif(d.profile, '')))) order by i.position)
     from run_dataset_inputs i join datasets d on d.dataset_id = i.dataset_id where i.run_id = r.run_id) as dataset_inputs,
  (select json_agg(json_build_object('model_id', o.model_id, 'step', o.step) order by o.step, o.model_id)
     from run_model_outputs o where o.run_id = r.run_id) as model_outputs`;

/** The columns of a RunRow, of `runs r`. */
export const RUN_COLUMNS = `${FOUND_RUN_COLUMNS},
  (select json_agg(json_build_object('model_id', i.model_id) order by i.model_id)
     from run_model_inputs i where i.run_id = r.run_id) as model_inputs`;

/** The run of :scope and :runId, joined with its experiment. */
export const FROM_RUN = `
  from runs r join experiments e on e.experiment_id = r.experiment_id
  where r.run_id = :runId and e.scope_id = :scope`;

/**
 * That run if it is active, locked until the statement has ended: writers of one run queue here, so they neither overtake a deletion nor each
 * other, and cannot deadlock over the rows below it.
 */
export const ACTIVE_RUN = `select r.run_id, r.experiment_id ${FROM_RUN} and r.lifecycle_stage = 'active' for no key update of r`;
