import { del, each, type Group, get, listed, patch, post, put, type Step } from '../case.ts';
import { made } from './run-steps.ts';

const OLDER = 'MLflow 1.x and R clients ask there: the stock server answers 404 or 405';
const SHAPE = 'the same status in MLflow’s shape: the stock server’s HTML cannot be read by clients';
const OWN = 'what a client may use differs: workspaces are always there, traces and the gateway never';
const UNKNOWN = { status: 404, has: { error_code: 'ENDPOINT_NOT_FOUND' } };

const mine = "name LIKE '{{n}}%'";
const world: Step[] = [
  post('registered-models/create', { name: '{{n}}-a' }),
  post('registered-models/create', { name: '{{n}}-b' }),
  post('model-versions/create', { name: '{{n}}-a', source: 's3://bucket/a' }),
  post('model-versions/create', { name: '{{n}}-a', source: 's3://bucket/b' }),
];
const tooMany = { max_results: 1_000_000 };
const found = (count: string, names: Record<string, unknown>) => ({ status: 200, has: { [`${count}.length`]: 2, ...names } });

/** Addresses asked with a method they do not have, and those they have. */
const wrongMethods: [Step, string][] = [
  [get('registered-models/create'), 'OPTIONS, POST'],
  [put('registered-models/create', '{}'), 'OPTIONS, POST'],
  [post('registered-models/get'), 'GET, HEAD, OPTIONS'],
  [del('registered-models/get'), 'GET, HEAD, OPTIONS'],
  [post('registered-models/delete'), 'DELETE, OPTIONS'],
  [get('model-versions/transition-stage'), 'OPTIONS, POST'],
  [get('runs/search'), 'OPTIONS, POST'],
  [del('runs/get'), 'GET, HEAD, OPTIONS'],
  [post('experiments/get'), 'GET, HEAD, OPTIONS'],
  [patch('experiments/update'), 'OPTIONS, POST'],
  [del('webhooks'), 'GET, HEAD, OPTIONS, POST'],
  [post('/api/3.0/mlflow/server-info'), 'GET, HEAD, OPTIONS'],
];

export const addresses: Group = {
  group: 'addresses',
  cases: [
    ...each('of no endpoint', [
      ...listed(
        SHAPE,
        [
          get('/api/2.0/mlflow/nothing'),
          post('/api/2.0/mlflow/registered-models'),
          get('/api/2.0/nothing'),
          get('/api/2.0/mlflow/server-info'),
        ],
        UNKNOWN,
      ),
      ...listed(SHAPE, [del('/api/2.0/mlflow/runs'), get('/api/2.0/mlflow/registered-models/get/')], UNKNOWN),
    ]),
    ...wrongMethods.map(([step, allowed], i) => ({
      name: `another method ${i + 1}`,
      steps: listed(SHAPE, [step], { status: 405, has: { error_code: 'BAD_REQUEST', 'headers.allow': allowed } }),
    })),
    {
      name: 'searches by the other method',
      steps: [
        ...world,
        ...listed(
          OLDER,
          [post('registered-models/search', { filter: mine })],
          found('registered_models', { 'registered_models.0.name': '{{n}}-a' }),
        ),
        ...listed(OLDER, [post('registered-models/search', { filter: 'name' }), post('registered-models/search', { ...tooMany })]),
        ...listed(
          OLDER,
          [post('model-versions/search', { filter: mine, order_by: ['version_number'] })],
          found('model_versions', { 'model_versions.0.version': '1' }),
        ),
        ...listed(OLDER, [post('model-versions/search', { filter: 'name' }), post('model-versions/search', { ...tooMany })]),
      ],
    },
    {
      name: 'lists of MLflow 1',
      steps: [
        ...world,
        made,
        ...listed(OLDER, [get('registered-models/list', { max_results: '1' })], { status: 200, has: { 'registered_models.length': 1 } }),
        ...listed(OLDER, [get('registered-models/list', { max_results: '0' }), get('registered-models/list', { page_token: '!!' })]),
        ...['get', 'post'].flatMap((method) => {
          const list = (more: Record<string, string>) =>
            method === 'get' ? get('experiments/list', more) : post('experiments/list', more);
          return [
            ...listed(OLDER, [list({ max_results: '1' })], { status: 200, has: { 'experiments.length': 1 } }),
            ...listed(OLDER, [list({ max_results: '0' }), list({ page_token: '!!' })]),
          ];
        }),
      ],
    },
    {
      name: 'preview',
      steps: [
        ...world,
        ...listed(OLDER, [get('/api/2.0/preview/mlflow/registered-models/get', { name: '{{n}}-b' })], {
          status: 200,
          has: { 'registered_model.name': '{{n}}-b' },
        }),
        ...listed(OLDER, [get('/ajax-api/2.0/preview/mlflow/model-versions/get', { name: '{{n}}-a', version: '2' })], {
          status: 200,
          has: { 'model_version.version': '2' },
        }),
      ],
    },
    {
      name: 'server-info',
      steps: [
        ...listed(OWN, [get('/api/3.0/mlflow/server-info'), get('/ajax-api/3.0/mlflow/server-info', { a: '1' })], {
          status: 200,
          body: {
            store_type: 'SqlStore',
            workspaces_enabled: true,
            trace_archival_enabled: false,
            multipart_uploads_enabled: true,
            multipart_downloads_enabled: true,
            presigned_upload_run_id_supported: false,
            presigned_upload_model_id_supported: false,
            features_enabled: { gateway: false },
          },
        }),
        { method: 'HEAD', path: '/api/3.0/mlflow/server-info' },
      ],
    },
    ...each('outside the API', [get('/health'), get('/version'), get('/health', { a: '1' }), { method: 'HEAD', path: '/version' }]),
  ],
};
