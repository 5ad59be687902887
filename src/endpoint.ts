import type { z } from 'zod';
import type { Audit } from './access/audit/open.ts';
import type { Caller } from './access/caller.ts';
import type { Access } from './access/open.ts';
import type { BlobStore } from './artifacts/blobs/blob-store.ts';
import type { AdoptionSettings } from './artifacts/external-location.ts';
import type { Links } from './artifacts/signed-urls.ts';
import type { Db } from './platform/db/database.ts';
import type { Endpoint, StreamEndpoint } from './platform/http/endpoint.ts';
import type { LocationRules } from './platform/uri.ts';
import type { Consumers } from './registry/consumers/open.ts';
import type { Webhooks } from './registry/webhooks/open.ts';
import type { Address } from './scopes/addressing.ts';
import type { Scope } from './scopes/entity.ts';

/**
 * What a handler gets beside its input: the database, the artifact bytes, the webhooks, which places callers may name and which this server reads for
 * them, the workspace or registry the request is for, how it was named, the server's own address, where to say which shared versions were handed out,
 * what the caller says it is (User-Agent), and who it is.
 */
export type Services = {
  db: Db;
  blobs: BlobStore;
  webhooks: Webhooks;
  locations: LocationRules;
  adoption: AdoptionSettings;
  scope: Scope;
  address: Address;
  links: Links;
  consumers: Consumers;
  client: string;
  caller: Caller;
  /** Null while login is off. */
  access: Access | null;
  /** The token of the browser session, when that is how the caller was recognised. */
  session?: string;
  /** The caller may not know of what the request is about: it is to be looked for where there is nothing. */
  hidden?: true;
  /** Runs `work` once what the handler changes is sure to stay: at once, or after the transaction it is part of. `db` is then that of the server. */
  onceKept(work: (db: Db) => Promise<void> | void): Promise<void>;
  /** Runs `work` when the handler is going to fail: at once, or after what it did is undone. */
  onceUndone(work: (db: Db) => Promise<void>): Promise<void>;
  /** Null while there is none. */
  audit: Audit | null;
  /** What all processes of this server have counted, in the text format of Prometheus. */
  metricsText(): Promise<string>;
};

/** Declares a JSON endpoint; see platform/http/endpoint.ts for what derives from it. */
export const endpoint = <Input extends z.ZodObject, Output extends z.ZodType>(
  declaration: Omit<Endpoint<Services, Input, Output>, 'kind'>,
): Endpoint<Services, Input, Output> => ({ kind: 'json', ...declaration });

/** Declares an endpoint that streams bytes. */
export const streamEndpoint = <Input extends z.ZodObject>(
  declaration: Omit<StreamEndpoint<Services, Input>, 'kind'>,
): StreamEndpoint<Services, Input> => ({
  kind: 'stream',
  ...declaration,
});
