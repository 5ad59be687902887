import { each, eachAfter, type Group, get, listed, patch, post, put, type Step } from '../case.ts';

const P = '/api/2.0/mlflow-artifacts';
const UPLOAD = '/ajax-api/2.0/mlflow/upload-artifact';
const VERSION = '/model-versions/get-artifact';
const NO_RUN = '0'.repeat(32);

const HTML = 'the stock server answers with an HTML page or a 500, which clients cannot read';
const DOT = "an empty or '.' segment is refused in every artifact path";
const SLASH = 'a slash at the end is no part of a name';
const NOT_OURS = 'the bytes are elsewhere, and this server never fetches them';
const NO_PATH = 'an empty path names no file';
const AJAX_TOO = 'answered under the ajax prefix as well';
const WHOLE = 'several ranges in one request give the whole file';
const FROZEN = 'the files are those of the version, frozen when it was made, so the message names their own place';

const run: Step = {
  ...post('runs/create', { experiment_id: '0', run_name: 'r', start_time: 1 }),
  save: { run: 'run.info.run_id', uri: 'run.info.artifact_uri' },
};
const inRun = (path: string) => `${P}/artifacts/0/{{run}}/artifacts/${path}`;
const files: Step[] = [
  run,
  put(inRun('a.txt'), '0123456789'),
  put(inRun('empty'), ''),
  put(inRun('page.html'), '<script>'),
  put(inRun('folder/deep/x.json'), '{}'),
  put(inRun('folder/%C3%BC%20b.png'), 'png'),
  put(inRun('model/MLmodel'), 'flavors: {}'),
];
const list = (path?: unknown): Step => get('artifacts/list', { run_id: '{{run}}', ...(path !== undefined && { path: path as string }) });
const fetched = (path: string, more: Partial<Step> = {}): Step => get('/get-artifact', { run_id: '{{run}}', path }, more);
const upload = (query: Record<string, string>, raw = 'bytes'): Step => ({ method: 'POST', path: UPLOAD, query, raw });

const traversals = [
  '..',
  '../x',
  'a/../../x',
  '/etc/passwd',
  'file:///etc/passwd',
  '%2e%2e/x',
  '%252e%252e%252fx',
  'C:/x',
  'C:\\x',
  'x#y',
  '..;',
];

const version: Step[] = [
  ...files,
  post('registered-models/create', { name: '{{n}}' }),
  post('model-versions/create', { name: '{{n}}', source: '{{uri}}/model', run_id: '{{run}}' }),
];
const versionFile = (query: object, more: Partial<Step> = {}): Step => get(VERSION, { name: '{{n}}', version: '1', ...query }, more);

const part = { part_number: 1, etag: 'e', url: 'http://x' };
const create = (body: unknown, path = 'a/b.bin'): Step => post(`${P}/mpu/create/${path}`, body);
const complete = (body: unknown, path = 'a/b.bin'): Step => post(`${P}/mpu/complete/${path}`, body);
const abort = (body: unknown, path = 'a/b.bin'): Step => post(`${P}/mpu/abort/${path}`, body);
const signUpload = (body: unknown): Step => post('artifacts/presigned-upload-url', body);
const signDownload = (body: unknown): Step => post('artifacts/presigned-download-url', body);

// docs/differences.md
const PARTS = 'large files go in parts to every store, the local one too, where the stock server says 501';

export const runArtifacts: Group = {
  group: 'run-artifacts',
  cases: [
    {
      name: 'list',
      steps: [
        run,
        list(),
        ...files.slice(1),
        list(),
        ...['', 'folder', 'folder/', 'folder/deep', 'a.txt', 'none', 'none/x', 'model'].map(list),
        get('artifacts/list', { run_uuid: '{{run}}', path: 'folder' }),
        get('artifacts/list', { run_id: '{{run}}', run_uuid: NO_RUN }),
        get('artifacts/list', { run_id: '{{run}}', page_token: 'x' }),
        get('artifacts/list', { run_id: '{{run}}', nope: 'x' }),
        get('artifacts/list', { run_id: ['{{run}}', NO_RUN] }),
        get('/ajax-api/2.0/mlflow/artifacts/list', { run_id: '{{run}}' }),
        get('artifacts/list', undefined, { body: { run_id: '{{run}}', path: 'folder' } }),
        ...listed(DOT, ['.', './folder', 'folder//deep', 'folder/./deep'].map(list)),
        post('runs/delete', { run_id: '{{run}}' }),
        list(),
      ],
    },
    { name: 'list elsewhere', steps: [...files, ...traversals.map(list)] },
    ...each('list of no run', [
      get('artifacts/list'),
      get('artifacts/list', { path: 'x' }),
      get('artifacts/list', { run_id: '' }),
      get('artifacts/list', { run_id: NO_RUN }),
      get('artifacts/list', { run_uuid: NO_RUN }),
      get('artifacts/list', { run_id: 'x' }),
      get('artifacts/list', { run_id: '', path: '..' }),
      get('artifacts/list', { run_id: NO_RUN, path: '..' }),
    ]),
    {
      name: 'get',
      steps: [
        ...files,
        ...['a.txt', 'empty', 'page.html', 'folder/deep/x.json', 'folder/ü b.png', 'model/MLmodel'].map((path) => fetched(path)),
        ...['folder', 'none', 'folder/none', 'a.txt/x'].map((path) => fetched(path)),
        get('/get-artifact', { run_uuid: '{{run}}', path: 'a.txt' }),
        get('/get-artifact', { run_id: '{{run}}', run_uuid: NO_RUN, path: 'a.txt' }),
        get('/get-artifact', { run_id: '', run_uuid: '{{run}}', path: 'a.txt' }),
        { method: 'HEAD', path: '/get-artifact', query: { run_id: '{{run}}', path: 'a.txt' } },
        ...['bytes=2-4', 'bytes=7-', 'bytes=-3', 'bytes=0-100'].map((Range) => fetched('a.txt', { headers: { Range } })),
        ...listed(
          HTML,
          ['bytes=10-', 'bytes=4-2'].map((Range) => fetched('a.txt', { headers: { Range } })),
        ),
        ...listed(
          WHOLE,
          ['bytes=0-1,4-5'].map((Range) => fetched('a.txt', { headers: { Range } })),
          { status: 200, body: '0123456789' },
        ),
        ...listed(
          DOT,
          ['.', './a.txt', 'folder//deep/x.json'].map((path) => fetched(path)),
        ),
        ...listed(SLASH, [fetched('folder/')]),
        post('runs/delete', { run_id: '{{run}}' }),
        fetched('a.txt'),
      ],
    },
    { name: 'get elsewhere', steps: [...files, ...traversals.map((path) => fetched(path))] },
    ...eachAfter(
      'get without',
      [run],
      [
        ...listed(HTML, [get('/get-artifact'), get('/get-artifact', { run_id: '{{run}}' }), get('/get-artifact', { run_id: NO_RUN })]),
        get('/get-artifact', { path: 'a.txt' }),
        get('/get-artifact', { run_id: '', path: 'a.txt' }),
        get('/get-artifact', { run_id: NO_RUN, path: 'a.txt' }),
        get('/get-artifact', { run_id: 'x', path: 'a.txt' }),
        get('/get-artifact', { run_id: NO_RUN, path: '../x' }),
        ...listed(NO_PATH, [get('/get-artifact', { run_id: '{{run}}', path: '' })]),
        ...listed(HTML, [post('/get-artifact', { run_id: '{{run}}', path: 'a' })]),
      ],
    ),
    {
      name: 'upload',
      steps: [
        run,
        upload({ run_uuid: '{{run}}', path: 'a.txt' }),
        upload({ run_uuid: '{{run}}', path: 'folder/deep/b.json' }, '{"a": 1}'),
        upload({ run_uuid: '{{run}}', path: 'a.txt' }, 'replaced'),
        { ...upload({ run_uuid: '{{run}}', path: 'form' }), headers: { 'Content-Type': 'application/octet-stream' } },
        { ...upload({ run_uuid: '{{run}}', path: 'json' }), headers: { 'Content-Type': 'application/json' } },
        upload({ run_uuid: '{{run}}', path: 'ü b' }),
        fetched('a.txt'),
        list(),
        list('folder/deep'),
      ],
    },
    { name: 'upload elsewhere', steps: [run, ...traversals.map((path) => upload({ run_uuid: '{{run}}', path })), list()] },
    ...eachAfter(
      'upload of a wrong form',
      [run],
      [
        upload({}),
        upload({ path: 'a' }),
        upload({ run_uuid: '{{run}}' }),
        upload({ run_uuid: '', path: 'a' }),
        upload({ run_uuid: '{{run}}', path: '' }),
        upload({ run_id: '{{run}}', path: 'a' }),
        upload({ run_uuid: '{{run}}', path: 'a' }, ''),
        upload({ run_uuid: NO_RUN, path: 'a' }),
        upload({ run_uuid: NO_RUN, path: 'a' }, ''),
        upload({ run_uuid: 'x', path: 'a' }),
        upload({ run_uuid: '{{run}}', path: 'a' }, 'x'.repeat(10 * 1024 * 1024 + 1)),
        ...listed(HTML, [get(UPLOAD, { run_uuid: '{{run}}', path: 'a' }), put(UPLOAD, 'x')]),
      ],
    ),
    {
      name: 'file of a version',
      steps: [
        ...version,
        versionFile({ path: 'MLmodel' }),
        ...listed(AJAX_TOO, [get(`/ajax-api/2.0/mlflow${VERSION}`, { name: '{{n}}', version: '1', path: 'MLmodel' })], {
          status: 200,
          body: 'flavors: {}',
        }),
        ...listed(AJAX_TOO, [
          get(`/ajax-api/2.0/mlflow${VERSION}`, { name: '{{n}}', version: '9', path: 'MLmodel' }),
          get(`/ajax-api/2.0/mlflow${VERSION}`, { name: '{{n}}', version: '1', path: '../x' }),
        ]),
        versionFile({ path: 'MLmodel' }, { headers: { Range: 'bytes=2-4' } }),
        ...listed(FROZEN, [versionFile({ path: 'none' })]),
        versionFile({ path: 'MLmodel', version: '2' }),
        versionFile({ path: 'MLmodel', version: 'x' }),
        versionFile({ path: 'MLmodel', version: '1.0' }),
        versionFile({ path: 'MLmodel', version: '' }),
        versionFile({ path: 'MLmodel', version: ' 1 ' }),
        versionFile({ path: 'MLmodel', name: 'nobody' }),
        versionFile({ path: 'MLmodel', name: '' }),
        versionFile({ path: 'MLmodel', name: 'a/b' }),
        ...listed(HTML, [get(VERSION, { name: '{{n}}', path: 'MLmodel' })]),
        get(VERSION, { version: '1', path: 'MLmodel' }),
        ...listed(HTML, [versionFile({}), get(VERSION)]),
        ...traversals.map((path) => versionFile({ path })),
        get(VERSION, { name: 'nobody', version: '1', path: '..' }),
        ...listed(DOT, [versionFile({ path: '.' }), versionFile({ path: './MLmodel' })]),
        ...listed(NO_PATH, [versionFile({ path: '' })]),
      ],
    },
    ...each('multipart create', [
      ...listed(PARTS, [create({ path: 'b.bin', num_parts: 3 }), create({ path: 'b.bin', num_parts: '3' })], {
        status: 200,
        has: { 'credentials.length': 3, 'credentials.2.part_number': 3 },
      }),
      ...listed(PARTS, [create({ path: 'b.bin' }), create({ path: 'b.bin', nope: 1 })], {
        status: 400,
        has: { message: "Invalid value 0 for parameter 'num_parts': it must be 1 to 10000." },
      }),
      ...listed(
        PARTS,
        [
          create({ path: 'b.bin', num_parts: 1 }, 'b.bin'),
          create({ path: '../x', num_parts: 1 }),
          post('/ajax-api/2.0/mlflow-artifacts/mpu/create/a', { path: 'x', num_parts: 1 }),
        ],
        { status: 200, has: { 'credentials.length': 1 } },
      ),
      create({}),
      create({ path: '' }),
      create({ path: 5 }),
      create({ path: 'b.bin', num_parts: 'x' }),
      ...['..%2fx', '%252e%252e%252fx', 'a%2f..%2f..%2fx', 'x%23y'].map((path) => create({ path: 'b.bin', num_parts: 1 }, path)),
      { method: 'POST', path: `${P}/mpu/create/a`, raw: '{"path": "x"}' },
      ...listed(HTML, [
        create({ path: 'b.bin', num_parts: [] }),
        create({ path: 'b' }, ''),
        get(`${P}/mpu/create/a`),
        post(`${P}/mpu/create`, { path: 'x' }),
      ]),
    ]),
    ...each('multipart complete', [
      ...listed(
        PARTS,
        [
          complete({ path: 'b.bin', upload_id: 'u', parts: [part] }),
          complete({ path: 'b.bin', upload_id: 'u', parts: [part, { ...part, part_number: 2 }] }),
          complete({ path: 'b.bin', parts: [part] }),
          complete({ path: 'b.bin', upload_id: 'u', parts: [] }),
          complete({ path: 'b.bin', upload_id: 'u', parts: [{}] }),
          post('/ajax-api/2.0/mlflow-artifacts/mpu/complete/a', { path: 'x', upload_id: 'u', parts: [part] }),
        ],
        { status: 404, has: { error_code: 'RESOURCE_DOES_NOT_EXIST' } },
      ),
      complete({ path: 'b.bin', upload_id: 'u' }),
      complete({ upload_id: 'u', parts: [part] }),
      complete({}),
      complete({ path: 'b.bin', upload_id: 5, parts: [part] }),
      complete({ path: 'b.bin', parts: null }),
      ...['..%2fx', 'x%23y'].map((path) => complete({ path: 'b.bin', upload_id: 'u', parts: [part] }, path)),
    ]),
    ...each('multipart abort', [
      ...listed(
        PARTS,
        [
          abort({ path: 'b.bin', upload_id: 'u' }),
          abort({ path: 'b.bin' }),
          abort({ path: 'b.bin', upload_id: '' }),
          post('/ajax-api/2.0/mlflow-artifacts/mpu/abort/a', { path: 'x', upload_id: 'u' }),
        ],
        { status: 200, body: {} },
      ),
      abort({ upload_id: 'u' }),
      abort({}),
      abort({ path: 'b.bin', upload_id: 5 }),
      abort({ path: 'b.bin', upload_id: 'u' }, '..%2fx'),
    ]),
    {
      name: 'presigned file',
      steps: [
        put(`${P}/artifacts/{{n}}/file`, 'bytes'),
        ...listed(PARTS, [get(`${P}/presigned/{{n}}/file`)], { status: 200, has: { file_size: 5 } }),
      ],
    },
    ...each('presigned', [
      ...listed(
        PARTS,
        [
          get(`${P}/presigned/a/b.bin`),
          get(`${P}/presigned/none`),
          get(`${P}/presigned/a/`),
          get('/ajax-api/2.0/mlflow-artifacts/presigned/a'),
        ],
        { status: 404, has: { error_code: 'RESOURCE_DOES_NOT_EXIST' } },
      ),
      get(`${P}/presigned/..%2fx`),
      get(`${P}/presigned/%252e%252e/x`),
      ...listed(HTML, [get(`${P}/presigned/`), get(`${P}/presigned`), post(`${P}/presigned/a`)]),
    ]),
    ...eachAfter(
      'presigned upload of a run',
      [run],
      [
        signUpload({ run_id: '{{run}}', path: 'a' }),
        signUpload({ run_id: '{{run}}', path: 'a', expiration: 60 }),
        signUpload({ run_id: '{{run}}', path: 'a', expiration: '60' }),
        signUpload({ run_id: '{{run}}', path: 'a', expiration: 'x' }),
        signUpload({ run_id: '{{run}}', path: 'a', expiration: 0 }),
        signUpload({ run_id: '{{run}}', path: '../a' }),
        signUpload({ run_id: '{{run}}', path: '' }),
        signUpload({ run_id: '{{run}}' }),
        signUpload({ run_id: '{{run}}', model_id: 'm', path: 'a' }),
        signUpload({ run_id: NO_RUN, path: 'a' }),
        signUpload({ model_id: 'm-x', path: 'a' }),
        signUpload({ path: 'a' }),
        signUpload({ run_id: '', model_id: '', path: 'a' }),
        signUpload({ run_id: 5, path: 'a' }),
        signUpload({}),
        post('/ajax-api/2.0/mlflow/artifacts/presigned-upload-url', { run_id: '{{run}}', path: 'a' }),
        signDownload({ run_id: '{{run}}', path: 'a' }),
        ...[1, 604_800, 0, -1, 604_801, '60', 'x'].map((expiration) => signDownload({ run_id: '{{run}}', path: 'a', expiration })),
        signDownload({ run_id: '{{run}}', path: '../a' }),
        signDownload({ run_id: '{{run}}', path: '../a', expiration: 0 }),
        signDownload({ run_id: '{{run}}' }),
        signDownload({ path: 'a' }),
        signDownload({ run_id: '', path: 'a' }),
        signDownload({ run_id: NO_RUN, path: 'a' }),
        signDownload({ run_id: NO_RUN, path: 'a', expiration: 0 }),
        signDownload({}),
      ],
    ),
    {
      name: 'presigned upload of a logged model',
      steps: [
        { ...post('logged-models', { experiment_id: '0', name: 'm' }), save: { model: 'model.info.model_id' } },
        signUpload({ model_id: '{{model}}', path: 'a' }),
        patch('logged-models/{{model}}', { model_id: '{{model}}', status: 2 }),
        signUpload({ model_id: '{{model}}', path: '/a' }),
      ],
    },
    {
      name: 'artifacts that are elsewhere',
      steps: [
        post('experiments/create', { name: '{{n}}', artifact_location: 'dbfs:/{{n}}' }, { save: { exp: 'experiment_id' } }),
        post('runs/create', { experiment_id: '{{exp}}', run_name: 'r' }, { save: { run: 'run.info.run_id' } }),
        ...listed(NOT_OURS, [list(), fetched('a.txt'), upload({ run_uuid: '{{run}}', path: 'a' })]),
      ],
    },
  ],
};
