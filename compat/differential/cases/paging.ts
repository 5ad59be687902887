import { type Case, del, type Group, get, listed, post, put, type Step } from '../case.ts';
import { made } from './run-steps.ts';

const SHIFTED = 'rows that come and go do not shift pages: the token of the stock server is an offset';
const OF_ONE_SEARCH = 'a token belongs to one search: the stock server takes any for an offset';
const OURS = 'the token is our own, and what is none is refused alike everywhere';

type Arguments = Record<string, unknown>;
type Paged = {
  name: string;
  /** Makes seven rows. */
  world: Step[];
  ask(more: Arguments): Step;
  /** Arguments that sort the rows in other ways; the first one from the first made to the last. */
  orders: Arguments[];
  /** What makes another search of it, if anything does. */
  other?: Arguments;
  /** There is one page, and what is sent as a token is ignored. */
  ignoresTokens?: true;
  /** Deletes the row that was made first, and the part of ours that shows what the second page of two has then. */
  forget?: { step: Step; has: Record<string, unknown> };
};

const SIZES = [1, 2, 3, 7, 8];
const seven = (make: (i: number) => Step): Step[] => [1, 2, 3, 4, 5, 6, 7].map(make);
/** Tokens that nobody was given; the last is an offset of the stock server. */
const GARBLED = ['abc', '!!', '%', 'e30=', 'bnVsbA==', 'a'.repeat(3000), 'eyJvZmZzZXQiOiAxfQ=='];
const ALIASES_LISTED = { leaveOut: ['aliases'] };

/** A GET has numbers as text. */
const asQuery = (more: Arguments): Record<string, string | string[]> =>
  Object.fromEntries(Object.entries(more).map(([name, value]) => [name, Array.isArray(value) ? value.map(String) : String(value)]));
const isPrompt = { key: 'mlflow.prompt.is_prompt', value: 'true' };
const PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true' AND name LIKE '{{n}}%'";

const PAGED: Paged[] = [
  {
    name: 'registered models',
    world: seven((i) => post('registered-models/create', { name: `{{n}}-${i}` })),
    ask: (more) => get('registered-models/search', asQuery({ filter: "name LIKE '{{n}}%'", ...more }), ALIASES_LISTED),
    orders: [{}, { order_by: ['name DESC'] }, { order_by: ['timestamp DESC'] }, { order_by: ['last_updated_timestamp', 'name DESC'] }],
    other: { order_by: ['name DESC'] },
    forget: {
      step: del('registered-models/delete', { name: '{{n}}-1' }),
      has: { 'registered_models.length': 2, 'registered_models.0.name': '{{n}}-3' },
    },
  },
  {
    name: 'prompts',
    world: seven((i) => post('registered-models/create', { name: `{{n}}-${i}`, tags: [isPrompt] })),
    ask: (more) => get('registered-models/search', asQuery({ filter: PROMPTS, ...more }), ALIASES_LISTED),
    orders: [{}, { order_by: ['name DESC'] }],
    other: { filter: "name LIKE '{{n}}%'" },
  },
  {
    name: 'model versions',
    world: [
      post('registered-models/create', { name: '{{n}}' }),
      ...seven((i) => post('model-versions/create', { name: '{{n}}', source: `s3://bucket/${i % 3}` })),
    ],
    ask: (more) => get('model-versions/search', asQuery({ filter: "name = '{{n}}'", ...more }), ALIASES_LISTED),
    orders: [
      { order_by: ['version_number ASC'] },
      {},
      { order_by: ['version_number DESC'] },
      { order_by: ['name', 'creation_timestamp'] },
      { order_by: ['last_updated_timestamp DESC'] },
    ],
    other: { filter: "name LIKE '{{n}}'" },
    forget: {
      step: del('model-versions/delete', { name: '{{n}}', version: '1' }),
      has: { 'model_versions.length': 2, 'model_versions.0.version': '3' },
    },
  },
  {
    name: 'prompt versions',
    world: [
      post('registered-models/create', { name: '{{n}}', tags: [isPrompt] }),
      ...seven((i) => post('model-versions/create', { name: '{{n}}', source: 'dummy-source', description: String(i), tags: [isPrompt] })),
    ],
    ask: (more) => get('model-versions/search', asQuery({ filter: PROMPTS, ...more }), ALIASES_LISTED),
    orders: [{ order_by: ['version_number ASC'] }, { order_by: ['version_number DESC'] }],
    other: { filter: "name = '{{n}}'" },
  },
  {
    name: 'experiments',
    world: seven((i) => post('experiments/create', { name: `{{n}}-${i}` }, { save: { [`e${i}`]: 'experiment_id' } })),
    ask: (more) => post('experiments/search', { filter: "name LIKE '{{n}}%'", ...more }),
    orders: [
      { order_by: ['name'] },
      {},
      { order_by: ['name DESC'] },
      { order_by: ['experiment_id'] },
      { order_by: ['creation_time', 'name'] },
      { view_type: 'ALL', order_by: ['last_update_time DESC'] },
    ],
    other: { order_by: ['name DESC'] },
    forget: {
      step: post('experiments/delete', { experiment_id: '{{e1}}' }),
      has: { 'experiments.length': 2, 'experiments.0.name': '{{n}}-3' },
    },
  },
  {
    name: 'runs',
    world: [
      made,
      ...seven((i) =>
        post(
          'runs/create',
          { experiment_id: '{{e}}', run_name: `run ${i}`, start_time: 1000 + i, tags: [{ key: 'k', value: String(i % 2) }] },
          { save: { [`r${i}`]: 'run.info.run_id' } },
        ),
      ),
      ...[1, 2, 3, 5].map((i) => post('runs/log-metric', { run_id: `{{r${i}}}`, key: 'm', value: i === 5 ? 'NaN' : i % 2, timestamp: 1 })),
    ],
    ask: (more) => post('runs/search', { experiment_ids: ['{{e}}'], ...more }),
    orders: [
      { order_by: ['start_time'] },
      {},
      { order_by: ['metrics.m'] },
      { order_by: ['metrics.m DESC'] },
      { order_by: ['tags.k', 'start_time'] },
      { order_by: ['params.none'] },
      { order_by: ['end_time DESC'], run_view_type: 'ALL' },
      { filter: "tags.k = '1'" },
    ],
    other: { filter: 'metrics.m >= 0' },
    forget: {
      step: post('runs/delete', { run_id: '{{r1}}' }),
      has: { 'runs.length': 2, 'runs.0.info.run_name': 'run 3' },
    },
  },
  {
    name: 'logged models',
    world: [
      made,
      ...seven((i) =>
        post('logged-models', { experiment_id: '{{e}}', name: `model ${i % 5}-${i}` }, { save: { [`m${i}`]: 'model.info.model_id' } }),
      ),
    ],
    ask: (more) => post('logged-models/search', { experiment_ids: ['{{e}}'], ...more }),
    orders: [
      { order_by: [{ field_name: 'creation_time', ascending: true }] },
      {},
      { order_by: [{ field_name: 'name', ascending: false }] },
      { order_by: [{ field_name: 'metrics.none' }] },
      { filter: "name LIKE 'model 1%'" },
    ],
    other: { filter: "name LIKE 'model%'" },
  },
  {
    name: 'metric history',
    world: [
      made,
      post('runs/create', { experiment_id: '{{e}}' }, { save: { run: 'run.info.run_id' } }),
      post('runs/log-batch', {
        run_id: '{{run}}',
        metrics: Array.from({ length: 7 }, (_, i) => ({ key: 'm', value: i, timestamp: 1000 + i, step: i % 3 })),
      }),
    ],
    ask: (more) => get('metrics/get-history', asQuery({ run_id: '{{run}}', metric_key: 'm', ...more }), { ordered: ['metrics'] }),
    orders: [{}],
    other: { metric_key: 'none' },
  },
  {
    name: 'artifacts of a run',
    world: [
      made,
      post('runs/create', { experiment_id: '{{e}}' }, { save: { run: 'run.info.run_id' } }),
      ...seven((i) => put(`/api/2.0/mlflow-artifacts/artifacts/{{e}}/{{run}}/artifacts/file-${i}`, String(i))),
    ],
    ask: (more) => get('artifacts/list', asQuery({ run_id: '{{run}}', ...more })),
    orders: [{}],
    other: { path: 'none' },
    ignoresTokens: true,
  },
  {
    name: 'proxied artifacts',
    world: seven((i) => put(`/api/2.0/mlflow-artifacts/artifacts/{{n}}/file-${i}`, String(i))),
    ask: (more) => get('/api/2.0/mlflow-artifacts/artifacts', asQuery({ path: '{{n}}', ...more })),
    orders: [{}],
    other: { path: 'none' },
    ignoresTokens: true,
  },
  {
    name: 'artifacts of a logged model',
    world: [
      made,
      post('logged-models', { experiment_id: '{{e}}', name: 'm' }, { save: { model: 'model.info.model_id' } }),
      ...seven((i) => put(`/api/2.0/mlflow-artifacts/artifacts/{{e}}/models/{{model}}/artifacts/file-${i}`, String(i))),
    ],
    ask: (more) => get('logged-models/{{model}}/artifacts/directories', asQuery(more)),
    orders: [{}],
    other: { artifact_directory_path: 'none' },
    ignoresTokens: true,
  },
];

const everyPage = ({ name, world, ask, orders, ignoresTokens }: Paged): Case => ({
  name: `every page: ${name}`,
  steps: [
    ...world,
    ...orders.flatMap((order, i) =>
      SIZES.map((max_results): Step => {
        const most = i > 0 || ignoresTokens ? 1 : Math.ceil(7 / max_results);
        return { ...ask({ ...order, max_results }), everyPage: most };
      }),
    ),
  ],
});

const listedUnless = (same: boolean | undefined, steps: Step[]) => (same ? steps : listed(OURS, steps));

const tokens = ({ name, world, ask, orders: [order = {}], other, ignoresTokens }: Paged): Case => ({
  name: `tokens: ${name}`,
  steps: [
    ...world,
    { ...ask({ ...order, max_results: 2 }), save: { token: 'next_page_token' } },
    ask({ ...order, max_results: 4, page_token: '{{token}}' }),
    ask({ ...order, max_results: 2, page_token: '{{token}}' }),
    ask({ ...order, max_results: 2, page_token: '' }),
    ...(ignoresTokens || !other ? [] : listed(OF_ONE_SEARCH, [ask({ ...order, ...other, max_results: 2, page_token: '{{token}}' })])),
    ...listedUnless(
      ignoresTokens,
      GARBLED.map((page_token) => ask({ ...order, max_results: 2, page_token })),
    ),
  ],
});

const stale = ({ name, world, ask, orders: [order = {}], forget }: Paged): Case[] =>
  forget
    ? [
        {
          name: `stale token: ${name}`,
          steps: [
            ...world,
            { ...ask({ ...order, max_results: 2 }), save: { token: 'next_page_token' } },
            forget.step,
            ...listed(SHIFTED, [ask({ ...order, max_results: 2, page_token: '{{token}}' })], {
              status: 200,
              has: forget.has,
            }),
          ],
        },
      ]
    : [];

const IN_WORKSPACE = { headers: { 'X-MLFLOW-WORKSPACE': '{{n}}' } };
/** A list has all webhooks there are, so they are made in a workspace that nobody else knows. */
const WEBHOOKS: Paged = {
  name: 'webhooks',
  world: [
    post('/api/3.0/mlflow/workspaces', { name: '{{n}}' }),
    ...seven((i) =>
      post(
        'webhooks',
        {
          name: `{{n}}-${i}`,
          url: 'https://8.8.8.8/x',
          events: [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }],
          status: 'DISABLED',
        },
        IN_WORKSPACE,
      ),
    ),
  ],
  ask: (more) => get('webhooks', asQuery(more), IN_WORKSPACE),
  orders: [{}],
};

export const paging: Group = { group: 'paging', cases: PAGED.flatMap((paged) => [everyPage(paged), tokens(paged), ...stale(paged)]) };
export const pagingOfWebhooks: Group = { group: 'paging-webhooks', workspaces: true, cases: [everyPage(WEBHOOKS), tokens(WEBHOOKS)] };
