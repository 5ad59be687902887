import pg from 'pg';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { COMMON_TAG, fill, fillingOf, INFIX, PREFIX, RARE_TAG, SMALL_WORKSPACE } from '../bench/fill.ts';
import { startTestServer, type TestServer } from './helpers/server.ts';

/** Tables that grow with use: an operation that reads all of one is slow for who has been using the server for long. */
const BIG_TABLES = [
  ...['registered_models', 'registered_model_tags', 'registered_model_aliases', 'alias_moves'],
  ...['model_versions', 'model_version_tags', 'model_version_files', 'artifacts', 'blobs'],
  ...['runs', 'run_tags', 'run_params', 'run_metrics', 'run_latest_metrics', 'run_dataset_inputs', 'run_model_outputs'],
];
/** What the server asks by itself, at any time. */
const IN_THE_BACKGROUND = ['all_mounts', 'claim_webhook_deliveries', 'list_awaited_events', 'add_consumption'];

type Sent = { name?: string; text: string; values?: unknown[] };
type Operation = (server: TestServer) => PromiseLike<{ status: number; body: unknown }>;

const models =
  (query: Record<string, string | number>): Operation =>
  (server) =>
    server.get('registered-models/search', query);
const versions =
  (query: Record<string, string | number>): Operation =>
  (server) =>
    server.get('model-versions/search', query);
const runs =
  (query: Record<string, unknown>): Operation =>
  (server) =>
    server.post('runs/search', { experiment_ids: ['1'], max_results: 20, ...query });
const aPage = { max_results: 20 };
const tagIs = ({ key, value }: { key: string; value: string }) => `tags.${key} = '${value}'`;

const second =
  (search: (query: Record<string, string | number>) => Operation): Operation =>
  async (server) => {
    const first = await search({ max_results: 900 })(server);
    return search({ ...aPage, page_token: (first.body as { next_page_token: string }).next_page_token })(server);
  };

const OPERATIONS: Record<string, Operation> = {
  'get-by-alias': (server) => server.get('registered-models/alias', { name: `${PREFIX}00003`, alias: 'champion' }),
  'get-latest': (server) => server.get('registered-models/alias', { name: `${PREFIX}00003`, alias: 'latest' }),
  'get-version': (server) => server.get('model-versions/get', { name: `${PREFIX}00003`, version: 1 }),
  'get-download-uri': (server) => server.get('model-versions/get-download-uri', { name: `${PREFIX}00003`, version: 1 }),
  'get-registered-model': (server) => server.get('registered-models/get', { name: 'grown-1000' }),
  'newest-by-search': versions({ filter: "name = 'grown-1000'", order_by: 'version_number DESC', max_results: 1 }),
  'models-by-prefix': models({ filter: `name LIKE '${PREFIX}%'`, ...aPage }),
  'models-by-infix': models({ filter: `name LIKE '%${INFIX}%'`, ...aPage }),
  'models-by-tag': models({ filter: "tags.owner = 'person-7'", ...aPage }),
  'all-models': models(aPage),
  'all-models-later-page': second(models),
  'versions-by-rare-tag': versions({ filter: tagIs(RARE_TAG), ...aPage }),
  'versions-by-common-tag': versions({ filter: tagIs(COMMON_TAG), ...aPage }),
  'all-versions': versions(aPage),
  'all-versions-later-page': second(versions),
  'all-versions-of-a-small-workspace': (server) => server.get(`/workspaces/${SMALL_WORKSPACE}/api/2.0/mlflow/model-versions/search`, aPage),
  'set-alias': (server) => server.post('registered-models/alias', { name: 'grown-1000', alias: 'candidate', version: '7' }),
  'set-version-tag': (server) => server.post('model-versions/set-tag', { name: 'grown-1000', version: '7', key: 'note', value: 'x' }),
  'transition-stage': (server) =>
    server.post('model-versions/transition-stage', { name: 'grown-1000', version: '7', stage: 'Staging', archive_existing_versions: true }),
  'create-version': (server) => server.post('model-versions/create', { name: 'grown-1000', source: 's3://bucket/model' }),
  'runs-of-an-experiment': runs({}),
  'runs-by-metric': runs({ filter: 'metrics.rmse < 0.5' }),
  'runs-by-rare-tag': runs({ filter: tagIs(RARE_TAG) }),
};

const server = await startTestServer();

/** What the server sends to PostgreSQL meanwhile. */
async function statementsOf(name: string, operation: Operation): Promise<Sent[]> {
  const sent = vi.spyOn(pg.Client.prototype, 'query');
  try {
    const reply = await operation(server);
    expect(reply.status).toBe(200);
    expect(reply.body).not.toEqual(name.startsWith('set-') ? null : {});
    return sent.mock.calls
      .map(([asked]) => asked as unknown as Sent)
      .filter((statement) => statement.text !== undefined && !IN_THE_BACKGROUND.includes(statement.name ?? ''));
  } finally {
    sent.mockRestore();
  }
}

/** The plan that a statement has once it has been used for a while: PostgreSQL may then have one for all values of a prepared one. */
async function planOf({ name, text, values = [] }: Sent): Promise<string> {
  const client = await server.db.connect();
  try {
    const explain = async (execute: string, bound?: unknown[]) =>
      (await client.query<{ 'QUERY PLAN': string }>(`explain (costs off) ${execute}`, bound)).rows
        .map((row) => row['QUERY PLAN'])
        .join('\n');
    if (!name) return await explain(text, values);
    await client.query(`prepare used as ${text}`);
    const execute = `execute used ${values.length > 0 ? `(${values.map(literal).join(', ')})` : ''}`;
    for (let used = 0; used < PLANNED_FOR_VALUES; used++) await explain(execute);
    const plan = await explain(execute);
    await client.query('deallocate used');
    return plan;
  } finally {
    client.release();
  }
}

/** So often PostgreSQL plans for the values before it thinks of another plan. */
const PLANNED_FOR_VALUES = 5;

function literal(value: unknown): string {
  if (value === null) return 'null';
  return pg.escapeLiteral(Array.isArray(value) ? `{${value.map((each) => JSON.stringify(String(each))).join(',')}}` : String(value));
}

beforeAll(() => fill(String(server.db.options.connectionString), fillingOf(10_000, { models: 4_000, runs: 5_000 })));

describe('the plans of', () => {
  it.each(Object.entries(OPERATIONS))('%s are those in plans/ and read no big table from end to end', async (name, operation) => {
    const plans: string[] = [];
    for (const statement of await statementsOf(name, operation)) plans.push(await planOf(statement));
    expect(plans).not.toEqual([]);
    const text = `${plans.join('\n\n')}\n`;
    const read = [...text.matchAll(/Seq Scan on (\w+)/g)].map(([, table]) => table).filter((table) => BIG_TABLES.includes(String(table)));
    expect(read, text).toEqual([]);
    await expect(text).toMatchFileSnapshot(`plans/${name}.txt`);
  });
});
