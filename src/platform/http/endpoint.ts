import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { z } from 'zod';
import type { Permission } from '../permission.ts';

/** What all declarations have. `Services` below is what a handler may use: this floor knows no noun, so the caller says what that is. */
export type Declared = {
  /** Names the operation in logs, metrics and OpenAPI: `model_version.create`. */
  op: string;
  summary: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below /api/<apiVersion>; `:param` and a last `*param` are taken from the path. */
  path: string;
  /** Default `2.0`. `1.0`: an extension, which MLflow does not have. `none`: the path stands as it is, without any prefix. */
  apiVersion?: '1.0' | '2.0' | '3.0' | 'none';
  effect: 'read' | 'write';
  /** True for a read that writes to the database all the same, such as who signs in: it is not sent to a replica. */
  onPrimary?: true;
  /** `false`: answers the same whatever scope a request names, and does not look it up, so that it needs no database. */
  scoped?: false;
  /** True for what only workspaces have: experiments, runs, logged models, artifacts. */
  inWorkspace?: true;
  /**
   * How a request gets into the audit, where it is not as usual: a write has its event in its own transaction, or `after` it when it waits for more than the
   * database, as streams do; `never` for a part of what has an event as a whole. `shared`: a read that is counted when it is of a version of a registry.
   */
  audited?: 'after' | 'never' | 'shared';
  /** The field of the input that names a registered model: `<registry>.<model>` there makes the request one for that registry. */
  model?: string;
};

type Context<Services, Input> = Services & { input: Input };

/** What webhooks are told of a change (docs/decisions/0005). */
type WebhookEvents<Services, Input, Output> = {
  /** The events this may turn out to be: only when somebody waits for one of them does the change run in a transaction with `of`. */
  names: readonly string[];
  /** The event of a change that was made, or null for none. */
  of(context: Context<Services, Input> & { output: Output }): Promise<ChangeEvent | null> | ChangeEvent | null;
};

type ChangeEvent = { event: string; data: Record<string, unknown> };

/** One JSON endpoint: the whole contract. Routes under every prefix, input checks, logs and OpenAPI derive from it. */
export type Endpoint<Services, Input extends z.ZodObject = z.ZodObject, Output extends z.ZodType = z.ZodType> = Declared & {
  kind: 'json';
  input: Input;
  output: Output;
  /** Largest JSON body in bytes; default 1 MiB. */
  bodyLimit?: number;
  /** Of a success; default 200. */
  status?: 201;
  permission: Permission<Context<Services, z.output<Input>>>;
  webhookEvents?: WebhookEvents<Services, z.output<Input>, z.input<Output>>;
  /** What was made, which the caller then has every right on: the `Resource` of access/grants.ts. */
  makes?(context: Context<Services, z.output<Input>> & { output: z.input<Output> }): unknown;
  /** How what is written looks, for the audit: asked before and, with the output, after it, in its transaction. Null for what is not there. */
  state?(context: Context<Services, z.output<Input>> & { output?: z.input<Output> | undefined }): Promise<unknown> | unknown;
  handler(context: Context<Services, z.output<Input>>): Promise<z.input<Output>>;
};

/** An endpoint whose body or reply is a stream of bytes: it writes the reply itself. */
export type StreamEndpoint<Services, Input extends z.ZodObject = z.ZodObject> = Declared & {
  kind: 'stream';
  /** Read from the path and query only. */
  input: Input;
  permission: Permission<Context<Services, z.output<Input>>>;
  handler(context: Context<Services, z.output<Input>> & { req: IncomingMessage; res: ServerResponse; log: Logger }): Promise<void>;
};
