import { eachAfter, type Group, get, listed, post, type Step } from '../case.ts';

const DROPPED = 'the stock server drops or mangles the field without a word';
// Written as it is sent: JavaScript's numbers do not hold these.
const MAX = '9223372036854775807';
const MIN = '-9223372036854775808';
const ODD = '9007199254740993';

const started = [
  post('experiments/create', { name: '{{n}}' }, { save: { e: 'experiment_id' } }),
  post('runs/create', { experiment_id: '{{e}}', run_name: 'one' }, { save: { r: 'run.info.run_id' } }),
];
const raw = (path: string, text: string): Step => ({
  method: 'POST',
  path: `runs/${path}`,
  raw: text,
  headers: { 'Content-Type': 'application/json' },
});
const point = (step: string, timestamp = '1') => `{"key": "m", "value": 1, "timestamp": ${timestamp}, "step": ${step}}`;
const logged = (step: string, timestamp = '1') => raw('log-metric', `{"run_id": "{{r}}", ${point(step, timestamp).slice(1)}`);
const history = get('metrics/get-history', { run_id: '{{r}}', metric_key: 'm' }, { ordered: ['metrics'] });
const shown = get('runs/get', { run_id: '{{r}}' });
const asBoth = (numbers: string[]) => numbers.flatMap((number) => [number, `"${number}"`]);

export const integers: Group = {
  group: 'integers',
  cases: [
    {
      name: 'of metrics, in the order of a history',
      steps: [
        ...started,
        ...asBoth([MAX, MIN, ODD, '9007199254740992']).map((step) => logged(step)),
        ...asBoth([MAX, ODD]).map((timestamp) => logged('1', timestamp)),
        history,
        shown,
        raw(
          'log-batch',
          `{"run_id": "{{r}}", "metrics": [${[point('9223372036854775806'), point(MAX, '2'), point('1', MAX)].join(', ')}]}`,
        ),
        history,
        shown,
        get('metrics/get-history-bulk-interval', { run_ids: '{{r}}', metric_key: 'm', start_step: ODD, end_step: MAX }),
      ],
    },
    {
      name: 'of runs',
      steps: [
        ...started,
        raw('create', `{"experiment_id": "{{e}}", "run_name": "late", "start_time": ${MAX}}`),
        raw('create', `{"experiment_id": "{{e}}", "run_name": "text", "start_time": "${ODD}"}`),
        raw('update', `{"run_id": "{{r}}", "status": "FINISHED", "end_time": ${MAX}}`),
        post('runs/search', { experiment_ids: ['{{e}}'], order_by: ['attributes.start_time DESC'] }),
        shown,
      ],
    },
    ...eachAfter('of another type', started, [
      raw('set-tag', `{"run_id": "{{r}}", "key": "k", "value": ${MAX}}`),
      raw('set-tag', `{"run_id": "{{r}}", "key": "k", "value": [{"b": ${ODD}, "a": "${ODD}"}]}`),
      raw('log-metric', `{"run_id": "{{r}}", "key": "m", "value": ${MAX}, "timestamp": 1}`),
      logged('1', MIN),
    ]),
    ...eachAfter(
      'out of range',
      started,
      listed(
        DROPPED,
        asBoth(['9223372036854775808', '-9223372036854775809', '12345678901234567890']).map((step) => logged(step)),
      ),
    ),
  ],
};
