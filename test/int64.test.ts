import { describe, expect, it } from 'vitest';
import { parseExactJson, stringifyExactJson } from '../src/platform/json.ts';
import { freshName, seedModel } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const MAX = '9223372036854775807';
const MIN = '-9223372036854775808';
const ODD = '9007199254740993';

async function startRun(body = '"run_name": "r"'): Promise<string> {
  const reply = await server.post('runs/create', `{"experiment_id": "0", ${body}}`);
  expect(reply.status, reply.text).toBe(200);
  return reply.body.run.info.run_id;
}

/** The integers that stand after a field's name in an answer, as they are written. */
const written = (text: string, field: string) => [...text.matchAll(new RegExp(`"${field}":(-?\\d+)`, 'g'))].map(([, digits]) => digits);
const history = async (runId: string, query: Record<string, string | number> = {}) =>
  (await server.get('metrics/get-history', { run_id: runId, metric_key: 'm', ...query }).expect(200)) as {
    text: string;
    body: { next_page_token?: string };
  };

describe('64-bit integers', () => {
  it.each([MAX, ODD])('of a metric are kept: %s, as a number and as a text', async (digits) => {
    for (const sent of [digits, `"${digits}"`]) {
      const runId = await startRun();
      await server
        .post('runs/log-metric', `{"run_id": "${runId}", "key": "m", "value": 1, "timestamp": ${sent}, "step":${sent}}`)
        .expect(200);
      for (const { text } of [await history(runId), await server.get('runs/get', { run_id: runId })]) {
        expect([written(text, 'timestamp'), written(text, 'step')]).toEqual([[digits], [digits]]);
      }
    }
  });

  it('of a batch are told apart where doubles are the same, in history, pages, samples and the latest value', async () => {
    const runId = await startRun();
    const point = (timestamp: string, step: string) =>
      `{"key": "m", "value": 0.1234567890123456, "timestamp": ${timestamp}, "step": ${step}}`;
    const points = [point(MAX, ODD), point(ODD, MAX), point(ODD, '"9223372036854775806"'), point('0', MIN)];
    await server.post('runs/log-batch', `{"run_id": "${runId}", "metrics": [${points.join(', ')}]}`).expect(200);
    const { text } = await history(runId);
    expect(written(text, 'timestamp')).toEqual(['0', ODD, ODD, MAX]);
    expect(written(text, 'step')).toEqual([MIN, '9223372036854775806', MAX, ODD]);
    const steps: (string | undefined)[] = [];
    let token: string | undefined;
    do {
      const page = await history(runId, { max_results: 1, ...(token && { page_token: token }) });
      steps.push(...written(page.text, 'step'));
      token = page.body.next_page_token;
    } while (token);
    expect(steps).toEqual([MIN, '9223372036854775806', MAX, ODD]);
    const sample = await server.get('metrics/get-history-bulk-interval', {
      run_ids: runId,
      metric_key: 'm',
      start_step: MAX,
      end_step: MAX,
    });
    expect(written(sample.text, 'step')).toEqual([MAX]);
    expect(written((await server.get('runs/get', { run_id: runId })).text, 'step')).toEqual([MAX]);
  });

  it('of a run are kept: start, end and steps of models', async () => {
    const runId = await startRun(`"start_time": ${ODD}`);
    const updated = await server.post('runs/update', `{"run_id": "${runId}", "end_time": "${MAX}"}`).expect(200);
    expect([written(updated.text, 'start_time'), written(updated.text, 'end_time')]).toEqual([[ODD], [MAX]]);
    const model = (await server.post('logged-models', { experiment_id: '0', name: freshName() }).expect(200)).body.model.info.model_id;
    await server.post('runs/outputs', `{"run_id": "${runId}", "models": [{"model_id": "${model}", "step": ${MAX}}]}`).expect(200);
    await server
      .post('runs/log-metric', `{"run_id": "${runId}", "key": "m", "value": 1, "timestamp": ${MAX}, "step": 1, "model_id": "${model}"}`)
      .expect(200);
    const got = await server.get('runs/get', { run_id: runId });
    expect(written(JSON.stringify(got.text.split('"model_outputs"')[1]).replaceAll('\\', ''), 'step')).toEqual([MAX]);
    expect(written((await server.get(`logged-models/${model}`)).text, 'timestamp')).toEqual([MAX]);
    const found = await server.post('runs/search', { experiment_ids: ['0'], order_by: ['attributes.start_time DESC'], max_results: 1 });
    expect(written(found.text, 'start_time')).toEqual([ODD]);
  });

  it.each(['9223372036854775808', '-9223372036854775809', '1e19', '9.5', '12345678901234567890123'])(
    'out of range are refused: %s',
    async (digits) => {
      const runId = await startRun();
      for (const sent of [digits, `"${digits}"`]) {
        const body = `{"run_id": "${runId}", "key": "m", "value": 1, "timestamp": 1, "step": ${sent}}`;
        const reply = await server.post('runs/log-metric', body);
        expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
      }
    },
  );

  it('where another type is wanted are shown whole', async () => {
    const reply = await server.post('registered-models/set-tag', `{"name": "${await seedModel(server)}", "key": "k", "value": ${MAX}}`);
    expect(reply.body.message).toMatch(`Invalid value ${MAX} for parameter 'value' supplied:  Hint: Value was of type 'int'.`);
  });

  it('are a metric’s value, as a double', async () => {
    const runId = await startRun();
    await server.post('runs/log-metric', `{"run_id": "${runId}", "key": "m", "value": ${MAX}, "timestamp": 1}`).expect(200);
    expect(JSON.parse((await history(runId)).text).metrics[0].value).toBe(2 ** 63);
  });

  it('in the file of a model are kept in the history of its run', async () => {
    const runId = await startRun();
    const model = `{"artifact_path": "m", "flavors": {"f": {"size": ${ODD}}}, "utc_time_created": "x", "run_id": "${runId}"}`;
    await server.post('runs/log-model', { run_id: runId, model_json: model }).expect(200);
    expect((await server.get('runs/get', { run_id: runId })).text).toContain(ODD);
  });
});

describe('JSON', () => {
  it.each([
    '{"a":9223372036854775807}',
    '[-9223372036854775808,9007199254740993,9007199254740991]',
    '{"a\\\\":"\\": 12345678901234567 ,","b":12345678901234567}',
    '{"12345678901234567":[1234567890123456.5,"9223372036854775807",true,null]}',
    '["\\\\\\\\",12345678901234567,"\\\\\\"",12345678901234567]',
  ])('%s is the same when it is read and written', (text) => {
    expect(stringifyExactJson(parseExactJson(text))).toBe(text);
  });

  it('is read with bigints only where a number would not do', () => {
    expect(
      parseExactJson('{ "a" :\n12345678901234567, "b": 9007199254740991, "c": 12345678901234567890, "d": 0.1234567890123456 }'),
    ).toEqual({
      a: 12345678901234567n,
      b: 9007199254740991,
      c: 12345678901234567000,
      d: 0.1234567890123456,
    });
  });

  it.each(['{12345678901234567: 1}', '[-01234567890123456]', '[12345678901234567', '[12345678901234567x]'])('%s is still none', (text) => {
    expect(() => parseExactJson(text)).toThrow(SyntaxError);
  });
});
