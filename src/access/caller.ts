import type { Rights } from './grants.ts';

/** Who asks, and what that one may do. Without login it is `ANYBODY`, who may do everything. */
export type Caller = Rights & {
  /** Null for who has not signed in. */
  id: number | null;
  username: string;
  /** May administer the server: make users, workspaces and registries, and read the audit. */
  isAdmin: boolean;
  /** A program's account: it may say in whose name it acts. */
  isServiceAccount?: boolean;
  /** How the caller was recognised: `none` while login is off, `public` at an endpoint that is for anybody. */
  via: 'none' | 'public' | 'password' | 'token' | 'session' | 'oidc';
  /** Of the token, when it was one. */
  tokenId?: string;
  /** A token that allows less than its user may do: it makes no other tokens. */
  limited?: true;
};

const NOBODY = { id: null, username: '', grants: new Map(), only: null };

export const ANYBODY: Caller = { ...NOBODY, isAdmin: true, everywhere: 'MANAGE', via: 'none' };
/** Who has METRICS_TOKEN, at the one endpoint that this is for. */
export const SCRAPER: Caller = { ...NOBODY, isAdmin: true, everywhere: null, via: 'token' };
export const STRANGER: Caller = { ...NOBODY, isAdmin: false, everywhere: null, via: 'public' };
