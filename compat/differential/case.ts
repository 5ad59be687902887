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
  headers?: Record<string, string>;
  /** Names for parts of the answer: `{ run: 'run.info.run_id' }`. */
  save?: Record<string, string>;
  /** Lists of the answer whose order the stock server leaves open. */
  unordered?: string[];
  /**
   * A difference that docs/differences.md lists: why ours is better. Then ours must answer a 4xx in MLflow's shape, or exactly `ours` when that is given.
   * The step fails when both agree after all: then the list is wrong.
   */
  differs?: string;
  ours?: { status: number; body?: unknown };
};

/** Steps in order on both servers; every answer is compared. `{{n}}` is a name no other case uses. */
export type Case = { name: string; steps: Step[] };

export type Group = { group: string; cases: Case[] };

export const get = (path: string, query?: Step['query'], more: Partial<Step> = {}): Step => ({
  method: 'GET',
  path,
  ...(query && { query }),
  ...more,
});
export const post = (path: string, body: unknown = {}, more: Partial<Step> = {}): Step => ({ method: 'POST', path, body, ...more });
export const patch = (path: string, body: unknown = {}, more: Partial<Step> = {}): Step => ({ method: 'PATCH', path, body, ...more });
export const del = (path: string, body: unknown = {}, more: Partial<Step> = {}): Step => ({ method: 'DELETE', path, body, ...more });

/** One case for each of many requests that stand alone. */
export const each = (name: string, steps: Step[]): Case[] => steps.map((step, i) => ({ name: `${name} ${i + 1}`, steps: [step] }));

/** One case for each of many requests, after the same preparation. */
export const eachAfter = (name: string, before: Step[], steps: Step[]): Case[] =>
  steps.map((step, i) => ({ name: `${name} ${i + 1}`, steps: [...before, step] }));
