/** How much may be done with a thing, each level with what those before it allow (mlflow/server/auth/permissions.py). */
export const LEVELS = ['READ', 'USE', 'EDIT', 'MANAGE'] as const;
export type Level = (typeof LEVELS)[number];

/**
 * Who an endpoint answers: anybody; any caller, with what that one may see; administrators; or who has a level on what the request is about.
 * While login is off everybody may do everything, and nothing is asked.
 */
export type Permission<Context> = 'public' | 'authenticated' | 'admin' | Need<Context>;

export type Need<Context> = {
  level: Level;
  /** The kind of thing the level is needed on, as documents name it. */
  on: string;
  /**
   * Resolves to `hidden` for a caller who may not know whether the thing exists: the handler then runs where there is nothing, so that the answer is the
   * same as for what is not there. Rejects with PERMISSION_DENIED for one who may know, but not do this.
   */
  check(context: Context): Promise<Verdict> | Verdict;
};

export type Verdict = 'granted' | 'hidden';
