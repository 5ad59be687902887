import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { redactorOf, subjectOf } from './access/audit/describe.ts';
import { type NewEvent, type Subject, toKept } from './access/audit/event.ts';
import type { Audit } from './access/audit/open.ts';
import { originOf, triedName } from './access/audit/origin.ts';
import { countFailedLogin } from './access/audit/sign-in.ts';
import { type Caller, STRANGER } from './access/caller.ts';
import { mayEnter } from './access/grants.ts';
import { placeOf } from './artifacts/artifact-path.ts';
import type { Services } from './endpoint.ts';
import type { Db } from './platform/db/database.ts';
import { MlflowError } from './platform/errors.ts';
import type { AnyEndpoint } from './platform/http/mount.ts';
import { nameOfScope } from './scopes/addressing.ts';
import { findScope } from './scopes/store.ts';

type Context = Services & { input: unknown };

/** What the audit is told of an endpoint that does not run in a transaction of `changer`: writes that are done, reads of shared versions. */
export const followerOf = (audit: Audit | null) => (endpoint: AnyEndpoint<Services>) => {
  if (audit === null) return undefined;
  if (endpoint.audited === 'shared')
    return async (context: Context, req: IncomingMessage, output: unknown) => countRead(audit, endpoint, context, req, output);
  const isDone = endpoint.audited === 'after' || (endpoint.audited === undefined && endpoint.kind === 'stream');
  if (endpoint.effect === 'read' || !isDone) return undefined;
  return async (context: Context, req: IncomingMessage, output: unknown) => {
    await audit.record(context.db, eventOf(endpoint, context, req, await scopeOf(endpoint, context), { output }));
  };
};

async function countRead(
  audit: Audit,
  endpoint: AnyEndpoint<Services>,
  context: Context,
  req: IncomingMessage,
  output: unknown,
): Promise<void> {
  const { path, artifact_path, registry } = context.input as { path?: unknown; artifact_path?: unknown; registry?: unknown };
  // Of which scope a version is whose files are asked for by a path is found out later.
  const place = endpoint.inWorkspace ? placeOf(String(path ?? artifact_path ?? '')) : null;
  if (context.scope.kind !== 'registry' && registry === undefined && place?.kind !== 'version') return;
  const { count: _, ...event } = eventOf(endpoint, context, req, await scopeOf(endpoint, context), { output });
  const read = { ...event, op: 'model_version.read', resource_type: 'model_version', input: null };
  if (place?.kind !== 'version') audit.count(read);
  else audit.count({ ...read, modelId: place.modelId, resource: place.modelId, version: String(place.version) });
}

type Refusals = { db: Db; audit: Audit; log: Logger; recognise(req: IncomingMessage): Promise<Caller> };

/**
 * Tells the audit who was refused: who lacks a right, whose write was of what is hidden from the caller, and which name was tried with a wrong password. That it
 * cannot be told changes nothing for the caller.
 */
export const refusalsTo =
  ({ db, audit, log, recognise }: Refusals) =>
  async (endpoint: AnyEndpoint<Services> | null, context: Context | null, req: IncomingMessage, error: unknown): Promise<void> => {
    if (!(error instanceof MlflowError)) return;
    const op = endpoint?.op ?? 'none';
    if (error.code === 'UNAUTHENTICATED') return countFailedLogin(audit, req, op, triedName(req));
    if (endpoint === null) return;
    try {
      const isAbsent = error.code === 'RESOURCE_DOES_NOT_EXIST' && endpoint.effect === 'write';
      if (error.code !== 'PERMISSION_DENIED' && !(isAbsent && (await isHidden(endpoint, context)))) return;
      const event = context
        ? eventOf(endpoint, context, req, await scopeOf(endpoint, context))
        : await unaddressed(db, op, req, await recognise(req).catch(() => STRANGER));
      await audit.record(db, { ...event, outcome: 'DENIED' });
    } catch (failure) {
      log.error({ err: failure, op }, 'a refusal could not be written to the audit');
    }
  };

/** True when what was answered as absent may be there: the caller is not to know. */
async function isHidden(endpoint: Declaration, context: Context | null): Promise<boolean> {
  if (context === null || context.hidden) return true;
  const { scope } = await scopeOf(endpoint, context);
  const found = scope === '' ? null : await findScope(context.db, scope);
  return found !== null && !mayEnter(context.caller, found);
}

/** Of a request for a workspace or registry that is hidden from the caller. */
async function unaddressed(db: Db, op: string, req: IncomingMessage, caller: Caller): Promise<NewEvent> {
  const scope = nameOfScope(req);
  const found = scope === '' ? null : await findScope(db, scope);
  return {
    ...originOf(req, caller),
    ...subjectOf(op, {}, {}),
    op,
    outcome: 'DENIED',
    scope,
    scope_id: found?.id ?? null,
    count: 1,
    input: null,
    before: null,
    after: null,
  };
}

const redactors = new WeakMap<z.ZodType, ReturnType<typeof redactorOf>>();

function inputToKeep({ input: schema }: Pick<AnyEndpoint<Services>, 'input'>, input: unknown): string | null {
  if (!redactors.has(schema)) redactors.set(schema, redactorOf(schema));
  const redact = redactors.get(schema);
  return toKept(redact ? redact(input) : input);
}

type Declaration = Pick<AnyEndpoint<Services>, 'op' | 'input' | 'scoped'>;

/** What a request did, for the audit; `before` and `after` are what it changed. */
export function eventOf(
  endpoint: Declaration,
  context: Context,
  req: IncomingMessage,
  scope: NamedScope,
  { output, before, after }: { output?: unknown; before?: unknown; after?: unknown } = {},
): NewEvent {
  return {
    ...originOf(req, context.caller),
    ...scope,
    ...subjectOf(endpoint.op, context.input, output),
    op: endpoint.op,
    outcome: 'SUCCESS',
    count: 1,
    input: inputToKeep(endpoint, context.input),
    before: toKept(before),
    after: toKept(after),
  };
}

type NamedScope = Pick<Subject, 'scope' | 'scope_id'>;

/** The workspace or registry that an input names, else the one of the request; none for what is for the whole server. To be asked outside of transactions. */
export async function scopeOf({ scoped }: Declaration, { db, scope, input }: Context): Promise<NamedScope> {
  const { scope: ofPath, registry, workspace, workspace_name, target } = input as Record<string, unknown>;
  const places = [ofPath, registry, workspace, workspace_name, (target as { registry?: unknown } | undefined)?.registry];
  const named = places.find((name) => typeof name === 'string');
  if (named === undefined && scoped === false) return { scope: '', scope_id: null };
  if (named === undefined && scope.id !== 0) return { scope: scope.name, scope_id: scope.id };
  const name = String(named ?? scope.name);
  return { scope: name, scope_id: (await findScope(db, name))?.id ?? null };
}
