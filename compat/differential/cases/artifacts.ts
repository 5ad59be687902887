import { del, each, eachAfter, type Group, get, listed, post, put, type Step } from '../case.ts';

const P = '/api/2.0/mlflow-artifacts/artifacts';
const AJAX = '/ajax-api/2.0/mlflow-artifacts/artifacts';

const HTML = 'the stock server answers with an HTML page or bare text, which clients cannot read';
const SHAPE = "MLflow's shape instead of {detail}";
const STRICT = 'a 500 on the stock server, or a file with such a name';
const DOT = "an empty or '.' segment is refused in every artifact path";
const SLASH = 'a slash at the end is no part of a name';
const DECODED = 'a percent sign in a name is kept: the stock server decodes names until nothing changes';
const NO_EMPTY_FOLDERS = 'a folder is gone with its last file';
const WHOLE = 'several ranges in one request give the whole file';

const at = (path: string) => `${P}/{{n}}/${path}`;
const bytesOf = (path: string) => `bytes of ${path}`;
const list = (path: string): Step => get(P, { path });

/** A folder with files; their names are percent-encoded where the path needs it. */
const tree: Step[] = [
  put(at('b.txt'), 'bb'),
  put(at('a.txt'), 'a'),
  put(at('empty'), ''),
  put(at('folder/x.json'), '{"not": "parsed"}'),
  put(at('folder/deep/er/y.bin'), 'yyy'),
  put(at('a/z'), 'z'),
  put(at('a-b/z'), 'z'),
  put(at('Z'), 'zz'),
  put(at('%C3%BC'), 'u'),
];

const names = [
  'a.txt',
  'a b.txt',
  ' lead',
  'trail ',
  "it's",
  'say%22hi%22',
  'semi;colon.txt',
  'comma,eq=amp&plus+.txt',
  'at@dollar$excl!star*.txt',
  '(par)[br]{cu}.txt',
  'ünï.txt',
  'u%CC%88.txt',
  '漢字.png',
  '🦊.html',
  'Größe 1.html',
  'tilde~',
  '~',
  '-',
  '...',
  '....',
  '..a',
  'a..',
  'a..7z',
  '.hidden',
  'back%5Cslash.txt',
  'c:x',
  'colon:name.txt',
  'pipe%7C.txt',
  'lt%3Cgt%3E.txt',
  'q%3Fmark.txt',
  'caret%5E.txt',
  '%60tick.txt',
  '__proto__',
  'constructor',
  'CON',
  'x'.repeat(255),
  `${'x'.repeat(251)}.txt`,
  'ü'.repeat(127),
];

/** Of these Python knows the type, or knows none, on every machine; others it takes from a file of the machine. */
const types = `
  MLmodel MLproject mlmodel a.txt a.log a.err a.cfg a.conf a.ini a.toml a.yaml a.yml a.xml a.json a.jsonl a.js a.py a.pyc a.ipynb
  a.csv a.tsv a.md a.rst a.html a.htm a.css a.svg a.png a.jpg a.jpeg a.gif a.bmp a.ico a.tiff a.pdf a.zip a.gz a.tar a.tar.gz a.tgz
  a.bz2 a.xz a.pkl a.pickle a.joblib a.npy a.npz a.h5 a.onnx a.pth a.bin a.parquet a.feather a.mp3 a.mp4 a.wav a.webm a.avi a.mov
  a.doc a.wasm a.so a.R a.Rmd a.go a.db a.eps a.ps a.TXT a.HTML a.Json a.unknown a. noext Dockerfile requirements.txt conda.yaml
  python_env.yaml .gitignore a.properties a.proto a.lock a.jsonnet a.safetensors a.gguf a.mpg a.aac a.eml a.json.gz
  a.csv.gz a.csv.bz2 a.svgz`
  .trim()
  .split(/\s+/);

const ranges = [
  'bytes=2-4',
  'bytes=0-0',
  'bytes=7-',
  'bytes=-3',
  'bytes=0-',
  'bytes=8-100',
  'bytes=-100',
  'bytes=9-9',
  'bytes=0-9',
  'bytes= 2-4',
];
const badRanges = [
  'bytes=10-',
  'bytes=10-20',
  'bytes=100-',
  'bytes=4-2',
  'bytes=-0',
  'bytes=',
  'bytes=a-b',
  'bytes=-',
  'lines=1-2',
  'bytes',
  'x',
  'bytes=1.5-2',
  'bytes=--1',
];
const manyRanges = ['bytes=0-1,4-5', 'bytes=0-1, 4-5', 'bytes=0-4,2-6', 'bytes=0-1,-1'];

const traversals = [
  '../x',
  '../../x',
  '..%2fx',
  '%2e%2e/x',
  '%2e%2e%2fx',
  '%252e%252e%252fx',
  '%252e%252e/x',
  '%25252e%25252e%25252fx',
  'a/../../x',
  'a/..',
  'a/%2e%2e/b',
  '..',
  '%2fetc%2fpasswd',
  '%252fetc%252fpasswd',
  '/etc/passwd',
  'file:///etc/passwd',
  'file:%2f%2f%2fetc%2fpasswd',
  'C:%5cx',
  'C:/x',
  'c:%2fx',
  'x%23y',
  'x%2523y',
  '%5c..%5cx/../y',
];

export const artifacts: Group = {
  group: 'artifacts',
  cases: [
    {
      name: 'tree',
      steps: [
        ...tree,
        ...['{{n}}', '{{n}}/', '{{n}}/a', '{{n}}/folder', '{{n}}/folder/deep', '{{n}}/folder/deep/er', '{{n}}/a-b', '{{n}}/a-'].map(list),
        ...['{{n}}/a.txt', '{{n}}/none', '{{n}}/a.txt/x', '{{n}}/ü', '{{n}}/%C3%BC'].map(list),
        get(AJAX, { path: '{{n}}' }),
        get(P, { path: '{{n}}/folder', page_token: 'x' }),
        get(at('folder/x.json')),
        get(`${AJAX}/{{n}}/folder/deep/er/y.bin`),
        get(at('empty')),
        ...listed(SHAPE, [get(at('a')), get(at('folder/deep'))]),
        get(at('none')),
        get(at('folder/none/x')),
        put(at('b.txt'), 'replaced'),
        get(at('b.txt')),
        list('{{n}}'),
        del(at('b.txt')),
        get(at('b.txt')),
        del(at('b.txt')),
        del(at('none/x')),
        del(at('folder/deep')),
        list('{{n}}/folder'),
        list('{{n}}/folder/deep'),
        { method: 'DELETE', path: at('folder/x.json') },
        list('{{n}}/folder'),
        ...listed(NO_EMPTY_FOLDERS, [list('{{n}}')], { status: 200, has: { 'files.length': 6, 'files.5.path': 'ü' } }),
        { method: 'DELETE', path: `${AJAX}/{{n}}` },
        list('{{n}}'),
        get(at('Z')),
      ],
    },
    ...names.map((name, i) => ({
      name: `odd name ${i + 1}`,
      steps: [put(at(name), bytesOf(name)), get(at(name)), list('{{n}}'), del(at(name)), list('{{n}}')],
    })),
    ...types.map((name) => ({ name: `type of ${name}`, steps: [put(at(name), 'x'), get(at(name))] })),
    ...names.slice(0, 12).map((name, i) => ({
      name: `folder of an odd name ${i + 1}`,
      steps: [put(at(`${name}/x`), 'x'), get(at(`${name}/x`)), list('{{n}}')],
    })),
    ...eachAfter(
      'body of type',
      [],
      [
        'application/json',
        'text/plain',
        'multipart/form-data; boundary=x',
        'application/x-www-form-urlencoded',
        'application/octet-stream',
        'x',
      ].map((type) => put(at('a.json'), 'a=b&c', { headers: { 'Content-Type': type } })),
    ),
    {
      name: 'bytes',
      steps: [
        put(at('all.bin'), '', { bytes: Uint8Array.from({ length: 256 }, (_, i) => i) }),
        get(at('all.bin')),
        get(at('all.bin'), undefined, { headers: { Range: 'bytes=128-' } }),
        put(at('big.bin'), '', { bytes: new Uint8Array(300_000).fill(7) }),
        get(at('big.bin'), undefined, { headers: { Range: 'bytes=299990-' } }),
        list('{{n}}'),
      ],
    },
    ...eachAfter(
      'range',
      [put(at('digits'), '0123456789')],
      ranges.map((Range) => get(at('digits'), undefined, { headers: { Range } })),
    ),
    ...eachAfter(
      'bad range',
      [put(at('digits'), '0123456789')],
      listed(
        HTML,
        badRanges.map((Range) => get(at('digits'), undefined, { headers: { Range } })),
      ),
    ),
    ...eachAfter(
      'many ranges',
      [put(at('digits'), '0123456789')],
      listed(
        WHOLE,
        manyRanges.map((Range) => get(at('digits'), undefined, { headers: { Range } })),
        { status: 200, body: '0123456789' },
      ),
    ),
    ...eachAfter(
      'range of nothing',
      [put(at('empty'), '')],
      listed(
        HTML,
        ['bytes=0-', 'bytes=-1', 'bytes=0-0'].map((Range) => get(at('empty'), undefined, { headers: { Range } })),
      ),
    ),
    {
      name: 'head',
      steps: [put(at('digits.txt'), '0123456789'), { method: 'HEAD', path: at('digits.txt') }, { method: 'HEAD', path: at('none') }],
    },
    ...each(
      'traversal get',
      traversals.map((path) => get(`${P}/${path}`)),
    ),
    ...each(
      'traversal put',
      traversals.map((path) => put(`${P}/${path}`, 'x')),
    ),
    ...each(
      'traversal delete',
      traversals.flatMap((path) => (/^(\/|%2f)/.test(path) ? listed(HTML, [del(`${P}/${path}`)]) : [del(`${P}/${path}`)])),
    ),
    ...each(
      'traversal list',
      traversals.map((path) => list(decodeURIComponent(path))),
    ),
    ...each('traversal list, encoded', traversals.map(list)),
    ...each('nothing', [
      ...listed(SHAPE, [get(`${P}/`), put(`${P}/`, 'x'), put(at(''), 'x'), put(at('a/'), 'x')]),
      ...listed(HTML, [del(`${P}/`), put(P, 'x'), del(P), post(P), post(at('a')), { method: 'PATCH', path: at('a'), body: {} }]),
      ...listed(SLASH, [get(at(''))]),
    ]),
    {
      name: 'with a trailing slash',
      steps: [
        put(at('d/f'), 'x'),
        ...listed(SHAPE, [get(at('d/')), put(at('d/'), 'x')]),
        ...listed(SLASH, [get(at('d/f/'))], { status: 200, has: { 'headers.content-disposition': 'attachment; filename=f' } }),
        list('{{n}}/d/'),
        list('{{n}}/d/f/'),
        del(at('d/f/')),
        del(at('d/')),
        list('{{n}}'),
      ],
    },
    {
      name: 'with a dot or an empty segment',
      steps: [
        put(at('d/f'), 'x'),
        ...listed(DOT, [
          ...['./g', 'd//g'].map((path) => put(at(path), 'x')),
          ...['./d/f', 'd//f', 'd/./f', 'd/.'].map((path) => get(at(path))),
          ...['{{n}}/./d', '{{n}}//d', '.', './{{n}}'].map(list),
          ...['d/.', 'd//f', '.'].map((path) => del(at(path))),
        ]),
      ],
    },
    {
      name: 'through a file and over a folder',
      steps: [
        put(at('file'), 'x'),
        put(at('folder/x'), 'x'),
        ...listed(STRICT, [put(at('file/below'), 'x'), put(at('folder'), 'x')]),
        get(at('file')),
        list('{{n}}'),
      ],
    },
    ...each(
      'name that cannot be',
      listed(STRICT, [
        put(at('x'.repeat(256)), 'x'),
        put(at('ü'.repeat(128)), 'x'),
        put(at(`${'x'.repeat(200)}/`.repeat(20)), 'x'),
        put(at(`${'x/'.repeat(1000)}x`), 'x'),
        ...['nul%00l.txt', 'new%0Aline', 'tab%09', 'del%7F', 'bad%zz', 'bad%ff', 'http://x/y'].map((path) => put(at(path), 'x')),
        ...['nul%00l.txt', 'bad%zz', 'bad%ff', 'http://x/y', 'x'.repeat(256)].map((path) => get(at(path))),
        del(at('nul%00l.txt')),
        ...['x'.repeat(256), 'a\u0000b', 'a\nb'].map(list),
      ]),
    ),
    {
      name: 'percent in a name',
      steps: [
        put(at('100%25.txt'), 'x'),
        get(at('100%25.txt')),
        list('{{n}}'),
        put(at('a%2520b'), 'y'),
        ...listed(DECODED, [get(at('a%2520b'))], { status: 200, has: { 'headers.content-disposition': 'attachment; filename=a%20b' } }),
        ...listed(DECODED, [get(at('a%20b'))]),
        ...listed(DECODED, [list('{{n}}')], { status: 200, has: { 'files.length': 2, 'files.1.path': 'a%20b' } }),
      ],
    },
    { name: 'list with a path given twice', steps: [put(at('a'), 'x'), get(P, { path: ['{{n}}', 'b'] })] },
  ],
};
