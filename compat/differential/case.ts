/** One request, sent word for word to both servers. `{{name}}` in its strings is replaced with what that server answered before. */
export type Step = {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  /** Below /api/2.0/mlflow/, or absolute. */
  path: string;
  query?: Record<string, string | string[]>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  raw?: string;
  /** As `raw`, for what is no text; nothing in it is replaced. */
  bytes?: Uint8Array;
  headers?: Record<string, string>;
  /** Headers of the answer that are compared too. */
  compareHeaders?: readonly string[];
  /** Names for parts of the answer: `{ run: 'run.info.run_id' }`. */
  save?: Record<string, string>;
  /** Lists of the answer whose order the stock server leaves open. */
  unordered?: string[];
  /** Lists whose order is compared although it is open in other answers: `metrics` of a history. */
  ordered?: string[];
  /** Fields left out of the comparison at any depth, where a listed difference touches every answer. */
  leaveOut?: string[];
  /** Asked again with each answer's own `next_page_token` until there is none: the pages are compared, and there must be at least so many. */
  everyPage?: number;
  /**
   * A difference that docs/differences.md lists: why ours is better. Then ours must answer a 4xx in MLflow's shape, or `ours` when that is given.
   * The step fails when both agree after all: then the list is wrong.
   */
  differs?: string;
  ours?: Expected;
  /** A request nobody thought of: where the stock server breaks (5xx, or SQL in the text) ours may refuse, and a sentence about a mistake may have other words. */
  random?: true;
};

/**
 * What ours answers where it differs: the whole body, or the part that proves the improvement (`has`), by paths such as `runs.0.info.run_name` or
 * `runs.length`. Values are as the comparison sees them, with its marks (`<now>`, `<run>`); undefined is what must not be there. A part that the stock
 * server's answer has too proves nothing, so the step fails.
 */
export type Expected = { status: number; body: unknown } | { status: number; has: Record<string, unknown> };

/** Steps in order on both servers; every answer is compared. `{{n}}` is a name no other case uses. */
export type Case = { name: string; steps: Step[] };

/** `workspaces`: compared with a stock server that was started with --enable-workspaces. */
export type Group = { group: string; cases: Case[]; workspaces?: true };

export const get = (path: string, query?: Step['query'], more: Partial<Step> = {}): Step => ({
  method: 'GET',
  path,
  ...(query && { query }),
  ...more,
});
export const post = (path: string, body: unknown = {}, more: Partial<Step> = {}): Step => ({ method: 'POST', path, body, ...more });
/** Sends a file: bytes without a content type. */
export const put = (path: string, raw: string, more: Partial<Step> = {}): Step => ({ method: 'PUT', path, raw, ...more });
export const patch = (path: string, body: unknown = {}, more: Partial<Step> = {}): Step => ({ method: 'PATCH', path, body, ...more });
export const del = (path: string, body: unknown = {}, more: Partial<Step> = {}): Step => ({ method: 'DELETE', path, body, ...more });

/** One case for each of many requests that stand alone. */
export const each = (name: string, steps: Step[]): Case[] => steps.map((step, i) => ({ name: `${name} ${i + 1}`, steps: [step] }));

/** One case for each of many requests, after the same preparation. */
export const eachAfter = (name: string, before: Step[], steps: Step[]): Case[] =>
  steps.map((step, i) => ({ name: `${name} ${i + 1}`, steps: [...before, step] }));

/** Steps whose difference docs/differences.md lists. */
export const listed = (differs: string, steps: Step[], ours?: Expected): Step[] =>
  steps.map((step) => ({ ...step, differs, ...(ours && { ours }) }));

/** The same body once for each of many values of one field. */
export const eachValue = (path: string, body: Record<string, unknown>, field: string, values: unknown[]): Step[] =>
  values.map((value) => post(path, { ...body, [field]: value }));

/** The lines of a text, without those that are blank: lists of filters and the like. */
export const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trimStart())
    .filter((line) => line !== '');
