import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express from 'express';
import type { Logger } from 'pino';
import { MlflowError } from '../errors.ts';
import { readJsonBody } from './body.ts';
import type { Declared, Endpoint, StreamEndpoint } from './endpoint.ts';
import { replyError, sendJson } from './reply.ts';
import { type SecuritySettings, securityGuard } from './security.ts';
import { inputReader } from './wire.ts';

const DEFAULT_BODY_LIMIT = 1024 * 1024;

// biome-ignore lint/suspicious/noExplicitAny: a list of endpoints of different inputs; each is checked where it is declared.
export type AnyEndpoint<Services> = Endpoint<Services, any, any> | StreamEndpoint<Services, any>;

export type Wiring<Services> = {
  log: Logger;
  security: SecuritySettings;
  /**
   * Told of each request that begins, and when its reply has left or broke off, after `ms`. Asked once for each endpoint, or null for what no endpoint
   * answers.
   */
  watch(
    endpoint: AnyEndpoint<Services> | null,
  ): (req: IncomingMessage) => { traceId: string | undefined; ended(res: ServerResponse, ms: number): void };
  /** Who made a request, for the log; undefined for who has not signed in. */
  userOf(req: IncomingMessage): string | undefined;
  /** Makes what a handler may use, for one request: resolves the scope it names, if `endpoint` is scoped. Rejects with an MlflowError. */
  services(req: IncomingMessage, endpoint: AnyEndpoint<Services>): Promise<Services>;
  /** Takes off `req.url` what its beginning says of the scope the request is for, and remembers it for `services`. */
  takeBasePath(req: IncomingMessage): void;
  /** For an endpoint with `model`: null, or what the request is about when its input names another scope. Rejects with an MlflowError. */
  readdress(services: Services, endpoint: Declared, input: Record<string, unknown>): Promise<Readdressed<Services> | null>;
  /** The error to answer with for input that an endpoint with `model` refused: the same, or one that says more. */
  explain(services: Services, error: unknown): Promise<unknown>;
  /** Null while everybody may do everything. */
  login: {
    /** For what no endpoint answers: rejects for a caller who is not known, so that it does not tell which paths there are. */
    recognise(req: IncomingMessage): Promise<unknown>;
    /** The services to go on with for a caller who may do this. Rejects with an MlflowError for one who may not. */
    authorize(req: IncomingMessage, endpoint: AnyEndpoint<Services>, context: Services & { input: unknown }): Promise<Services>;
  } | null;
  /** For a change that something follows from: runs it in one transaction with that. Undefined when nothing does. */
  changer(
    endpoint: Endpoint<Services>,
    context: Services & { input: unknown },
    req: IncomingMessage,
  ): (<Output>(change: (services: Services) => Promise<Output>) => Promise<Output>) | undefined;
  /** What is to be done after each success of an endpoint that ran in no such transaction, if anything; asked once. */
  follower(
    endpoint: AnyEndpoint<Services>,
  ): ((context: Services & { input: unknown }, req: IncomingMessage, output: unknown) => Promise<void>) | undefined;
  /** Waited for before a write is answered, whatever the answer is. Undefined when there is nothing to wait for. */
  settled: (() => Promise<void>) | undefined;
  /** Told of what failed before the caller is; `context` is null when it failed before there was one. Null when nobody wants to know. */
  failed:
    | ((
        endpoint: AnyEndpoint<Services> | null,
        context: (Services & { input: unknown }) | null,
        req: IncomingMessage,
        error: unknown,
      ) => Promise<void>)
    | null;
};

/** The services and input to go on with, and how the output, or an error, is said in the words of the request. */
type Readdressed<Services> = {
  services: Services;
  input: Record<string, unknown>;
  answer<Output>(output: Output): Output;
  refusal(error: unknown): unknown;
};

/** How far a request got before it failed; `subject` is null until its input was read. */
type Reached<Services> = { context: Services | null; input: Record<string, unknown>; subject: Readdressed<Services> | null };

type Listener = (req: IncomingMessage, res: ServerResponse, path: string, params: Record<string, string>) => void;

/**
 * Serves all declared endpoints under every prefix the stock server and older clients know.
 * Endpoints whose path has no parameter are found by one look-up in front of Express (half of Express's cost is its own machinery, see
 * docs/decisions/0002); the others go through Express's router to the very same listener. Unknown paths are 404 and wrong methods 405, in MLflow's shape.
 */
export function serveEndpoints<Services>(endpoints: AnyEndpoint<Services>[], wiring: Wiring<Services>): RequestListener {
  const guard = securityGuard(wiring.security, wiring.log);
  const direct = new Map<string, Listener>();
  const allowed = new Map<string, Set<string>>();
  const app = express();
  app.disable('x-powered-by');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  for (const endpoint of endpoints) {
    const listener = listenerOf(endpoint, wiring);
    for (const path of pathsOf(endpoint)) {
      allowed.set(path, (allowed.get(path) ?? new Set()).add(endpoint.method));
      if (isPattern(path)) {
        app[endpoint.method.toLowerCase() as 'get'](path, (req, res) => listener(req, res, req.path, joinWildcards(req.params)));
      } else {
        direct.set(`${endpoint.method} ${path}`, listener);
      }
    }
  }
  const collapse = collapserOf([...allowed.keys()]);
  const watch = watcherOf(null, wiring);
  const recognise = async (req: IncomingMessage): Promise<void> => {
    await wiring.login?.recognise(req).catch(async (error: unknown) => {
      await wiring.failed?.(null, null, req, error);
      throw error;
    });
  };
  const refuseMethod = async (req: IncomingMessage, res: ServerResponse, path: string, methods: Set<string>) => {
    watch(req, res, path);
    await recognise(req);
    res.setHeader('Allow', allowOf(methods));
    throw new MlflowError('BAD_REQUEST', `${req.method} is not allowed on ${path}; use ${[...methods].join(' or ')}.`, 405);
  };
  for (const [path, methods] of allowed) {
    if (isPattern(path)) app.all(path, (req, res) => refuseMethod(req, res, path, methods));
  }
  app.use(async (req, res) => {
    watch(req, res, req.path);
    await recognise(req);
    throw notFound(req.method, req.path);
  });
  app.use((error: unknown, req: express.Request, res: express.Response, _next: express.NextFunction) => {
    replyError(toHttpError(error), req, res, wiring.log);
  });

  return (req, res) => {
    wiring.takeBasePath(req);
    res.setHeader('X-Request-Id', nameRequest(req));
    // Clients make `//api/...` of a base URL with a trailing slash. All that follows sees the one path this stands for.
    if (req.url?.includes('//')) req.url = collapse(req.url);
    const path = pathOf(req);
    const methods = allowed.get(path);
    // A browser's question before a request of another origin is answered by the guard, without this.
    if (req.method === 'OPTIONS' && methods && !req.headers['access-control-request-method']) res.setHeader('Allow', allowOf(methods));
    if (guard(req, res, path)) return;
    if (path === '/' && BASE_WITH_QUERY.test(req.url ?? '')) return replyError(queryInBase(req.url ?? ''), req, res, wiring.log);
    const method = req.method === 'HEAD' ? 'GET' : (req.method ?? 'GET');
    const listener = direct.get(`${method} ${path}`);
    if (listener) return listener(req, res, path, {});
    if (methods) return void refuseMethod(req, res, path, methods).catch((error: unknown) => replyError(error, req, res, wiring.log));
    app(req, res);
  };
}

/** The id of a request for logs and audit: the one that a proxy or client gave it, if it is a sane one, else a new one. It is in `req.headers` from here on. */
function nameRequest(req: IncomingMessage): string {
  const given = req.headers['x-request-id'];
  const id = typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
  req.headers['x-request-id'] = id;
  return id;
}

/** Makes one slash of several in the path of a URL, but leaves what a `*name` of a pattern stands for: there they are part of a name. */
function collapserOf(patterns: string[]): (url: string) => string {
  const kept = patterns
    .filter((pattern) => pattern.includes('*'))
    .map((pattern) =>
      pattern
        .replace(/\*.*/, '')
        .replaceAll('.', '\\.')
        .replace(/\/(?=.)/g, '/+')
        .replace(/:\w+/g, '[^/]+'),
    )
    .map((fixed) => new RegExp(`^${fixed}`));
  return (url) => {
    const path = /^[^?]*/.exec(url)?.[0] ?? '';
    const fixed = kept.map((pattern) => pattern.exec(path)?.[0]).find((match) => match !== undefined) ?? path;
    return fixed.replace(/\/{2,}/g, '/') + url.slice(fixed.length);
  };
}

// What a client makes of a base URL with a query: it hangs the path behind it.
const BASE_WITH_QUERY = /^\/\?.*\/(?:ajax-)?api\/\d/s;

const queryInBase = (url: string) =>
  new MlflowError(
    'INVALID_PARAMETER_VALUE',
    `The address of the server that the client was given has a query ('${url.slice(1, url.search(/\/(?:ajax-)?api\/\d/)).slice(0, 100)}'), which cannot be: it swallows ` +
      "the path. For a registry write <server>/registries/<registry> (MLFLOW_REGISTRY_URI), or name its models '<registry>.<model>'.",
  );

const isPattern = (path: string) => path.includes(':') || path.includes('*');

const allowOf = (methods: Set<string>) => [...methods, ...(methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');

/** The paths one endpoint answers at. The first is the documented one; `preview` is what 1.x clients call. */
function pathsOf(endpoint: Declared): string[] {
  const version = endpoint.apiVersion ?? '2.0';
  if (version === 'none') return [endpoint.path];
  const bases = [`/api/${version}`, `/ajax-api/${version}`];
  if (version === '2.0' && endpoint.path.startsWith('/mlflow/')) bases.push('/api/2.0/preview', '/ajax-api/2.0/preview');
  return bases.map((base) => base + endpoint.path);
}

function listenerOf<Services>(endpoint: AnyEndpoint<Services>, wiring: Wiring<Services>): Listener {
  const { log, services, readdress, login, changer, failed } = wiring;
  const follow = wiring.follower(endpoint);
  const reader = inputReader(endpoint.input);
  const subjectOf = async (
    req: IncomingMessage,
    available: Services,
    input: Record<string, unknown>,
    reached: Reached<Services>,
  ): Promise<Readdressed<Services>> => {
    const subject = (endpoint.model !== undefined && (await readdress(available, endpoint, input))) || {
      services: available,
      input,
      answer: <Output>(output: Output) => output,
      refusal: (error: unknown) => error,
    };
    reached.subject = subject;
    reached.context = subject.services;
    reached.input = subject.input;
    if (login === null) return subject;
    reached.context = await login.authorize(req, endpoint, { ...subject.services, input: subject.input });
    return { ...subject, services: reached.context };
  };
  const answer = async (
    req: IncomingMessage,
    res: ServerResponse,
    params: Record<string, string>,
    reached: Reached<Services>,
  ): Promise<void> => {
    const available = await services(req, endpoint);
    reached.context = available;
    const query = queryOf(req);
    if (endpoint.kind === 'stream') {
      const subject = await subjectOf(req, available, reader.fromQuery(query, params), reached);
      await endpoint.handler({ ...subject.services, input: subject.input, req, res, log });
      if (follow && res.statusCode < 400) await follow({ ...subject.services, input: subject.input }, req, undefined);
      return;
    }
    // The stock server reads a GET's JSON body only when there is no query argument at all.
    const {
      services: context,
      input,
      answer,
    } = await subjectOf(
      req,
      available,
      req.method === 'HEAD' || (endpoint.method === 'GET' && query.size > 0)
        ? reader.fromQuery(query, params)
        : reader.fromJson(await readJsonBody(req, endpoint.bodyLimit ?? DEFAULT_BODY_LIMIT, endpoint.apiVersion === '1.0'), params),
      reached,
    );
    const change = endpoint.effect === 'write' ? changer(endpoint, { ...context, input }, req) : undefined;
    const output = change
      ? await change((services) => endpoint.handler({ ...services, input }))
      : await endpoint.handler({ ...context, input });
    if (follow) await follow({ ...context, input }, req, output);
    sendJson(res, endpoint.status ?? 200, answer(output));
  };
  const inWordsOfRequest = async (error: unknown, { subject, context }: Reached<Services>): Promise<unknown> => {
    if (subject) return subject.refusal(error);
    return endpoint.model !== undefined && context ? wiring.explain(context, error).catch(() => error) : error;
  };
  const watch = watcherOf(endpoint, wiring);
  const settled = endpoint.effect === 'write' ? wiring.settled : undefined;
  return (req, res, path, params) => {
    watch(req, res, path);
    if (settled) holdAnswer(res, settled);
    const reached: Reached<Services> = { context: null, input: {}, subject: null };
    answer(req, res, params, reached).catch(async (thrown: unknown) => {
      const error = await inWordsOfRequest(thrown, reached);
      await failed?.(endpoint, reached.context && { ...reached.context, input: reached.input }, req, error);
      replyError(error, req, res, log);
    });
  };
}

/** Ends an answer once something is settled. A write is answered in one piece, so nothing of it goes before. */
function holdAnswer(res: ServerResponse, settled: () => Promise<void>): void {
  const end = res.end;
  res.end = (...content: unknown[]) => {
    void settled().then(() => end.apply(res, content as Parameters<typeof end>));
    return res;
  };
}

/** Tells of each request, and writes a line into the log when it has ended, without its query: secrets may be in that. */
function watcherOf<Services>(
  endpoint: AnyEndpoint<Services> | null,
  { log, watch, userOf }: Wiring<Services>,
): (req: IncomingMessage, res: ServerResponse, path: string) => void {
  const begin = watch(endpoint);
  const op = endpoint?.op ?? 'none';
  // What probes ask all the time would drown the rest.
  const level = endpoint?.scoped === false ? 'debug' : 'info';
  return (req, res, path) => {
    const started = performance.now();
    const { traceId, ended } = begin(req);
    res.once('close', () => {
      const ms = performance.now() - started;
      ended(res, ms);
      log[level](
        {
          op,
          method: req.method,
          path,
          status: res.statusCode,
          ms: Math.round(ms * 10) / 10,
          requestId: req.headers['x-request-id'],
          user: userOf(req),
          traceId,
        },
        'request',
      );
    });
  };
}

const notFound = (method: string, path: string) =>
  new MlflowError(
    'ENDPOINT_NOT_FOUND',
    `No endpoint for ${method} ${path.slice(0, 200)}. Check the address and the MLflow client's version.`,
  );

/** Express and Node throw errors of their own for paths that cannot be decoded: they carry a status. */
function toHttpError(error: unknown): unknown {
  const status = (error as { status?: unknown }).status;
  return error instanceof MlflowError || status !== 400
    ? error
    : new MlflowError('MALFORMED_REQUEST', 'The path of the request cannot be decoded.');
}

function joinWildcards(params: Record<string, string | string[]>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, Array.isArray(value) ? value.join('/') : value]));
}

function pathOf(req: IncomingMessage): string {
  const url = req.url ?? '/';
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

function queryOf(req: IncomingMessage): URLSearchParams {
  const url = req.url ?? '/';
  const start = url.indexOf('?');
  const query = new URLSearchParams(start < 0 ? '' : url.slice(start + 1));
  if (start >= 0 && url.includes('%00')) refuseNul(query);
  return query;
}

function refuseNul(query: URLSearchParams): void {
  for (const value of query.values()) {
    if (value.includes('\0'))
      throw new MlflowError('INVALID_PARAMETER_VALUE', 'Invalid text: arguments must not contain NUL (U+0000) characters.');
  }
}
