import { randomUUID } from 'node:crypto';
import type { Services } from '../../endpoint.ts';
import { type Db, isDatabaseError, transaction, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { alreadyExists, doesNotExist, invalidParameter, invalidState, MlflowError } from '../../platform/errors.ts';
import type { Scope } from '../../scopes/entity.ts';
import type { NewVersion } from '../model-versions/insert-version.ts';
import { resolveSource, type VersionSource } from '../model-versions/resolve-source.ts';
import { setAlias } from '../model-versions/store.ts';
import { canonicalJson } from '../provenance/canonical-json.ts';
import { describeFiles, describeFolder, type ModelDescription } from '../provenance/model-files.ts';
import { readOriginRows } from '../provenance/origin-rows.ts';
import { type Origin, toOrigin } from '../provenance/snapshot.ts';
import { findSnapshot } from '../provenance/store.ts';
import type { ModelKey } from '../registered-models/entity.ts';
import { PROMOTION_TAG } from './reserved-tags.ts';
import { ensureModel, insertPromotedVersion, removeUnusedModel, unknownOf, type WrittenPromotion, wasDeleted } from './store.ts';

const REASON_TAG = `${PROMOTION_TAG}reason`;
const VERSION_TAG = `${PROMOTION_TAG}version`;

type Tag = { key: string; value: string };

/** Ends the transaction of a dry run, so that nothing of it is kept. */
class DryRun extends Error {
  readonly written: WrittenPromotion;
  constructor(written: WrittenPromotion) {
    super('a dry run keeps nothing');
    this.written = written;
  }
}

export type PromotionRequest = NewVersion & {
  /** The number the version is to have; null: the next one. */
  explicitVersion: number | null;
  aliases: string[];
  reason: string;
  /** Make the model when there is none of that name. */
  makesModel: boolean;
  /** Find out what would happen, and leave everything as it is. */
  dryRun: boolean;
};

/**
 * Does what adds a version to a model of a registry: a model that the client made just for it does not stay behind when it is refused (trap T3).
 */
export async function orRemoveModel<Result>({ onceUndone }: Services, key: ModelKey, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MlflowError) await onceUndone((db) => removeUnusedModel(db, key));
    throw error;
  }
}

/** What a stock client's call to create a version in a registry asks for: a reason and a number ride in reserved tags. Throws INVALID_PARAMETER_VALUE. */
export function promotionOf(version: NewVersion): PromotionRequest {
  const argument = (name: string) => version.tags.findLast(({ key }) => key === name)?.value;
  const number = argument(VERSION_TAG);
  if (number !== undefined && !/^[1-9]\d{0,8}$/.test(number))
    throw invalidParameter(`Invalid version '${number}' in tag '${VERSION_TAG}': it must be a whole number from 1.`);
  return {
    ...version,
    tags: version.tags.filter(({ key }) => !key.startsWith(PROMOTION_TAG)),
    explicitVersion: number === undefined ? null : Number(number),
    aliases: [],
    reason: argument(REASON_TAG) ?? '',
    makesModel: false,
    dryRun: false,
  };
}

/**
 * Adds a version to a model of a registry. No bytes move: it shares the files of its source. The version, where it came from and its aliases are
 * written together or not at all.
 * Throws as `resolveSource`, RESOURCE_ALREADY_EXISTS for a number that was given before, INVALID_PARAMETER_VALUE for a source without files here or whose
 * files no longer match its digest.
 */
export async function promote(services: Services, registry: Scope, key: ModelKey, request: PromotionRequest): Promise<WrittenPromotion> {
  const { db } = services;
  try {
    const source = await resolveSource(services, registry, request);
    refuseUnpromotable(source, request.source);
    const origin = await originOf(services, source);
    const promotion = { registry, key, request, source, origin };
    if (isOneStatement(promotion)) {
      const { written, foundDigest } = await write(db, services, promotion);
      if (written) return written;
      if (!request.makesModel || !isWhole(source, foundDigest)) throw notWritten(services, promotion, foundDigest);
    }
    return await transaction(db, async (tx) => {
      const written = await writeAll(tx, services, promotion);
      if (request.dryRun) throw new DryRun(written);
      return written;
    });
  } catch (error) {
    if (error instanceof DryRun) return error.written;
    if (isDatabaseError(error, UNIQUE_VIOLATION)) throw taken(registry, key, request.explicitVersion);
    throw error;
  }
}

const taken = ({ name: registry }: Scope, { name }: ModelKey, version: number | null) =>
  alreadyExists(
    `Version ${version} of model '${name}' already exists in registry '${registry}', or was deleted from it: numbers are never used again. ` +
      'Leave the number out to get the next one.',
  );

/** `model` is null for the files of a run, which may still change. */
type Derived = { origin: Origin; from: { snapshot: unknown; sha256: string } | null; model: ModelDescription | null };

/** What made the source. A version of another registry knows that itself, whatever became of the run since. */
async function originOf({ db, blobs }: Services, source: VersionSource): Promise<Derived> {
  const { copied, folder, tracking } = source;
  const known = copied && copied.scope.kind === 'registry' ? await findSnapshot(db, copied.modelId, copied.version) : null;
  const scope = copied?.scope ?? tracking;
  const rows = copied?.origin ?? (await readOriginRows(db, scope.id, source));
  const model = folder === null ? await describeFiles(blobs, rows.files ?? []) : null;
  const found = toOrigin(rows, scope);
  if (!known) return { origin: found, from: null, model };
  const snapshot = JSON.parse(known.snapshot) as Origin;
  const { run, experiment, logged_model, datasets, code } = snapshot;
  return {
    origin: { ...found, run, experiment, logged_model, datasets, code },
    from: { snapshot, sha256: known.sha256 },
    model,
  };
}

type Writing = { registry: Scope; key: ModelKey; request: PromotionRequest; source: VersionSource; origin: Derived };

/** True for what the stock call asks for. The files of a run may change while they are read, so they need a transaction too. */
const isOneStatement = ({ request, source }: Writing): boolean =>
  request.explicitVersion === null && request.aliases.length === 0 && !request.dryRun && source.folder === null;

async function write(db: Db, { blobs, caller }: Services, { registry, key, request, source, origin }: Writing) {
  const promotionId = randomUUID();
  const given = sourceOf(source, request.source);
  const unknown = unknownOf(promotionId);
  const { copied, folder, tracking } = source;
  const digest = copied ? copied.digest : folder !== null && unknown.digest;
  const snapshot = canonicalJson({
    snapshot_version: 1,
    target: { registry: registry.name, name: key.name, version: unknown.version },
    source: given,
    promotion: { promotion_id: promotionId, promoted_by: caller.username, reason: request.reason, timestamp: unknown.timestamp },
    ...(digest && { digest }),
    ...origin.origin,
    model: origin.model ?? (await describeFolder(db, blobs, tracking.id, folder ?? '')),
    ...(origin.from && { derived_from: origin.from }),
  });
  return insertPromotedVersion(
    db,
    key,
    { ...request, source, registry: registry.name, tags: [...request.tags, ...promotionTags(promotionId, given, caller.username)] },
    {
      promotionId,
      source: given,
      target: { registry: registry.name, name: key.name, aliases: request.aliases },
      requestedBy: caller.username,
      reason: request.reason,
      snapshot,
    },
  );
}

async function writeAll(tx: Db, services: Services, promotion: Writing): Promise<WrittenPromotion> {
  const { registry, key, request } = promotion;
  if (request.makesModel) await ensureModel(tx, key);
  const { written, foundDigest } = await write(tx, services, promotion);
  if (!written) throw notWritten(services, promotion, foundDigest);
  const { version, model_id: modelId } = written.version;
  if (request.explicitVersion !== null && (await wasDeleted(tx, modelId, version))) throw taken(registry, key, version);
  for (const alias of request.aliases) await setAlias(tx, { ...key, version }, alias);
  return written;
}

const isWhole = ({ copied, folder }: VersionSource, foundDigest: string | null): boolean =>
  copied ? copied.digest === foundDigest : folder === null || foundDigest !== null;

function notWritten({ address }: Services, { registry, key, request, source }: Writing, foundDigest: string | null): MlflowError {
  if (isWhole(source, foundDigest)) {
    const name = address.scope.id === registry.id ? key.name : `${registry.name}.${key.name}`;
    return doesNotExist(`Registered Model with name=${name} not found`);
  }
  return invalidParameter(
    source.copied
      ? `The files of ${request.source} no longer match its digest ${source.copied.digest}: it cannot be promoted. Verify it.`
      : `${request.source} has no files, so there is nothing to register. Log the model first.`,
  );
}

/** The source in words that stay true: which scope, which version, and how it was asked for. */
function sourceOf({ copied, tracking, runId }: VersionSource, uri: string): Record<string, string> {
  const scope = copied?.scope ?? tracking;
  return {
    [scope.kind]: scope.name,
    uri,
    ...(copied && { name: copied.name, version: String(copied.version) }),
    ...(copied?.alias !== undefined && { alias: copied.alias }),
    ...(runId !== '' && { run_id: runId }),
  };
}

function promotionTags(promotionId: string, source: Record<string, string>, promotedBy: string): Tag[] {
  const tags = {
    id: promotionId,
    source_workspace: source.workspace ?? source.registry,
    source_name: source.name,
    source_version: source.version,
    promoted_by: promotedBy === '' ? undefined : promotedBy,
  };
  return Object.entries(tags).flatMap(([key, value]) => (value === undefined ? [] : [{ key: PROMOTION_TAG + key, value }]));
}

/** A promotion is of a version that is ready and whose bytes are here. What was only ever elsewhere may be registered, as a live reference. */
function refuseUnpromotable({ copied }: VersionSource, uri: string): void {
  if (!copied) return;
  if (copied.status !== 'READY')
    throw invalidState(`${uri} is ${copied.status}: only a version that is READY can be promoted. Wait until it is, or promote another.`);
  if (copied.digest === null)
    throw invalidParameter(
      `${uri} has no files on this server, so it cannot be promoted: they are at its own source. Adopt it first, or register the files here.`,
    );
}
