import type { Services } from '../../endpoint.ts';
import type { Scope } from '../../scopes/entity.ts';
import { createModelVersion } from '../model-versions/create-model-version.ts';
import type { ModelVersionRow } from '../model-versions/entity.ts';
import type { NewVersion } from '../model-versions/insert-version.ts';
import { sourceInRun } from '../model-versions/resolve-source.ts';
import { promote, promotionOf } from '../promotions/promote.ts';
import { announcer } from '../webhooks/announce.ts';
import { versionCreated } from '../webhooks/creation-data.ts';

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
  const version = { ...request, ...(named && (await sourceInRun(services.db, address.consumer, named))) };
  const key = { scope: scope.id, name };
  const create = async (with_: Services) =>
    scope.kind === 'registry'
      ? (await promote(with_, scope, key, { ...promotionOf(version), explicitVersion, makesModel: true })).version
      : createModelVersion(with_, key, version, { explicitVersion, makesModel: true });
  const announce = announcer(there, ['model_version.created', 'prompt_version.created']);
  if (!announce) return create(there);
  return announce(async (inTransaction) => {
    const row = await create(inTransaction);
    return {
      output: row,
      event: versionCreated({ ...version, name }, { version: String(row.version), source: row.source, run_id: row.run_id }),
    };
  });
}
