import type { Services } from '../../endpoint.ts';
import { transaction } from '../../platform/db/database.ts';
import type { Scope } from '../../scopes/entity.ts';
import { scopeToRead } from '../../tracking/permissions.ts';
import { createModelVersion } from '../model-versions/create-model-version.ts';
import type { ModelVersionRow } from '../model-versions/entity.ts';
import type { NewVersion } from '../model-versions/insert-version.ts';
import { sourceInRun } from '../model-versions/resolve-source.ts';
import { makerOwnsNewModel } from '../permissions.ts';
import { promote, promotionOf } from '../promotions/promote.ts';
import { storeEvent } from '../webhooks/announce.ts';
import { versionCreated } from '../webhooks/creation-data.ts';

const EVENTS = ['model_version.created', 'prompt_version.created'];

/**
 * Adds a version, with the number asked for or else the next one, and makes the model when there is none of that name. Sources are looked for in the
 * workspace itself; those of a registry's version in the workspace of the caller. Throws as `createModelVersion` and `promote`,
 * RESOURCE_ALREADY_EXISTS for a number that was given before.
 */
export async function createVersion(
  services: Services,
  scope: Scope,
  name: string,
  request: NewVersion,
  explicitVersion: number | null,
): Promise<ModelVersionRow> {
  const address = scope.kind === 'registry' ? services.address : { scope, consumer: scope, byPath: true };
  const there: Services = { ...services, scope, address };
  const inRun = /^runs:\/+([^/]+)\/*(.*?)\/*$/.exec(request.source);
  const named = inRun?.[1] && !request.run_id && !request.model_id ? { runId: inRun[1], path: inRun[2] ?? '' } : null;
  const version = {
    ...request,
    ...(named && (await sourceInRun(services.db, await scopeToRead(services, address.consumer, named), named))),
  };
  const key = { scope: scope.id, name };
  const create = async (with_: Services) =>
    scope.kind === 'registry'
      ? (await promote(with_, scope, key, { ...promotionOf(version), explicitVersion, makesModel: true })).version
      : createModelVersion(with_, key, version, { explicitVersion, makesModel: true });
  if (!services.webhooks.isAwaited(scope.id, EVENTS)) return makerOwnsNewModel(there, scope, name, create);
  const row = await makerOwnsNewModel(there, scope, name, (with_) =>
    transaction(with_.db, async (tx) => {
      const row = await create({ ...with_, db: tx });
      const made = { version: String(row.version), source: row.source, run_id: row.run_id };
      await storeEvent({ db: tx, scope }, versionCreated({ ...version, name }, made));
      return row;
    }),
  );
  await services.onceKept(() => services.webhooks.deliver());
  return row;
}
