import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { exactInt64, int64, requiredText } from '../../platform/fields.ts';
import { experimentId, experimentIds } from '../experiments/entity.ts';
import { atLeastOne } from '../max-results.ts';
import { canInExperiment, canOnRun, readable } from '../permissions.ts';
import { stagesOf, viewType } from '../view-type.ts';
import { createRun } from './create-run.ts';
import { checkRunName, Run, RunInfo, runIdOf, runStatus, toRun, toRunInfo, withRunId } from './entity.ts';
import { historyEndpoints } from './history-routes.ts';
import { logEndpoints } from './log-routes.ts';
import { searchRuns } from './search.ts';
import { deleteRun, deleteRunTag, getRun, restoreRun, updateRun } from './store.ts';

const MAX_SEARCH_RESULTS = 50_000;
const Nothing = z.object({});

const create = endpoint({
  op: 'run.create',
  summary: 'Start a run',
  method: 'POST',
  path: '/mlflow/runs/create',
  effect: 'write',
  input: z.object({
    experiment_id: experimentId,
    user_id: z.string().default(''),
    run_name: z.string().default(''),
    start_time: exactInt64.default(0),
    tags: z.array(z.object({ key: z.string().default(''), value: z.string().default('') })).default([]),
  }),
  output: z.object({ run: Run }),
  permission: canInExperiment('EDIT', 'run'),
  async handler({ db, scope, input }) {
    const { outputs: _, ...run } = toRun(await createRun(db, { scope: scope.id, experimentId: input.experiment_id }, input));
    return { run };
  },
});

const get = endpoint({
  op: 'run.get',
  summary: 'Get a run with its params, tags, latest metrics, inputs and outputs',
  method: 'GET',
  path: '/mlflow/runs/get',
  effect: 'read',
  input: withRunId({}),
  output: z.object({ run: Run }),
  permission: canOnRun('READ'),
  async handler({ db, scope, input }) {
    return { run: toRun(await getRun(db, { scope: scope.id, runId: runIdOf(input) })) };
  },
});

const update = endpoint({
  op: 'run.update',
  summary: 'Change status, end time or name of a run',
  method: 'POST',
  path: '/mlflow/runs/update',
  effect: 'write',
  input: withRunId({ status: runStatus.optional(), end_time: exactInt64.optional(), run_name: z.string().optional() }),
  output: z.object({ run_info: RunInfo }),
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    const key = { scope: scope.id, runId: runIdOf(input) };
    const name = input.run_name || null;
    if (name !== null) checkRunName(name);
    const row = await updateRun(db, key, { status: input.status ?? null, endTime: input.end_time ?? null, name });
    return { run_info: toRunInfo(row) };
  },
});

const deleteOne = endpoint({
  op: 'run.delete',
  summary: 'Mark a run as deleted',
  method: 'POST',
  path: '/mlflow/runs/delete',
  effect: 'write',
  input: z.object({ run_id: requiredText }),
  output: Nothing,
  permission: canOnRun('MANAGE'),
  async handler({ db, scope, input }) {
    await deleteRun(db, { scope: scope.id, runId: input.run_id });
    return {};
  },
});

const restoreOne = endpoint({
  op: 'run.restore',
  summary: 'Make a deleted run active again',
  method: 'POST',
  path: '/mlflow/runs/restore',
  effect: 'write',
  input: z.object({ run_id: requiredText }),
  output: Nothing,
  permission: canOnRun('MANAGE'),
  async handler({ db, scope, input }) {
    await restoreRun(db, { scope: scope.id, runId: input.run_id });
    return {};
  },
});

const deleteTag = endpoint({
  op: 'run.delete_tag',
  summary: 'Delete a tag of a run',
  method: 'POST',
  path: '/mlflow/runs/delete-tag',
  effect: 'write',
  input: z.object({ run_id: requiredText, key: requiredText }),
  output: Nothing,
  permission: canOnRun('EDIT'),
  async handler({ db, scope, input }) {
    await deleteRunTag(db, { scope: scope.id, runId: input.run_id }, input.key);
    return {};
  },
});

// The stock server answers a larger one as a value of the wrong type.
const searchLimit = int64
  .pipe(z.number().refine((value) => value <= MAX_SEARCH_RESULTS, { params: { wrongType: true }, abort: true }))
  .pipe(atLeastOne)
  .default(1000);

const search = endpoint({
  op: 'run.search',
  summary: 'Find runs by metrics, params, tags, attributes and data sets',
  method: 'POST',
  path: '/mlflow/runs/search',
  effect: 'read',
  input: z.object({
    experiment_ids: experimentIds,
    filter: z.string().optional(),
    run_view_type: viewType.default('ACTIVE_ONLY'),
    max_results: searchLimit,
    order_by: z.array(z.string()).default([]),
    page_token: z.string().optional(),
  }),
  output: z.object({ runs: z.array(Run).optional(), next_page_token: z.string().optional() }),
  permission: 'authenticated',
  async handler({ input, ...services }) {
    const experiments = readable(services, 'run', input.experiment_ids);
    const wanted = { ...input, experiment_ids: experiments, stages: stagesOf(input.run_view_type) };
    const { rows, nextPageToken } = await searchRuns(services.db, services.scope.id, wanted);
    return { ...(rows.length > 0 && { runs: rows.map(toRun) }), ...(nextPageToken && { next_page_token: nextPageToken }) };
  },
});

export const runEndpoints = [create, get, update, deleteOne, restoreOne, deleteTag, search, ...logEndpoints, ...historyEndpoints];
