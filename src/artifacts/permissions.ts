import { can, mayDoAll, permissionDenied } from '../access/can.ts';
import { levelOnScope } from '../access/grants.ts';
import type { Services } from '../endpoint.ts';
import { run, statement } from '../platform/db/database.ts';
import type { Level, Need } from '../platform/permission.ts';
import { parseArtifactPath, placeOf } from './artifact-path.ts';
import { pathInWorkspace } from './workspace-path.ts';

const EXPERIMENTS = statement(
  'experiments_at_paths',
  'select experiment_id from experiments where scope_id = :scope and artifact_location = any (:locations)',
);

const MODEL = statement(
  'model_of_frozen_files',
  `select m.name, s.id, s.name as scope, s.kind = 'registry' and s.visibility <> 'PRIVATE' as open_to_read
   from registered_models m join scopes s on s.id = m.scope_id
   where m.id = :model::bigint and (s.id = :scope or s.kind = 'registry' or s.name = :workspace::text)`,
);

type ModelRow = { name: string; id: number; scope: string; open_to_read: boolean };

/** What a path belongs to: the experiments whose artifacts lie there, or the registered version whose files these are. */
async function resourcesAt({ db, scope }: Services, path: string) {
  const place = placeOf(path);
  if (place.kind === 'version') {
    const rows = await run<ModelRow>(db, MODEL, { model: place.modelId, scope: scope.id, workspace: place.workspace });
    return rows.map(({ name, id, scope, open_to_read: openToRead }) => ({
      scope: { id, name: scope, openToRead },
      type: 'registered_model_version' as const,
      id: '',
      whole: { type: 'registered_model' as const, id: name },
    }));
  }
  const segments = path.split('/');
  const locations = segments.map((_, i) => `mlflow-artifacts:/${segments.slice(0, i + 1).join('/')}`);
  const rows = await run<{ experiment_id: number }>(db, EXPERIMENTS, { scope: scope.id, locations });
  return rows.map(({ experiment_id: id }) => ({ scope, type: 'experiment' as const, id: String(id) }));
}

/**
 * A level on what the artifacts at a path belong to; for a path that belongs to nothing, on the whole workspace. What may not be read is not there; a
 * write is refused in any case.
 */
export function canAtPath<Input>(level: Level, pathOf: (input: Input) => string): Need<Services & { input: Input }> {
  const need = can<Services & { path: string }>(level, 'what the artifacts belong to', async (context) => {
    const found = await resourcesAt(context, context.path);
    if (found.length > 0) return found;
    return levelOnScope(context.caller, context.scope) === 'MANAGE' ? [] : null;
  });
  return {
    ...need,
    async check(context) {
      const { input, ...services } = context;
      if (mayDoAll(services.caller)) return 'granted';
      const path = await pathInWorkspace(services, parseArtifactPath(pathOf(input)));
      const verdict = await need.check({ ...services, path });
      if (verdict === 'hidden' && level !== 'READ')
        throw permissionDenied(`Permission denied: '${services.caller.username}' may not write '${path}' in '${services.scope.name}'.`);
      return verdict;
    },
  };
}
