import { invalidParameter } from '../../platform/errors.ts';
import type { Scope } from '../../scopes/entity.ts';

/** Tags with this beginning are the server's: it sets them on what was promoted. */
export const PROMOTION_TAG = 'mlflow.promotion.';

/** In a registry nobody changes what a promotion wrote. Throws INVALID_PARAMETER_VALUE. */
export function refuseReservedTag({ kind }: Scope, key: string): void {
  if (kind === 'registry' && key.startsWith(PROMOTION_TAG))
    throw invalidParameter(`The tag '${key}' says where a version came from: the server sets it, and nobody changes it.`);
}
