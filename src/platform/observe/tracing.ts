import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attributes, Context, SpanKind } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { Operation } from './metrics.ts';

const STOP_WITHIN_MS = 5_000;

export type TracingSettings = {
  /** Where spans are sent to, with its path. */
  url: string;
  format: 'http/protobuf' | 'http/json';
  serviceName: string;
};

/** The trace that a request is part of. */
export type Trace = {
  /** 32 hex digits; undefined when it is not among those that are sent. */
  id: string | undefined;
  /** A part of the work begins; what it gives is to be called at its end, with the error it failed by. */
  child(name: string, attributes: Attributes): (error?: unknown) => void;
  end(status: number): void;
};

export type Tracing = {
  /** Begins the span of a request, in the trace of its caller (traceparent) or a new one. */
  begin(endpoint: Operation | null, req: IncomingMessage): Trace;
  /** Sends what is left, and ends. */
  stop(): Promise<void>;
};

/**
 * Starts to send traces by OTLP over HTTP. What else OTEL_* variables say (headers, sampler, limits, batches, resource) OpenTelemetry's own packages read
 * from the environment. They are loaded here only, so that without tracing nobody pays for them.
 */
export async function openTracing({ url, format, serviceName }: TracingSettings, version: string, log: Logger): Promise<Tracing> {
  const [api, { W3CTraceContextPropagator }, { BasicTracerProvider, BatchSpanProcessor }, resources, { OTLPTraceExporter }] =
    await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/core'),
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/resources'),
      format === 'http/json' ? import('@opentelemetry/exporter-trace-otlp-http') : import('@opentelemetry/exporter-trace-otlp-proto'),
    ]);
  const tell = (message: string, ...details: unknown[]) => log.warn({ details: details.map(String) }, `OpenTelemetry: ${message}`);
  const told = { error: tell, warn: tell, info() {}, debug() {}, verbose() {} };
  api.diag.setLogger(told, { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true });
  const provider = new BasicTracerProvider({
    resource: resources
      .defaultResource()
      .merge(resources.detectResources({ detectors: [resources.envDetector] }))
      .merge(resources.resourceFromAttributes({ 'service.name': serviceName, 'service.version': version })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))],
  });
  const tracer = provider.getTracer('model-commons', version);
  const propagator = new W3CTraceContextPropagator();

  const start = (name: string, kind: SpanKind, attributes: Attributes, parent: Context) =>
    tracer.startSpan(name, { kind, attributes }, parent);

  return {
    begin(endpoint, req) {
      const callers = propagator.extract(api.ROOT_CONTEXT, req.headers, api.defaultTextMapGetter);
      const attributes = {
        'http.request.method': req.method ?? '',
        'http.route': endpoint?.path ?? '',
        'user_agent.original': req.headers['user-agent'] ?? '',
        'model_commons.request_id': String(req.headers['x-request-id']),
      };
      const span = start(endpoint?.op ?? 'none', api.SpanKind.SERVER, attributes, callers);
      const context = api.trace.setSpan(callers, span);
      return {
        id: span.isRecording() ? span.spanContext().traceId : undefined,
        child(name, attributes) {
          const part = start(name, api.SpanKind.CLIENT, attributes, context);
          return (error) => {
            if (error !== undefined) {
              const { name, code } = error as { name?: string; code?: string };
              part.setAttribute('error.type', String(code ?? name));
              part.setStatus({ code: api.SpanStatusCode.ERROR });
            }
            part.end();
          };
        },
        end(status) {
          span.setAttribute('http.response.status_code', status);
          if (status >= 500) span.setStatus({ code: api.SpanStatusCode.ERROR });
          span.end();
        },
      };
    },
    async stop() {
      const sent = provider.shutdown().catch((error: unknown) => log.warn({ err: error }, 'the last traces could not be sent'));
      await Promise.race([sent, sleep(STOP_WITHIN_MS, undefined, { ref: false })]);
    },
  };
}

/** `target`, with a span around each call of a function that it has, or that an object in it has. */
export function traced<Target extends object>(target: Target, system: string, trace: Trace): Target {
  return new Proxy(target, {
    get(of, key) {
      const value: unknown = Reflect.get(of, key);
      const name = `${system}.${String(key)}`;
      if (typeof value === 'object' && value !== null) return traced(value, name, trace);
      if (typeof value !== 'function') return value;
      return (...parameters: unknown[]) => {
        const end = trace.child(name, {});
        const result: unknown = value.apply(of, parameters);
        if (result instanceof Promise) result.then(() => end(), end);
        else end();
        return result;
      };
    },
  });
}
