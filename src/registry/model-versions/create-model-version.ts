import type { Services } from '../../endpoint.ts';
import { type Db, isDatabaseError, transaction, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { alreadyExists, doesNotExist } from '../../platform/errors.ts';
import { recordModelVersionTag } from '../../tracking/logged-models/store.ts';
import { ensureModel, wasDeleted } from '../promotions/store.ts';
import type { ModelKey } from '../registered-models/entity.ts';
import type { ModelVersionRow } from './entity.ts';
import { insertModelVersion, type NewVersion } from './insert-version.ts';
import { resolveSource } from './resolve-source.ts';

/** How a version is made other than stock clients do: with a number of its own, and with the model if there is none of that name. */
type Making = { explicitVersion: number | null; makesModel: boolean };

/**
 * Adds a version of a registered model of a workspace, the next one unless told otherwise. Throws as `insertModelVersion` and `resolveSource`,
 * RESOURCE_DOES_NOT_EXIST also for a logged model that is named and not there, RESOURCE_ALREADY_EXISTS for a number that was given before.
 */
export async function createModelVersion(
  services: Services,
  key: ModelKey,
  version: NewVersion,
  { explicitVersion, makesModel }: Making = { explicitVersion: null, makesModel: false },
): Promise<ModelVersionRow> {
  const { db, scope } = services;
  const source = await resolveSource(services, scope, version);
  const insert = (tx: Db) => insertModelVersion(tx, key, { ...version, source, explicitVersion, registry: null });
  if (!source.loggedModelId && explicitVersion === null && !makesModel) return insert(db);
  const taken = () =>
    alreadyExists(
      `Version ${explicitVersion} of model '${key.name}' already exists in workspace '${scope.name}', or was deleted from it: numbers are never used again. ` +
        'Leave the number out to get the next one.',
    );
  try {
    return await transaction(db, async (tx) => {
      if (makesModel) await ensureModel(tx, key);
      const row = await insert(tx);
      if (explicitVersion !== null && (await wasDeleted(tx, row.model_id, row.version))) throw taken();
      const loggedModel = { scope: source.tracking.id, modelId: source.loggedModelId };
      const isKnown = source.loggedModelId === '' || (await recordModelVersionTag(tx, loggedModel, row.name, row.version));
      // A copy may outlive the logged model its version was made from.
      if (!isKnown && version.model_id) throw doesNotExist(`Logged model with ID '${version.model_id}' not found.`);
      return row;
    });
  } catch (error) {
    throw isDatabaseError(error, UNIQUE_VIOLATION) ? taken() : error;
  }
}
