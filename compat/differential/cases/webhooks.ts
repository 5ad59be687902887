import { del, each, eachAfter, eachValue, type Group, get, listed, patch, post, type Step } from '../case.ts';

const DROPPED = 'the stock server drops a status that it cannot read without a word';
const HTML = 'a 500 HTML page on the stock server';
const SQL_TEXT = 'the stock server answers 400 with SQL in the text';
const STRICT_URL = 'the stock server accepts a URL that can never be delivered to, or that programs read differently';
const NOT_PUBLIC = 'the stock server takes multicast and embedded addresses for public ones';
const ORACLE = 'the stock server tells what names of its own network resolve to';
const RESOLVER = 'the text of Python’s resolver';

const CREATED = { entity: 'MODEL_VERSION', action: 'CREATED' };
// Disabled, or of an event that never comes: nothing is to be sent there.
const hook = { name: 'h', url: 'https://8.8.8.8/x', events: [CREATED], status: 'DISABLED' };
const quiet = { name: 'h', url: 'https://8.8.8.8/x', events: [{ entity: 'BUDGET_POLICY', action: 'EXCEEDED' }] };
const made = (more: object = {}): Step => post('webhooks', { ...hook, ...more }, { save: { id: 'webhook.webhook_id' } });
const read = get('webhooks/{{id}}');
const change = (body: object, more: Partial<Step> = {}): Step => patch('webhooks/{{id}}', body, { unordered: ['events'], ...more });
const urls = (list: string[]): Step[] => list.map((url) => post('webhooks', { ...hook, url }));
const events = (list: unknown[]): Step[] => list.map((one) => post('webhooks', { ...hook, events: one }, { unordered: ['events'] }));

export const webhooks: Group = {
  group: 'webhooks',
  cases: [
    {
      name: 'life of a webhook',
      steps: [
        made({ description: 'd', secret: 's' }),
        read,
        change({ name: 'i', url: 'https://1.1.1.1/', events: [CREATED, { entity: 'PROMPT', action: 'CREATED' }], status: 'DISABLED' }),
        get('webhooks/{{id}}', undefined, { unordered: ['events'] }),
        change({}),
        change({ name: '', url: '', events: [] }),
        change({ description: '', secret: '' }),
        change({ webhook_id: 'other' }),
        change({ status: '2' }),
        del('webhooks/{{id}}'),
        read,
        del('webhooks/{{id}}'),
        change({}),
        post('webhooks/{{id}}/test'),
      ],
    },
    ...each(
      'name',
      eachValue('webhooks', hook, 'name', [
        '',
        5,
        null,
        'a b',
        "it's",
        'ü',
        'a\n',
        '-a',
        'a-',
        'a',
        'A9',
        'a..b',
        'x'.repeat(63),
        'x'.repeat(64),
      ]),
    ),
    ...each('description', eachValue('webhooks', hook, 'description', ['', 5, 'x'.repeat(1000)])),
    ...each('secret', eachValue('webhooks', hook, 'secret', ['', 5, 'x'.repeat(600)])),
    ...each('status', eachValue('webhooks', quiet, 'status', ['ACTIVE', 'DISABLED', 1, 2, '2', null, 3])),
    ...each('status that cannot be read', listed(DROPPED, eachValue('webhooks', quiet, 'status', ['disabled', 'NOPE', '', true]))),
    ...each(
      'too long',
      listed(SQL_TEXT, [
        post('webhooks', { ...hook, description: 'x'.repeat(1001) }),
        post('webhooks', { ...hook, secret: 'x'.repeat(2000) }),
        post('webhooks', { ...hook, url: `https://8.8.8.8/${'x'.repeat(500)}` }),
      ]),
    ),
    ...each('NUL', listed('a 500 on the stock server', [post('webhooks', { ...hook, description: 'a\0' })])),
    ...each('nothing', [post('webhooks'), post('webhooks', { name: 'a' }), post('webhooks', { name: 'a', url: hook.url })]),
    ...each('what is wrong first', [
      post('webhooks', { name: 'a b', url: 'ftp://x', events: [] }),
      post('webhooks', { name: 'a', url: 'ftp://x', events: [] }),
      post('webhooks', { name: 'a b', url: 'ftp://x', events: [{ entity: 'PROMPT', action: 'SET' }] }),
    ]),
    ...each(
      'url',
      urls([
        'https://8.8.8.8',
        'HTTPS://8.8.8.8/',
        'https://8.8.8.8:443/a?b=c#d',
        'https://8.8.8.8:8443/',
        'https://8.8.8.8:/',
        'https://8.8.8.8/ünï',
        'https://[2606:4700::1111]/',
        `https://8.8.8.8/${'x'.repeat(484)}`,
        '',
        ' ',
        'http://8.8.8.8/',
        'ftp://x/y',
        'example.com',
        'https:///x',
        'https:8.8.8.8',
        'https://:443/',
        'https://10.0.0.1/',
        'https://172.16.0.1/',
        'https://192.168.1.1/',
        'https://127.0.0.1/',
        'https://127.1/',
        'https://0x7f000001/',
        'https://2130706433/',
        'https://0177.0.0.1/',
        'https://0.0.0.0/',
        'https://100.64.0.1/',
        'https://169.254.169.254/latest',
        'https://192.0.2.1/',
        'https://198.18.0.1/',
        'https://198.51.100.7/',
        'https://203.0.113.7/',
        'https://240.0.0.1/',
        'https://255.255.255.255/',
        'https://[::1]/',
        'https://[::]/',
        'https://[::ffff:10.0.0.1]/',
        'https://[::FFFF:7f00:1]/',
        'https://[64:ff9b::10.0.0.1]/',
        'https://[64:ff9b::808:808]/',
        'https://[2002:0a00:0001::1]/',
        'https://[2002:0808:0808::1]/',
        'https://[2001:db8::1]/',
        'https://[fd00::1]/',
        'https://[fe80::1]/',
        'https://[100::1]/',
        'https://nope.invalid/',
      ]),
    ),
    ...each('url of a wrong type', eachValue('webhooks', hook, 'url', [5, null, [], {}])),
    ...each(
      'not public',
      listed(NOT_PUBLIC, urls(['https://224.0.0.1/', 'https://239.1.2.3/', 'https://[ff02::1]/', 'https://[::10.0.0.1]/'])),
    ),
    ...each('name of a private address', listed(ORACLE, urls(['https://localhost/x', 'https://LOCALHOST/']))),
    ...each(
      'no name',
      listed(RESOLVER, urls(['https://a..b/', 'https://[fe80::1%25eth0]/', 'https://[::1/', 'https://8.8.8.8\\@10.0.0.1/'])),
    ),
    ...each(
      'url that is refused here',
      listed(
        STRICT_URL,
        urls([
          'https://u:p@8.8.8.8/',
          'https://u@8.8.8.8/',
          'https://8.8.8.8:99999/',
          'https://8.8.8.8:0/',
          'https://8.8.8.8:22/',
          'https://8.8.8.8:25/',
          'https://8.8.8.8:abc/',
          ' https://8.8.8.8/',
          'https://8.8.8.8/ ',
          'https://8.8.8.8/a b',
          'https://8.8.8.8/\r\nX: y',
          'https://8.8.8.8/\u0085',
        ]),
      ),
    ),
    ...each(
      'events',
      events([
        [],
        'x',
        {},
        null,
        [{ entity: 2, action: 1 }],
        [{ entity: '2', action: '1' }],
        [{ entity: 'MODEL_VERSION', action: 'UPDATED' }],
        [{ entity: 'MODEL_VERSION_TAG', action: 'CREATED' }],
        [{ entity: 'PROMPT_ALIAS', action: 'EXCEEDED' }],
        [
          { entity: 'MODEL_VERSION_TAG', action: 'SET' },
          { entity: 'MODEL_VERSION_TAG', action: 'DELETED' },
        ],
        [{ entity: 'BUDGET_POLICY', action: 'EXCEEDED' }],
        [CREATED, { entity: 'REGISTERED_MODEL', action: 'CREATED' }, { entity: 'PROMPT_ALIAS', action: 'DELETED' }],
      ]),
    ),
    ...each(
      'events that cannot be read',
      listed(
        HTML,
        events([
          [{}],
          ['x'],
          [5],
          [{ entity: 'MODEL_VERSION' }],
          [{ action: 'CREATED' }],
          [{ entity: 'model_version', action: 'created' }],
          [{ entity: 99, action: 1 }],
          [{ entity: 0, action: 0 }],
          [{ entity: 'NOPE', action: 'CREATED' }],
        ]),
      ),
    ),
    ...each('an event twice', listed(SQL_TEXT, events([[CREATED, CREATED]]))),
    ...eachAfter(
      'bad change',
      [made()],
      [
        change({ name: 'a b' }),
        change({ name: 5 }),
        change({ url: ' ' }),
        change({ url: 'ftp://x' }),
        change({ url: 'https://10.0.0.1/' }),
        change({ events: 'x' }),
        change({ events: [{ entity: 'PROMPT', action: 'SET' }] }),
        change({ description: 5 }),
        change({ events: [{}] }, { differs: HTML }),
        change({ events: [CREATED, CREATED] }, { differs: SQL_TEXT }),
        change({ status: 'x' }, { differs: DROPPED }),
      ],
    ),
    ...each('unknown', [
      get('webhooks/nope'),
      patch('webhooks/nope', { url: 'ftp://x' }),
      del('webhooks/nope'),
      post('webhooks/nope/test'),
      post('webhooks/nope/test', { event: CREATED }),
      post('webhooks/nope/test', { event: { entity: 'PROMPT', action: 'SET' } }),
      post('webhooks/nope/test', { event: {} }, { differs: HTML }),
      post('webhooks/nope/test', { event: 'x' }, { differs: HTML }),
    ]),
    {
      name: 'pages, the newest first',
      steps: [
        made({ name: 'first' }),
        made({ name: 'second' }),
        made({ name: 'third' }),
        get('webhooks', { max_results: '2' }, { save: { token: 'next_page_token' } }),
        get('webhooks', { max_results: '1', page_token: '{{token}}' }),
      ],
    },
    ...each('list', [
      get('webhooks', { max_results: '-1' }),
      get('webhooks', { max_results: '1001' }),
      get('webhooks', { max_results: 'x' }),
      get('webhooks', { page_token: '§' }, { differs: HTML }),
      get('webhooks', { max_results: '1', page_token: '' }),
    ]),
  ],
};
