import { get, lines, post, type Step } from '../case.ts';

// What the cases of experiments, runs and their metrics share: an experiment {{e}} with a run {{r}}, and values to send them.

export const DROPPED = 'the stock server drops or mangles the field without a word';
export const SQL_TEXT = 'the stock server answers with SQL in the text';
export const BUG_500 = 'a 500 on the stock server';

export const made = post('experiments/create', { name: '{{n}}' }, { save: { e: 'experiment_id' } });
export const create = (more: object = {}, id = 'r'): Step =>
  post('runs/create', { experiment_id: '{{e}}', run_name: 'one', ...more }, { save: { [id]: 'run.info.run_id' } });
export const started = [made, create()];
export const shown = get('runs/get', { run_id: '{{r}}' }, { unordered: ['dataset_inputs', 'model_inputs', 'model_outputs'] });
export const of = (path: string, more: object = {}, id: unknown = '{{r}}'): Step => post(`runs/${path}`, { run_id: id, ...more });
export const metric = (more: object = {}) => ({ key: 'm', value: 1, timestamp: 1, ...more });
export const batch = (more: object): Step => of('log-batch', more);
export const dataset = (more: object = {}, tags?: unknown) => ({
  dataset: { name: 'iris', digest: 'd1', source_type: 'local', source: '{"uri":"x"}', ...more },
  ...(tags !== undefined && { tags }),
});
export const model = {
  artifact_path: 'model',
  flavors: { python_function: { config: { a: 1 }, x: 1.5 } },
  utc_time_created: '2020',
  run_id: 'x',
};
export const wrongTypes = [5, 1.5, true, [], ['x'], {}, { a: 1 }, null, ''];

/** Keys of tags, params and metrics: right, odd and wrong. */
export const keys = [
  ...lines(`
    k
    a/b
    a.b-c_d e:f
    ключ
    a//b
    a/
    ./a
    /a
    ..x
    ..
    .
    a%b
    a\\b
    a#b
    a(b)
    a=b
    a,b
    😀`),
  ' ',
  '',
  'x'.repeat(250),
  'x'.repeat(251),
];
