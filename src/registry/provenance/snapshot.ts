import type { z } from 'zod';
import type { Db } from '../../platform/db/database.ts';
import { MlflowError } from '../../platform/errors.ts';
import type { Scope } from '../../scopes/entity.ts';
import { toExperiment } from '../../tracking/experiments/entity.ts';
import { getExperiment } from '../../tracking/experiments/store.ts';
import { toLoggedModel } from '../../tracking/logged-models/entity.ts';
import { getLoggedModel } from '../../tracking/logged-models/store.ts';
import { type Run, toRun } from '../../tracking/runs/entity.ts';
import { getRun } from '../../tracking/runs/store.ts';
import { sha256Of } from './canonical-json.ts';

/** What is known of how a model was made, in MLflow's own shapes; what is not known is absent. */
export type Origin = { [part in 'run' | 'experiment' | 'logged_model' | 'datasets' | 'code']?: unknown };

/** A profile of a data set may be many megabytes: above this many characters its SHA-256 stands for it. */
const LONGEST_PROFILE = 10_000;

/** Reads the run, experiment, logged model and data of a source in a workspace, as they are now. */
export async function readOrigin(
  db: Db,
  scope: Scope,
  { runId, loggedModelId }: { runId: string; loggedModelId: string },
): Promise<Origin> {
  const loggedModel = await ifThere(loggedModelId !== '', async () =>
    toLoggedModel(await getLoggedModel(db, { scope: scope.id, modelId: loggedModelId }, true)),
  );
  const run = await ifThere(runId !== '', async () => toRun(await getRun(db, { scope: scope.id, runId })));
  const experimentId = run?.info.experiment_id ?? loggedModel?.info.experiment_id;
  const experiment = await ifThere(experimentId !== undefined, async () =>
    toExperiment(await getExperiment(db, { scope: scope.id, experimentId: Number(experimentId) }), scope.name),
  );
  const datasets = run && datasetsOf(run);
  const code = run && codeOf(run);
  return {
    ...(run && { run: { info: run.info, data: run.data } }),
    ...(experiment && { experiment }),
    ...(loggedModel && { logged_model: loggedModel }),
    ...(datasets && datasets.length > 0 && { datasets }),
    ...(code && Object.keys(code).length > 0 && { code }),
  };
}

async function ifThere<T>(isNamed: boolean, read: () => Promise<T>): Promise<T | undefined> {
  if (!isNamed) return undefined;
  try {
    return await read();
  } catch (error) {
    // Runs and logged models may have been removed, or never have been this server's.
    if (error instanceof MlflowError) return undefined;
    throw error;
  }
}

type MlflowRun = z.infer<typeof Run>;

function datasetsOf(run: MlflowRun): Record<string, unknown>[] {
  return (run.inputs?.dataset_inputs ?? []).map(({ tags = [], dataset }) => {
    const { profile, ...known } = dataset;
    const context = tags.find(({ key }) => key === 'mlflow.data.context')?.value;
    return {
      ...known,
      ...(context !== undefined && { context }),
      ...(profile && (profile.length > LONGEST_PROFILE ? { profile_sha256: sha256Of(profile) } : { profile })),
    };
  });
}

/** MLflow's tags for where the code of a run came from (mlflow/utils/mlflow_tags.py). */
const CODE_TAGS = {
  name: 'mlflow.source.name',
  type: 'mlflow.source.type',
  git_commit: 'mlflow.source.git.commit',
  git_branch: 'mlflow.source.git.branch',
  git_repo_url: 'mlflow.source.git.repoURL',
  git_dirty: 'mlflow.source.git.dirty',
  entry_point: 'mlflow.project.entryPoint',
  user: 'mlflow.user',
};

function codeOf(run: MlflowRun): Record<string, string> {
  const tags = new Map((run.data.tags ?? []).map(({ key, value }) => [key, value]));
  return Object.fromEntries(
    Object.entries(CODE_TAGS).flatMap(([name, tag]) => {
      const value = tags.get(tag);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
