import { z } from 'zod';
import { canInScope } from '../../access/can.ts';
import { uriOfWorkspace } from '../../artifacts/workspace-path.ts';
import { endpoint, type Services } from '../../endpoint.ts';
import { ifThere } from '../../platform/errors.ts';
import { requiredText } from '../../platform/fields.ts';
import { tagKey } from '../../platform/names.ts';
import { DatasetSummary, datasetExperimentIds, toDatasetSummary } from '../datasets/entity.ts';
import { findDatasetSummaries } from '../datasets/store.ts';
import { maxResults } from '../max-results.ts';
import { canOnExperiment, canOnExperimentNamed, readable } from '../permissions.ts';
import { stagesOf, viewType } from '../view-type.ts';
import { checkArtifactLocation, refuseArtifactLocation } from './artifact-location.ts';
import { Experiment, experimentId, experimentTags, experimentTagValue, newExperimentName, toExperiment } from './entity.ts';
import { searchExperiments } from './search.ts';
import {
  deleteExperiment,
  deleteExperimentTag,
  getExperiment,
  getExperimentByName,
  insertExperiment,
  renameExperiment,
  restoreExperiment,
  setExperimentTag,
} from './store.ts';

// Whose experiment is in a folder may write there: it could be another's.
const mayChooseFolder = canInScope('MANAGE');

const MAX_SEARCH_RESULTS = 50_000;
const Nothing = z.object({});

/** What can be changed of an experiment, for the audit. */
async function experimentState({ db, scope, input }: Services & { input: { experiment_id: number } }): Promise<unknown> {
  const found = await ifThere(getExperiment(db, { scope: scope.id, experimentId: input.experiment_id }));
  return found && { name: found.name, lifecycle_stage: found.lifecycle_stage };
}

const createExperiment = endpoint({
  op: 'experiment.create',
  summary: 'Make an experiment',
  method: 'POST',
  path: '/mlflow/experiments/create',
  effect: 'write',
  input: z.object({ name: newExperimentName, artifact_location: z.string().default(''), tags: experimentTags }),
  output: z.object({ experiment_id: z.string() }),
  permission: canInScope('USE'),
  state: ({ input, output }) => output && { name: input.name, lifecycle_stage: 'active' },
  makes: ({ scope, output }) => ({ scope, type: 'experiment', id: output.experiment_id }),
  async handler({ db, scope, caller, locations, input }) {
    const checkLocation = scope.named ? refuseArtifactLocation : checkArtifactLocation;
    checkLocation(input.artifact_location, locations);
    if (input.artifact_location.startsWith('mlflow-artifacts:')) await mayChooseFolder.check({ caller, scope });
    const key = { scope: scope.id, name: input.name };
    const home = scope.named ? uriOfWorkspace(scope) : null;
    return { experiment_id: String(await insertExperiment(db, key, { location: input.artifact_location, home, tags: input.tags })) };
  },
});

const getById = endpoint({
  op: 'experiment.get',
  summary: 'Get an experiment, also a deleted one',
  method: 'GET',
  path: '/mlflow/experiments/get',
  effect: 'read',
  input: z.object({ experiment_id: experimentId }),
  output: z.object({ experiment: Experiment }),
  permission: canOnExperiment('READ'),
  async handler({ db, scope, input }) {
    const row = await getExperiment(db, { scope: scope.id, experimentId: input.experiment_id });
    return { experiment: toExperiment(row, scope.name) };
  },
});

const getByName = endpoint({
  op: 'experiment.get_by_name',
  summary: 'Get an experiment by its name, also a deleted one',
  method: 'GET',
  path: '/mlflow/experiments/get-by-name',
  effect: 'read',
  input: z.object({ experiment_name: requiredText }),
  output: z.object({ experiment: Experiment }),
  permission: canOnExperimentNamed('READ'),
  async handler({ db, scope, input }) {
    const row = await getExperimentByName(db, { scope: scope.id, name: input.experiment_name });
    return { experiment: toExperiment(row, scope.name) };
  },
});

const deleteOne = endpoint({
  op: 'experiment.delete',
  summary: 'Mark an experiment and its runs as deleted',
  method: 'POST',
  path: '/mlflow/experiments/delete',
  effect: 'write',
  input: z.object({ experiment_id: experimentId }),
  output: Nothing,
  permission: canOnExperiment('MANAGE'),
  state: experimentState,
  async handler({ db, scope, input }) {
    await deleteExperiment(db, { scope: scope.id, experimentId: input.experiment_id });
    return {};
  },
});

const restoreOne = endpoint({
  op: 'experiment.restore',
  summary: 'Make a deleted experiment and all its runs active again',
  method: 'POST',
  path: '/mlflow/experiments/restore',
  effect: 'write',
  input: z.object({ experiment_id: experimentId }),
  output: Nothing,
  permission: canOnExperiment('MANAGE'),
  state: experimentState,
  async handler({ db, scope, input }) {
    await restoreExperiment(db, { scope: scope.id, experimentId: input.experiment_id });
    return {};
  },
});

const updateExperiment = endpoint({
  op: 'experiment.update',
  summary: 'Rename an experiment',
  method: 'POST',
  path: '/mlflow/experiments/update',
  effect: 'write',
  input: z.object({ experiment_id: experimentId, new_name: newExperimentName }),
  output: Nothing,
  permission: canOnExperiment('EDIT'),
  state: experimentState,
  async handler({ db, scope, input }) {
    await renameExperiment(db, { scope: scope.id, experimentId: input.experiment_id }, input.new_name);
    return {};
  },
});

const experimentList = z.object({ experiments: z.array(Experiment).optional(), next_page_token: z.string().optional() });

// An absent max_results is proto's 0 on the stock server, and refused as that.
const searchLimit = maxResults
  .pipe(
    z.number().refine((value) => value <= MAX_SEARCH_RESULTS, {
      error: ({ input }) => `Invalid value ${input} for parameter 'max_results' supplied. It must be at most ${MAX_SEARCH_RESULTS}`,
    }),
  )
  .prefault(0);

const search = (['GET', 'POST'] as const).map((method) =>
  endpoint({
    op: 'experiment.search',
    summary: 'Find experiments by name, times and tags',
    method,
    path: '/mlflow/experiments/search',
    effect: 'read',
    input: z.object({
      max_results: searchLimit,
      view_type: viewType.default('ACTIVE_ONLY'),
      filter: z.string().optional(),
      order_by: z.array(z.string()).default([]),
      page_token: z.string().optional(),
    }),
    output: experimentList,
    permission: 'authenticated',
    async handler({ input, ...services }) {
      const { rows, nextPageToken } = await searchExperiments(services, { ...input, stages: stagesOf(input.view_type) });
      return {
        ...(rows.length > 0 && { experiments: rows.map((row) => toExperiment(row, services.scope.name)) }),
        ...(nextPageToken && { next_page_token: nextPageToken }),
      };
    },
  }),
);

/** What 1.x clients call; the stock server has dropped it (docs/differences.md). Without max_results it lists all. */
const list = (['GET', 'POST'] as const).map((method) =>
  endpoint({
    op: 'experiment.list',
    summary: 'List experiments, for clients of MLflow 1.x',
    method,
    path: '/mlflow/experiments/list',
    effect: 'read',
    input: z.object({
      max_results: maxResults.default(MAX_SEARCH_RESULTS),
      view_type: viewType.default('ACTIVE_ONLY'),
      page_token: z.string().optional(),
    }),
    output: experimentList,
    permission: 'authenticated',
    async handler({ input, ...services }) {
      const { rows, nextPageToken } = await searchExperiments(services, {
        stages: stagesOf(input.view_type),
        order_by: ['experiment_id'],
        max_results: Math.min(input.max_results, MAX_SEARCH_RESULTS),
        page_token: input.page_token,
      });
      return {
        ...(rows.length > 0 && { experiments: rows.map((row) => toExperiment(row, services.scope.name)) }),
        ...(nextPageToken && { next_page_token: nextPageToken }),
      };
    },
  }),
);

const setTag = endpoint({
  op: 'experiment.set_tag',
  summary: 'Set a tag of an experiment',
  method: 'POST',
  path: '/mlflow/experiments/set-experiment-tag',
  effect: 'write',
  input: z.object({ experiment_id: experimentId, key: tagKey, value: experimentTagValue.default('') }),
  output: Nothing,
  permission: canOnExperiment('EDIT'),
  async handler({ db, scope, input }) {
    await setExperimentTag(db, { scope: scope.id, experimentId: input.experiment_id }, { key: input.key, value: input.value });
    return {};
  },
});

const deleteTag = endpoint({
  op: 'experiment.delete_tag',
  summary: 'Delete a tag of an experiment',
  method: 'POST',
  path: '/mlflow/experiments/delete-experiment-tag',
  effect: 'write',
  input: z.object({ experiment_id: experimentId, key: requiredText }),
  output: Nothing,
  permission: canOnExperiment('EDIT'),
  async handler({ db, scope, input }) {
    await deleteExperimentTag(db, { scope: scope.id, experimentId: input.experiment_id }, input.key);
    return {};
  },
});

const searchDatasets = endpoint({
  op: 'experiment.search_datasets',
  summary: 'List the data sets that runs of these experiments had as input',
  method: 'POST',
  path: '/mlflow/experiments/search-datasets',
  effect: 'read',
  input: z.object({ experiment_ids: datasetExperimentIds }),
  output: z.object({ dataset_summaries: z.array(DatasetSummary).optional() }),
  permission: 'authenticated',
  async handler({ input, ...services }) {
    const rows = await findDatasetSummaries(services.db, services.scope.id, readable(services, 'run', input.experiment_ids));
    return rows.length > 0 ? { dataset_summaries: rows.map(toDatasetSummary) } : {};
  },
});

export const experimentEndpoints = [
  createExperiment,
  getById,
  getByName,
  deleteOne,
  restoreOne,
  updateExperiment,
  ...search,
  ...list,
  setTag,
  deleteTag,
  searchDatasets,
];
