import { can, mayDoAll } from '../access/can.ts';
import { levelOn, type ResourceType } from '../access/grants.ts';
import type { Services } from '../endpoint.ts';
import { type Db, quickRead, run, type Statement } from '../platform/db/database.ts';
import { remembering } from '../platform/db/remembering.ts';
import type { Level, Need } from '../platform/permission.ts';
import { emptied, type Scope } from '../scopes/entity.ts';

const experimentResource = (scope: Scope, experimentId: number | string) => ({
  scope,
  type: 'experiment' as const,
  id: String(experimentId),
});

const partOf = (scope: Scope, type: ResourceType, experimentId: number | string) => ({
  scope,
  type,
  id: '',
  whole: experimentResource(scope, experimentId),
});

type Found = { experiment_id: number };

async function found(db: Db, query: Statement, bindings: Record<string, unknown>): Promise<number | null> {
  return (await run<Found>(db, query, bindings))[0]?.experiment_id ?? null;
}

/** A level on the experiment that the input names. */
export const canOnExperiment = (level: Level): Need<Services & { input: { experiment_id: number } }> =>
  can(level, 'experiment', ({ scope, input }) => experimentResource(scope, input.experiment_id));

const BY_NAME = quickRead('experiment_named', 'select experiment_id from experiments where scope_id = :scope and name = :name');

/** A level on the experiment of the input's `experiment_name`. */
export const canOnExperimentNamed = (level: Level): Need<Services & { input: { experiment_name: string } }> =>
  can(level, 'experiment', async ({ db, scope, input }) => {
    const id = await found(db, BY_NAME, { scope: scope.id, name: input.experiment_name });
    return id === null ? null : experimentResource(scope, id);
  });

/** A level on things of one kind in the experiment that the input names. */
export const canInExperiment = (level: Level, type: 'run' | 'logged_model'): Need<Services & { input: { experiment_id: number } }> =>
  can(level, type.replace('_', ' '), ({ scope, input }) => partOf(scope, type, input.experiment_id));

const OF_RUN = quickRead(
  'experiment_of_run',
  'select e.experiment_id from runs r join experiments e on e.experiment_id = r.experiment_id where r.run_id = :run and e.scope_id = :scope',
);
const OF_LOGGED_MODEL = quickRead(
  'experiment_of_logged_model',
  'select e.experiment_id from logged_models l join experiments e on e.experiment_id = l.experiment_id where l.model_id = :model and e.scope_id = :scope',
);

const experimentOfRun = remembering((db: Db, scope: number, run: string) => found(db, OF_RUN, { scope, run }));
const experimentOfLoggedModel = remembering((db: Db, scope: number, model: string) => found(db, OF_LOGGED_MODEL, { scope, model }));

type RunNaming = Services & { input: { run_id?: string | undefined; run_uuid?: string | undefined } };

/** A level on the run that the input names, by either of its names for it. */
export const canOnRun = (level: Level): Need<RunNaming> =>
  can(level, 'run', async ({ db, scope, input }) => {
    const id = await experimentOfRun(db, scope.id, input.run_id || input.run_uuid || '');
    return id === null ? null : partOf(scope, 'run', id);
  });

const OF_RUNS = quickRead(
  'experiments_of_runs',
  `select distinct e.experiment_id from runs r join experiments e on e.experiment_id = r.experiment_id
   where r.run_id = any (:runs) and e.scope_id = :scope`,
);

/** READ on all the runs that an input names. */
export const canReadRuns = <Input>(runIdsOf: (input: Input) => string[]): Need<Services & { input: Input }> =>
  can('READ', 'run', async ({ db, scope, input }) => {
    const rows = await run<Found>(db, OF_RUNS, { scope: scope.id, runs: runIdsOf(input) });
    return rows.map(({ experiment_id: id }) => partOf(scope, 'run', id));
  });

/** A level on the logged model that the input names. */
export const canOnLoggedModel = (level: Level): Need<Services & { input: { model_id: string } }> =>
  can(level, 'logged model', async ({ db, scope, input }) => {
    const id = await experimentOfLoggedModel(db, scope.id, input.model_id);
    return id === null ? null : partOf(scope, 'logged_model', id);
  });

type EitherNaming = Services & { input: { run_id: string; model_id: string } };

/** A level on the run, or else the logged model, that the input names. */
export const canOnRunOrLoggedModel = (level: Level): Need<EitherNaming> => ({
  ...canOnRun(level),
  on: 'run or logged model',
  check: (context) => (context.input.run_id ? canOnRun(level).check(context) : canOnLoggedModel(level).check(context)),
});

/** Of these experiments, the ones whose things of one kind the caller may read. */
export const readable = ({ caller, scope }: Pick<Services, 'caller' | 'scope'>, type: 'run' | 'logged_model', experimentIds: number[]) =>
  mayDoAll(caller) ? experimentIds : experimentIds.filter((id) => levelOn(caller, partOf(scope, type, id)) !== null);

/** The scope to look for a run or logged model in: an empty one unless the caller may read it. */
export async function scopeToRead(
  { db, caller }: Pick<Services, 'db' | 'caller'>,
  scope: Scope,
  { runId, modelId }: { runId: string; modelId?: undefined } | { modelId: string; runId?: undefined },
): Promise<Scope> {
  if (mayDoAll(caller)) return scope;
  const [type, id] =
    runId === undefined
      ? (['logged_model', await experimentOfLoggedModel(db, scope.id, modelId)] as const)
      : (['run', await experimentOfRun(db, scope.id, runId)] as const);
  return id !== null && levelOn(caller, partOf(scope, type, id)) !== null ? scope : emptied(scope);
}
