import { describe, expect, it } from 'vitest';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const model = await seedModel(server, 1);
const runId = (await server.post('runs/create', { experiment_id: '0' }).expect(200)).body.run.info.run_id;

const ONLY = 'Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).';
const CONTROL = 'Names must not contain control characters such as line breaks and tabs.';

// Each with what it calls the argument.
const KEYS: [string, string, (key: string) => Record<string, unknown>][] = [
  ['registered-models/set-tag', 'key', (key) => ({ name: model, key, value: 'v' })],
  ['model-versions/set-tag', 'key', (key) => ({ name: model, version: '1', key, value: 'v' })],
  ['experiments/set-experiment-tag', 'key', (key) => ({ experiment_id: '0', key, value: 'v' })],
  ['runs/set-tag', 'key', (key) => ({ run_id: runId, key, value: 'v' })],
  ['runs/log-parameter', 'key', (key) => ({ run_id: runId, key, value: 'v' })],
  ['runs/log-metric', 'name', (key) => ({ run_id: runId, key, value: 1, timestamp: 1 })],
  ['runs/log-batch', 'tags[0].key', (key) => ({ run_id: runId, tags: [{ key, value: 'v' }] })],
];

describe('a key', () => {
  it.each(KEYS)('of %s that ends with a newline is refused', async (path, parameter, body) => {
    for (const key of ['a\n', '\n', 'a\nb', 'a\t', 'a\x01b']) {
      const reply = await server.post(path, body(key));
      expect(reply.status).toBe(400);
      expect(reply.body).toMatchObject({
        error_code: 'INVALID_PARAMETER_VALUE',
        message: `Invalid value ${JSON.stringify(key)} for parameter '${parameter}' supplied: ${ONLY}`,
      });
    }
  });

  it.each(KEYS)('of %s may have letters and digits of any script, but no marks', async (path, _, body) => {
    for (const key of ['naïve é', '日本²', '٣']) expect((await server.post(path, body(key))).status, key).toBe(200);
    for (const key of ['e\u0301', '\u0915\u0940']) expect((await server.post(path, body(key))).status, key).toBe(400);
  });
});

describe('a name with a control character', () => {
  it.each(['a\n', 'a\tb', '\x7f', 'a\x85', 'a\u2028b'])('such as %j is refused for models', async (end) => {
    const name = `${freshName()}${end}`;
    for (const [path, body, parameter] of [
      ['registered-models/create', { name }, 'name'],
      ['registered-models/rename', { name: model, new_name: name }, 'new_name'],
      ['logged-models', { experiment_id: '0', name }, 'name'],
    ] as const) {
      const reply = await server.post(path, body);
      expect(reply.status).toBe(400);
      expect(reply.body.message).toMatch(`for parameter '${parameter}' supplied: ${CONTROL}`);
    }
  });

  it('is refused as an alias', async () => {
    const reply = await server.post('registered-models/alias', { name: model, alias: 'a\n', version: '1' });
    expect(reply.body.message).toBe("Invalid alias name: 'a\n'. Names may only contain alphanumerics, underscores (_), and dashes (-).");
  });
});
