import type { Services } from '../../endpoint.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { readDottedName, refuseNameless } from '../address-model.ts';
import type { RegisteredModelRow } from './entity.ts';
import { renameRegisteredModel } from './store.ts';

/**
 * Renames a model where it is. The new name is read as the old one was: `<registry>.<model>` is the model of that registry. Throws INVALID_PARAMETER_VALUE
 * for a new name elsewhere, since to rename is not to move, and as `renameRegisteredModel`.
 */
export async function renameModel(
  { db, scope, address, caller }: Pick<Services, 'db' | 'scope' | 'address' | 'caller'>,
  name: string,
  newName: string,
): Promise<RegisteredModelRow> {
  await refuseNameless({ db, caller }, newName);
  const dotted = await readDottedName({ db, address, caller }, newName, false);
  const target = dotted?.scope ?? address.scope;
  // A scope that is hidden from the caller is an emptied one here: it is told that there is no such model.
  if (target.id !== scope.id && scope.id !== 0) {
    const kept = scope.kind === 'registry' ? `'${scope.name}.<new name>'` : 'a name without a registry';
    throw invalidParameter(
      `'${newName}' is in ${target.kind} '${target.name}', and the model is in ${scope.kind} '${scope.name}': a model is renamed where it is, to ${kept}. ` +
        'To share versions of it use copy_model_version.',
    );
  }
  return renameRegisteredModel(db, { scope: scope.id, name }, dotted?.name ?? newName);
}
