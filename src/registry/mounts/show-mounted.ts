import type { Db } from '../../platform/db/database.ts';
import type { Scope } from '../../scopes/entity.ts';
import { modelInWords } from '../address-model.ts';
import type { RegisteredModelRow } from '../registered-models/entity.ts';
import { getRegisteredModel } from '../registered-models/store.ts';
import { mountsOf } from './store.ts';

/** Found models of a workspace: those that are mounts with what the registry's model has, but the times of the mount, by which lists are in order. */
export async function showMounted(db: Db, scope: Scope, rows: RegisteredModelRow[]): Promise<RegisteredModelRow[]> {
  const mounts = await mountsOf(db, scope);
  if (mounts.size === 0) return rows;
  const shown: RegisteredModelRow[] = [];
  for (const row of rows) {
    const { target, aliasMap } = mounts.get(row.name) ?? { target: null, aliasMap: {} };
    if (!target) {
      shown.push(row);
      continue;
    }
    const { creation_timestamp, last_updated_timestamp } = row;
    const model = await getRegisteredModel(db, { scope: target.scope.id, name: target.name });
    shown.push({ ...modelInWords(model, { nameOf: () => row.name, aliasMap }), creation_timestamp, last_updated_timestamp });
  }
  return shown;
}
