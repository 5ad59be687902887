import { type Db, isDatabaseError, run, statement, transaction, UNIQUE_VIOLATION } from '../../platform/db/database.ts';
import { invalidState } from '../../platform/errors.ts';
import { pythonRepr } from '../../platform/python.ts';
import { DEFAULT_SCOPE } from '../entity.ts';
import { forgetScope, workspaceNotFound } from '../store.ts';
import type { DeletionMode } from './entity.ts';

const SHOWN_CONFLICTS = 100;

/** The tables with a scope of their own, in the stock server's order, and what must not be there twice (it says so of webhooks too). */
const ROOTS = [
  { table: 'registered_models', name: 'name' },
  { table: 'experiments', name: 'name' },
  { table: 'webhooks', name: 'name' },
  { table: 'artifacts', name: 'path' },
];

// Waits for writers of the scope, and keeps further ones waiting: each row of a root table holds a key share lock on its scope.
const LOCK = statement('lock_workspace', `select id from scopes where kind = 'workspace' and name = :name for update`);
const DELETE = statement('delete_workspace', 'delete from scopes where id = :scope');

/**
 * Removes a workspace, in one transaction: RESTRICT only if nothing is in it; SET_DEFAULT moves what is in it to the default workspace, where artifacts
 * keep their paths; CASCADE deletes it. As mlflow/store/workspace/sqlalchemy_store.py (delete_workspace), with artifacts counted as contents.
 * Throws RESOURCE_DOES_NOT_EXIST, and INVALID_STATE when something is in the way.
 */
export async function deleteWorkspace(db: Db, name: string, mode: DeletionMode): Promise<void> {
  try {
    await transaction(db, async (tx) => {
      // However much there is to delete.
      await tx.query('set local statement_timeout = 0');
      const [workspace] = await run<{ id: number }>(tx, LOCK, { name });
      if (!workspace) throw workspaceNotFound(name);
      if (mode === 'RESTRICT') await refuseContents(tx, workspace.id, name);
      if (mode === 'SET_DEFAULT') await moveContents(tx, workspace.id, name);
      if (mode === 'CASCADE') await deleteContents(tx, workspace.id);
      await run(tx, DELETE, { scope: workspace.id });
    });
  } finally {
    forgetScope(db, name);
  }
}

const COUNT_CONTENTS = statement(
  'count_workspace_contents',
  ROOTS.map(({ table }, i) => `select '${table}' as table, count(*) as count, ${i} as place from ${table} where scope_id = :scope`).join(
    ' union all ',
  ),
);

async function refuseContents(tx: Db, scope: number, name: string): Promise<void> {
  const counts = await run<{ table: string; count: number; place: number }>(tx, COUNT_CONTENTS, { scope });
  const [first] = counts.filter(({ count }) => count > 0).toSorted((a, b) => a.place - b.place);
  if (!first) return;
  throw invalidState(
    `Cannot delete workspace '${name}': table '${first.table}' still contains ${first.count} resource(s).` +
      ' Remove or reassign them before deleting the workspace.',
  );
}

const FIND_CONFLICTS = statement(
  'find_workspace_conflicts',
  `select conflict.table, conflict.name from (${ROOTS.map(
    ({ table, name }, i) =>
      `select '${table}' as table, ${name} as name, ${i} as place from ${table}
       where scope_id = :scope and ${name} in (select ${name} from ${table} where scope_id = ${DEFAULT_SCOPE.id})`,
  ).join(' union all ')}) conflict order by conflict.place, conflict.name limit ${SHOWN_CONFLICTS}`,
);

const MOVES = ROOTS.map(({ table }) =>
  statement(`move_workspace_${table}`, `update ${table} set scope_id = ${DEFAULT_SCOPE.id} where scope_id = :scope`),
);

const REMEMBER = statement(
  'remember_merged_workspace',
  `update scopes set merged_workspaces = array_append(merged_workspaces, :name::text)
   where id = ${DEFAULT_SCOPE.id} and :name::text <> all (merged_workspaces)`,
);

async function moveContents(tx: Db, scope: number, name: string): Promise<void> {
  const conflicts = await run<{ table: string; name: string }>(tx, FIND_CONFLICTS, { scope });
  if (conflicts.length > 0) {
    const list = conflicts.map((conflict) => `  - ${conflict.table}: ${pythonRepr(conflict.name)}`).join('\n');
    throw invalidState(
      `Cannot reassign resources from workspace '${name}' to '${DEFAULT_SCOPE.name}': the following names already exist in the default workspace and would` +
        ` cause conflicts:\n${list}\nRename or remove the conflicting resources before retrying.`,
    );
  }
  try {
    for (const move of MOVES) await run(tx, move, { scope });
    await run(tx, REMEMBER, { name });
  } catch (error) {
    if (!isDatabaseError(error, UNIQUE_VIOLATION)) throw error;
    throw invalidState(
      `Cannot delete workspace '${name}': resources in this workspace conflict with existing resources in the '${DEFAULT_SCOPE.name}' workspace.` +
        ' Resolve naming conflicts before deleting.',
    );
  }
}

// Experiments are locked first: who adds to one waits, and finds it gone. What has no foreign key of its own goes with what it belongs to.
const DELETIONS = [
  ['lock_workspace_experiments', 'select experiment_id from experiments where scope_id = :scope order by experiment_id for update'],
  ['delete_workspace_models', 'delete from registered_models where scope_id = :scope'],
  ['delete_workspace_runs', 'delete from runs r using experiments e where e.scope_id = :scope and r.experiment_id = e.experiment_id'],
  [
    'delete_workspace_logged_models',
    'delete from logged_models l using experiments e where e.scope_id = :scope and l.experiment_id = e.experiment_id',
  ],
  ['delete_workspace_experiments', 'delete from experiments where scope_id = :scope'],
  ['delete_workspace_webhooks', 'delete from webhooks where scope_id = :scope'],
  ['delete_workspace_artifacts', 'delete from artifacts where scope_id = :scope'],
].map(([name = '', sql = '']) => statement(name, sql));

async function deleteContents(tx: Db, scope: number): Promise<void> {
  for (const deletion of DELETIONS) await run(tx, deletion, { scope });
}
