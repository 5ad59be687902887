import { randomUUID } from 'node:crypto';
import type { Services } from '../../endpoint.ts';
import { type Db, isDatabaseError, transaction, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { alreadyExists, invalidParameter, MlflowError } from '../../platform/errors.ts';
import type { Scope } from '../../scopes/entity.ts';
import { type InsertedVersion, insertModelVersion, type NewVersion } from '../model-versions/create-model-version.ts';
import { resolveSource, type VersionSource } from '../model-versions/resolve-source.ts';
import { setAlias } from '../model-versions/store.ts';
import { canonicalJson, sha256Of } from '../provenance/canonical-json.ts';
import { describeModelFiles } from '../provenance/model-files.ts';
import { type Origin, readOrigin } from '../provenance/snapshot.ts';
import { findSnapshot, insertProvenance } from '../provenance/store.ts';
import type { ModelKey } from '../registered-models/entity.ts';
import { PROMOTION_TAG } from './reserved-tags.ts';
import { ensureModel, insertPromotion, type PromotionRow, removeUnusedModel, wasDeleted } from './store.ts';

const REASON_TAG = `${PROMOTION_TAG}reason`;
const VERSION_TAG = `${PROMOTION_TAG}version`;

type Tag = { key: string; value: string };
export type Promoted = { version: InsertedVersion; promotion: PromotionRow };

/** Ends the transaction of a dry run, so that nothing of it is kept. */
class DryRun extends Error {
  readonly written: Promoted;
  constructor(written: Promoted) {
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
 * written together or not at all; a model that the client made just for it does not stay behind when it fails.
 * Throws as `resolveSource`, RESOURCE_ALREADY_EXISTS for a number that was given before, INVALID_PARAMETER_VALUE for a source without files here or whose
 * files no longer match its digest.
 */
export async function promote(services: Services, registry: Scope, key: ModelKey, request: PromotionRequest): Promise<Promoted> {
  const { db } = services;
  try {
    const source = await resolveSource(services, registry, request);
    const origin = await originOf(db, source);
    return await transaction(db, async (tx) => {
      const written = await write(tx, services, { registry, key, request, source, origin });
      if (request.dryRun) throw new DryRun(written);
      return written;
    });
  } catch (error) {
    if (error instanceof DryRun) return error.written;
    if (isDatabaseError(error, UNIQUE_VIOLATION)) throw taken(registry, key, request.explicitVersion);
    if (error instanceof MlflowError) await services.onceUndone((db) => removeUnusedModel(db, key));
    throw error;
  }
}

const taken = ({ name: registry }: Scope, { name }: ModelKey, version: number | null) =>
  alreadyExists(
    `Version ${version} of model '${name}' already exists in registry '${registry}', or was deleted from it: numbers are never used again. ` +
      'Leave the number out to get the next one.',
  );

type Derived = { origin: Origin; from: { snapshot: unknown; sha256: string } | null };

/** What made the source. A version of another registry knows that itself, whatever became of the run since. */
async function originOf(db: Db, source: VersionSource): Promise<Derived> {
  const { copied } = source;
  const known = copied && copied.scope.kind === 'registry' ? await findSnapshot(db, copied.modelId, copied.version) : null;
  if (!known) {
    const scope = copied?.scope ?? source.tracking;
    return { origin: await readOrigin(db, scope, source), from: null };
  }
  const snapshot = JSON.parse(known.snapshot) as Origin;
  const { run, experiment, logged_model, datasets, code } = snapshot;
  return { origin: { run, experiment, logged_model, datasets, code }, from: { snapshot, sha256: known.sha256 } };
}

type Writing = { registry: Scope; key: ModelKey; request: PromotionRequest; source: VersionSource; origin: Derived };

async function write(tx: Db, { blobs }: Services, { registry, key, request, source, origin }: Writing) {
  const promotionId = randomUUID();
  const given = sourceOf(source, request.source);
  if (request.makesModel) await ensureModel(tx, key);
  const row = await insertModelVersion(tx, key, {
    ...request,
    source,
    registry: registry.name,
    explicitVersion: request.explicitVersion,
    tags: [...request.tags, ...promotionTags(promotionId, given)],
  });
  refuseUnpromotable(source, row, request.source);
  if (request.explicitVersion !== null && (await wasDeleted(tx, row.model_id, row.version))) throw taken(registry, key, row.version);
  for (const alias of request.aliases) await setAlias(tx, { ...key, version: row.version }, alias);
  const snapshot = canonicalJson({
    snapshot_version: 1,
    target: { registry: registry.name, name: key.name, version: String(row.version) },
    source: given,
    promotion: { promotion_id: promotionId, promoted_by: '', reason: request.reason, timestamp: row.creation_timestamp },
    ...(row.digest !== null && { digest: row.digest }),
    ...origin.origin,
    model: await describeModelFiles(tx, blobs, row.model_id, row.version),
    ...(origin.from && { derived_from: origin.from }),
  });
  await insertProvenance(tx, {
    modelId: row.model_id,
    version: row.version,
    promotionId,
    snapshot,
    sha256: sha256Of(snapshot),
    source: source.copied && { scopeId: source.copied.scope.id, modelId: source.copied.modelId, version: source.copied.version },
  });
  const promotion = await insertPromotion(tx, {
    promotionId,
    source: given,
    target: { registry: registry.name, name: key.name, version: String(row.version), aliases: request.aliases },
    targetScopeId: registry.id,
    digest: row.digest,
    reason: request.reason,
  });
  return { version: row, promotion };
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

function promotionTags(promotionId: string, source: Record<string, string>): Tag[] {
  const tags = {
    id: promotionId,
    source_workspace: source.workspace ?? source.registry,
    source_name: source.name,
    source_version: source.version,
  };
  return Object.entries(tags).flatMap(([key, value]) => (value === undefined ? [] : [{ key: PROMOTION_TAG + key, value }]));
}

/** A promotion is of bytes that are here and whole. What was only ever elsewhere may be registered, as a live reference. */
function refuseUnpromotable({ copied, folder }: VersionSource, { digest }: { digest: string | null }, uri: string): void {
  if (digest === null && (copied || folder !== null)) {
    throw invalidParameter(
      copied
        ? `${uri} has no files on this server, so it cannot be promoted: they are at its own source. Adopt it first, or register the files here.`
        : `${uri} has no files, so there is nothing to register. Log the model first.`,
    );
  }
  if (copied?.digest && digest !== copied.digest)
    throw invalidParameter(`The files of ${uri} no longer match its digest ${copied.digest}: it cannot be promoted. Verify it.`);
}
