import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../src/config.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

type Attribute = { key: string; value: { stringValue?: string; intValue?: number | string } };
type Span = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: Attribute[];
  status: { code?: number };
  startTimeUnixNano: string;
  endTimeUnixNano: string;
};
type Export = { resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: Span[] }[] }[] };

const SERVER = 2;
const CLIENT = 3;
const FAILED = 2;

/** What an OpenTelemetry collector gets. */
async function startCollector() {
  const received: { path: string | undefined; headers: http.IncomingHttpHeaders; body: Buffer }[] = [];
  const collector = http.createServer(async (req, res) => {
    received.push({ path: req.url, headers: req.headers, body: await buffer(req) });
    res
      .writeHead(200, { 'Content-Type': String(req.headers['content-type']) })
      .end(req.headers['content-type'] === 'application/json' ? '{}' : '');
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    collector.closeAllConnections();
    collector.close();
  });
  const exports = () => received.map(({ body }) => JSON.parse(body.toString()) as Export);
  const spans = () =>
    exports().flatMap(({ resourceSpans }) => resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)));
  return {
    url: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
    received,
    exports,
    spans,
    /** The spans of a trace, once the one of its request is there: it is the last to end. */
    traceOf: (requestId: string): Promise<{ root: Span; parts: Span[] }> =>
      vi.waitFor(() => {
        const root = spans().find((span) => attributesOf(span)['model_commons.request_id'] === requestId);
        if (!root) throw new Error(`no span of ${requestId} yet`);
        return { root, parts: spans().filter(({ parentSpanId }) => parentSpanId === root.spanId) };
      }, 5000),
  };
}

const attributesOf = ({ attributes }: { attributes: Attribute[] }): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]));

vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '50');
vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-api-key=k');
vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'deployment.environment=test');

const collector = await startCollector();
const traced = (url: string, env: NodeJS.ProcessEnv = {}) =>
  startTestServer(undefined, undefined, undefined, undefined, undefined, undefined, undefined, {
    tracing: readConfig([], { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', ...env }).observe.tracing,
  });
const server = await traced(collector.url);

describe('traces', () => {
  it('have a span of each request, in the trace of its caller, with a span of each statement and no value', async () => {
    const [traceId, callerSpanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
    await server
      .post('registered-models/create', { name: freshName('confidential') })
      .set({ 'X-Request-Id': 'with-caller', traceparent: `00-${traceId}-${callerSpanId}-01`, 'User-Agent': 'mlflow-python-client/3.17.2' })
      .expect(200);
    const { root, parts } = await collector.traceOf('with-caller');
    expect(root).toMatchObject({ traceId, parentSpanId: callerSpanId, name: 'registered_model.create', kind: SERVER });
    expect(attributesOf(root)).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/mlflow/registered-models/create',
      'http.response.status_code': 200,
      'user_agent.original': 'mlflow-python-client/3.17.2',
    });
    const insert = parts.find(({ name }) => name === 'insert_registered_model');
    expect(insert).toMatchObject({ traceId, kind: CLIENT });
    expect(attributesOf(insert as Span)).toMatchObject({
      'db.system.name': 'postgresql',
      'db.query.summary': 'insert_registered_model',
      'db.query.text': expect.stringMatching(/^with .*insert into registered_models|^insert into registered_models/),
    });
    expect(BigInt(insert?.startTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(BigInt(root.startTimeUnixNano));
    expect(BigInt(insert?.endTimeUnixNano ?? 0)).toBeLessThanOrEqual(BigInt(root.endTimeUnixNano));
    expect(JSON.stringify(collector.exports())).not.toContain('confidential');
  });

  it('begin here when the caller has none, and are not sent for probes, nor when the caller does not send its own', async () => {
    await server
      .get('registered-models/search')
      .set({ 'X-Request-Id': 'unsampled', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00` });
    await server.get('/health').set('X-Request-Id', 'probe');
    await server.get('registered-models/search').set('X-Request-Id', 'alone');
    const { root } = await collector.traceOf('alone');
    expect(root.parentSpanId ?? '').toBe('');
    expect(root.traceId).toMatch(/^[0-9a-f]{32}$/);
    const sent = collector.spans().map((span) => attributesOf(span)['model_commons.request_id']);
    expect(sent).not.toContain('unsampled');
    expect(sent).not.toContain('probe');
  });

  it('have spans of the artifact store, of transactions, and of what failed', async () => {
    await server.put('/api/2.0/mlflow-artifacts/artifacts/0/f', 'content').set('X-Request-Id', 'put').expect(200);
    expect((await collector.traceOf('put')).parts.map(({ name }) => name)).toContain('blobs.write');

    const spy = vi.spyOn(server.db, 'query').mockRejectedValue(Object.assign(new Error('down'), { code: 'ECONNREFUSED' }));
    await server.get('registered-models/get', { name: 'm' }).set('X-Request-Id', 'failed');
    spy.mockRestore();
    const { root, parts } = await collector.traceOf('failed');
    expect(attributesOf(root)['http.response.status_code']).toBeGreaterThanOrEqual(500);
    expect(root.status.code).toBe(FAILED);
    expect(parts.map((part) => [part.status.code, attributesOf(part)['error.type']])).toContainEqual([FAILED, 'ECONNREFUSED']);
  });

  it('say what sends them, and obey the variables of OpenTelemetry', async () => {
    await server.get('experiments/search').set('X-Request-Id', 'headers');
    await collector.traceOf('headers');
    const [first] = collector.received;
    expect(first?.path).toBe('/v1/traces');
    expect(first?.headers['x-api-key']).toBe('k');
    expect(attributesOf(collector.exports()[0]?.resourceSpans[0]?.resource ?? { attributes: [] })).toMatchObject({
      'service.name': 'model-commons',
      'service.version': expect.stringMatching(/^\d+\.\d+\.\d+$/),
      'deployment.environment': 'test',
    });
  });

  it('are written as protobuf unless JSON is asked for, and sampled as OTEL_TRACES_SAMPLER says', async () => {
    const other = await startCollector();
    const binary = await traced(other.url, { OTEL_EXPORTER_OTLP_PROTOCOL: '' });
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'always_off');
    const off = await traced(other.url);
    vi.stubEnv('OTEL_TRACES_SAMPLER', undefined);
    await off.get('registered-models/search');
    await binary.get('experiments/search');
    await vi.waitFor(() => expect(other.received).not.toEqual([]), 10_000);
    expect(other.received[0]?.headers['content-type']).toBe('application/x-protobuf');
    expect(other.received[0]?.body.includes('experiment.search')).toBe(true);
    expect(other.received.some(({ body }) => body.includes('registered_model.search'))).toBe(false);
  });

  it('cost no request anything when the collector does not answer', async () => {
    const lost = await traced('http://127.0.0.1:9');
    for (let i = 0; i < 5; i++) expect((await lost.get('registered-models/search')).status).toBe(200);
  });
});

describe('settings of traces', () => {
  it('are those of OpenTelemetry; without an endpoint there are none', () => {
    const tracingOf = (env: NodeJS.ProcessEnv) => readConfig([], env).observe.tracing;
    expect(tracingOf({})).toBeNull();
    expect(tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/', OTEL_SERVICE_NAME: 'models' })).toEqual({
      url: 'http://c:4318/v1/traces',
      format: 'http/protobuf',
      serviceName: 'models',
    });
    expect(tracingOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c/own' })?.url).toBe('http://c/own');
    expect(() => tracingOf({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toThrow('must be http/protobuf or http/json');
  });
});
