import { each, eachAfter, eachValue, type Group, get, listed, post, type Step } from '../case.ts';
import { BUG_500, batch, create, DROPPED, dataset, made, metric, model, of, SQL_TEXT, shown, started, wrongTypes } from './run-steps.ts';

const NUL = 'a text with NUL: the stock server answers with its database driver’s text, or drops it';
const NOT_OBJECT = 'a 500 HTML page on the stock server';
const MALFORMED = 'the stock server answers as if nothing was sent; ours says that the body is not JSON';
const NO_ID = 'run_uuid is not taken here, and ours says which name is';

const runIds = ['nope', 'a b', 'x'.repeat(33), 'x'.repeat(257), '-', '%', "' or 1=1 --", '0'.repeat(32), ' {{r}}', '{{r}} ', 'ünï'];
const byUuid = ['update', 'set-tag', 'log-metric', 'log-parameter'];
/** The calls that change a run, with what they need. */
const writes: [string, Record<string, unknown>][] = [
  ['update', { status: 'FINISHED' }],
  ['delete', {}],
  ['restore', {}],
  ['set-tag', { key: 'k', value: 'v' }],
  ['delete-tag', { key: 'mlflow.runName' }],
  ['log-metric', metric()],
  ['log-parameter', { key: 'k', value: 'v' }],
  ['log-batch', { params: [{ key: 'q', value: '1' }] }],
  ['log-inputs', { datasets: [dataset()] }],
  ['outputs', { models: [] }],
  ['log-model', { model_json: JSON.stringify(model) }],
];

const reads = ['runs/create', 'runs/search', 'experiments/create', 'experiments/search', ...writes.map(([path]) => `runs/${path}`)];
const sent = (path: string, raw: string, type = 'application/json'): Step => ({
  method: 'POST',
  path,
  raw,
  headers: { 'Content-Type': type },
});

export const runs: Group = {
  group: 'runs',
  cases: [
    ...[
      {},
      { run_name: '' },
      { run_name: null },
      { run_name: 'ünï 🦊 "q" \'s\'' },
      { run_name: ' ' },
      { run_name: 'x'.repeat(250) },
      { run_name: undefined, tags: [{ key: 'mlflow.runName', value: 'by tag' }] },
      { run_name: 'same', tags: [{ key: 'mlflow.runName', value: 'same' }] },
      { user_id: 'me', start_time: 1_700_000_000_000 },
      { start_time: '1700000000001' },
      { start_time: 2.0 },
      { start_time: -5 },
      { start_time: 0 },
      { start_time: null },
      { start_time: 9_000_000_000_000 },
      { userId: 'camel', startTime: 7, runName: undefined },
      { tags: [{ key: 'a', value: '1' }, { key: 'weird%key', value: 'x' }, { key: 'empty' }, { key: 'a//b', value: 'y' }] },
      { tags: [{ key: 'a', value: 'x'.repeat(5000) }] },
      { tags: [] },
      { tags: null },
      { extra: 1, source_name: 'x', entry_point_name: 'y', source_version: 'z' },
    ].map((more, i) => ({ name: `create ${i}`, steps: [made, create(more), shown] })),
    ...eachAfter(
      'bad create',
      [made],
      [
        create({ run_name: 's', tags: [{ key: 'mlflow.runName', value: 't' }] }),
        create({ start_time: 'x' }),
        create({ start_time: '' }),
        create({ run_name: 5 }),
        create({ run_name: true }),
        create({ run_name: [] }),
        create({ runName: 'a', run_name: 'b' }),
        create({ experiment_id: '999999999' }),
        create({ experiment_id: 'abc' }),
        ...eachValue('runs/create', {}, 'experiment_id', [5, 1.5, true, [], {}]),
      ],
    ),
    ...eachAfter(
      'create that ours refuses',
      [made],
      [
        ...listed(SQL_TEXT, [
          post('runs/create', {}),
          post('runs/create', { experiment_id: '' }),
          post('runs/create', { experiment_id: null }),
          create({ run_name: 'x'.repeat(251) }),
          create({ user_id: 'x'.repeat(257) }),
          create({ tags: [{ key: 'a', value: 'x'.repeat(8001) }] }),
          create({ tags: [{ key: 'x'.repeat(251), value: 'a' }] }),
          create({ start_time: '99999999999999999999' }),
        ]),
        ...listed(BUG_500, [create({ start_time: [] }), create({ start_time: {} })]),
        ...listed(SQL_TEXT, [create({ tags: [{ key: 'mlflow.runName', value: '' }] })], {
          status: 200,
          has: { 'run.info.run_name': 'one' },
        }),
        ...listed(DROPPED, [
          create({ start_time: 1.5 }),
          create({ start_time: true }),
          create({ tags: ['x'] }),
          create({ tags: 'x' }),
          create({ tags: [{ key: 'k', value: 5 }] }),
          create({ user_id: 5 }),
        ]),
      ],
    ),
    {
      name: 'repeated tags of create',
      steps: [
        made,
        ...listed(
          'repeated tags keep the last value',
          [
            create({
              tags: [
                { key: 'a', value: '1' },
                { key: 'a', value: '2' },
              ],
            }),
          ],
          {
            status: 200,
            has: {
              'run.data.tags': [
                { key: 'a', value: '2' },
                { key: 'mlflow.runName', value: 'one' },
              ],
            },
          },
        ),
      ],
    },
    ...eachAfter('get', started, [
      ...runIds.map((run_id) => get('runs/get', { run_id })),
      get('runs/get'),
      get('runs/get', { run_id: '' }),
      get('runs/get', { nope: '1' }),
      get('runs/get', { run_uuid: '{{r}}' }),
      get('runs/get', { run_id: '{{r}}', run_uuid: 'nope' }),
      get('runs/get', { run_id: 'nope', run_uuid: '{{r}}' }),
      get('runs/get', { run_id: ['{{r}}', 'nope'] }),
      get('/ajax-api/2.0/mlflow/runs/get', { run_id: '{{r}}' }),
    ]),
    ...eachAfter(
      'unknown run',
      started,
      writes.flatMap(([path, more]) => runIds.map((id) => of(path, more, id))),
    ),
    ...eachAfter(
      'run id of a wrong type',
      started,
      writes.flatMap(([path, more]) => eachValue(`runs/${path}`, more, 'run_id', wrongTypes)),
    ),
    ...each(
      'nothing',
      writes.map(([path]) => post(`runs/${path}`)),
    ),
    ...eachAfter(
      'run_uuid',
      started,
      writes.flatMap(([path, more]) => {
        const step = post(`runs/${path}`, { run_uuid: '{{r}}', ...more });
        return byUuid.includes(path) ? [step] : listed(NO_ID, [step]);
      }),
    ),
    ...eachAfter(
      'run_id before run_uuid',
      started,
      writes.map(([path, more]) => of(path, { run_uuid: 'nope', ...more })),
    ),
    ...writes.map(([path, more]) => ({ name: `${path} of a deleted run`, steps: [...started, of('delete'), of(path, more), shown] })),
    ...writes.map(([path, more]) => ({ name: path, steps: [...started, of(path, more), of(path, more), shown] })),
    ...[
      { status: 'FINISHED', end_time: 1_700_000_005_000 },
      { status: 3 },
      { status: '4' },
      { status: 'SCHEDULED', run_name: 'two' },
      { run_name: 'uno' },
      { run_name: '' },
      { run_name: ' ' },
      { run_name: null },
      { run_name: 'ünï' },
      { end_time: 0 },
      { end_time: -5 },
      { end_time: '1700000009000', status: 'KILLED' },
      { end_time: null },
      { endTime: 5, runName: 'camel' },
      {},
      { status: null },
      { start_time: 5 },
    ].map((more, i) => ({
      name: `update ${i}`,
      steps: [...started, of('update', { status: 'RUNNING', end_time: 77 }), of('update', more), shown],
    })),
    ...eachAfter('bad update', started, [
      ...[0, 99, [], {}].map((status) => of('update', { status })),
      ...['x', ''].map((end_time) => of('update', { end_time })),
      ...[5, true, []].map((run_name) => of('update', { run_name })),
      of('update', { endTime: 5, end_time: 6 }),
    ]),
    ...eachAfter('update that ours refuses', started, [
      ...listed(DROPPED, [
        ...['NOPE', 'finished', '', 1.5, true, 5.5].map((status) => of('update', { status })),
        of('update', { end_time: 1.5 }),
      ]),
      ...listed(
        BUG_500,
        [[], {}].map((end_time) => of('update', { end_time })),
      ),
      ...listed(SQL_TEXT, [of('update', { run_name: 'x'.repeat(251) })]),
    ]),
    {
      name: 'life',
      steps: [
        ...started,
        of('delete'),
        of('delete'),
        shown,
        post('runs/search', { experiment_ids: ['{{e}}'] }),
        post('runs/search', { experiment_ids: ['{{e}}'], run_view_type: 'DELETED_ONLY' }),
        of('restore'),
        of('restore'),
        shown,
        post('runs/search', { experiment_ids: ['{{e}}'], run_view_type: 'ALL' }),
      ],
    },
    ...each(
      'body that is no object',
      listed(
        NOT_OBJECT,
        reads.flatMap((path) => ['[]', '1', 'true', '"x"', '[{}]'].map((raw) => sent(path, raw))),
      ),
    ),
    ...each(
      'body that is no JSON',
      listed(
        MALFORMED,
        reads.flatMap((path) => ['{', 'nope', '{"run_id":}', "{'run_id': 'x'}"].map((raw) => sent(path, raw))),
      ),
    ),
    ...each('odd body', [
      ...reads.flatMap((path) => {
        const steps = [sent(path, 'null'), sent(path, '')];
        return path === 'runs/create' ? listed(SQL_TEXT, steps) : path === 'runs/log-batch' ? listed(BUG_500, steps) : steps;
      }),
      sent('runs/delete', '"{\\"run_id\\": \\"nope\\"}"'),
      sent('runs/delete', '\ufeff{"run_id":"nope"}'),
      sent('runs/delete', '{"run_id":"a","run_id":"b"}'),
      sent('runs/delete', '{"run_id":"nope"}', 'text/plain'),
      sent('runs/delete', '{"run_id":"nope"}', 'application/json; charset=utf-8'),
    ]),
    ...eachAfter(
      'NUL',
      started,
      listed(NUL, [
        ...writes.map(([path, more]) => of(path, more, 'a\0b')),
        create({ run_name: 'a\0b' }),
        create({ user_id: 'a\0b' }),
        create({ tags: [{ key: 'a', value: '\0' }] }),
        of('update', { run_name: '\0' }),
        of('set-tag', { key: 'k', value: '\0' }),
        of('log-parameter', { key: 'k', value: '\0' }),
        batch({ tags: [{ key: 'k', value: '\0' }] }),
        batch({ params: [{ key: 'k', value: '\0' }] }),
        of('log-inputs', { datasets: [dataset({ name: '\0' })] }),
        of('outputs', { models: [{ model_id: '\0' }] }),
        get('runs/get', { run_id: '\0' }),
        get('metrics/get-history', { run_id: '\0', metric_key: 'm' }),
        get('metrics/get-history', { run_id: '{{r}}', metric_key: '\0' }),
        get('experiments/get-by-name', { experiment_name: '\0' }),
        post('experiments/create', { name: '\0' }),
        post('experiments/update', { experiment_id: '{{e}}', new_name: '\0' }),
        post('experiments/set-experiment-tag', { experiment_id: '{{e}}', key: 'k', value: '\0' }),
        post('runs/search', { experiment_ids: ['{{e}}'], filter: "tags.t = '\0'" }),
        post('experiments/search', { max_results: 5, filter: "name = '\0'" }),
      ]),
    ),
    {
      name: 'wrong method or path',
      steps: listed('the stock server answers with an HTML page', [
        get('runs/search'),
        post('runs/get'),
        post('runs/nope'),
        post('runs/create/'),
      ]),
    },
  ],
};
