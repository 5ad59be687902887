import type { z } from 'zod';
import type { Db } from '../../platform/db/database.ts';
import type { Scope } from '../../scopes/entity.ts';
import { type Experiment, toExperiment } from '../../tracking/experiments/entity.ts';
import { type LoggedModel, toLoggedModel } from '../../tracking/logged-models/entity.ts';
import { type Run, toRun } from '../../tracking/runs/entity.ts';
import { type ModelVersion, toModelVersion } from '../model-versions/entity.ts';
import { sha256Of } from './canonical-json.ts';
import type { ModelDescription } from './model-files.ts';
import { type OriginRows, readOriginRows } from './origin-rows.ts';

type MlflowRun = z.infer<typeof Run>;
type MlflowModel = z.infer<typeof LoggedModel>;

/** A data set that a run had as input; `context` is what for. */
type OriginDataset = MlflowDataset & { context?: string; profile_sha256?: string };
type MlflowDataset = NonNullable<MlflowRun['inputs']['dataset_inputs']>[number]['dataset'];

/** What is known of how a model was made, in MLflow's own shapes; what is not known is absent. */
export type Origin = {
  run?: (Pick<MlflowRun, 'info' | 'data' | 'outputs'> & { inputs?: Pick<MlflowRun['inputs'], 'model_inputs'> }) | undefined;
  experiment?: z.infer<typeof Experiment> | undefined;
  logged_model?: MlflowModel | undefined;
  datasets?: OriginDataset[] | undefined;
  code?: Record<string, string> | undefined;
  /** The version that was promoted, with the tags and aliases it had. */
  source_version?: z.infer<typeof ModelVersion> | undefined;
};

/** Where a version came from, as a promotion keeps it. `source` has `workspace` or `registry`; without `name` it is a run or a logged model. */
export type Snapshot = Origin & {
  source: { workspace?: string; registry?: string; uri: string; name?: string; version?: string; alias?: string; run_id?: string };
  promotion: { promotion_id: string; promoted_by: string; reason: string; timestamp: number };
  digest?: string;
  model: ModelDescription;
  derived_from?: { snapshot: Snapshot; sha256: string };
};

/** A profile of a data set may be many megabytes: above this many characters its SHA-256 stands for it. */
const LONGEST_PROFILE = 10_000;

/** Reads the run, experiment, logged model and data of a source in a workspace, as they are now. */
export async function readOrigin(db: Db, scope: Scope, of: { runId: string; loggedModelId: string }): Promise<Origin> {
  return toOrigin(await readOriginRows(db, scope.id, of), scope);
}

export function toOrigin(rows: OriginRows, scope: Scope): Origin {
  const run = rows.run && toRun(rows.run);
  const experiment = rows.experiment && toExperiment(rows.experiment, scope.name);
  const loggedModel = rows.logged_model && withFinalMetrics(toLoggedModel(rows.logged_model));
  const datasets = run && datasetsOf(run);
  const code = run && codeOf(run);
  return {
    ...(run && { run: withoutDatasets(run) }),
    ...(experiment && { experiment }),
    ...(loggedModel && { logged_model: loggedModel }),
    ...(datasets && datasets.length > 0 && { datasets }),
    ...(code && Object.keys(code).length > 0 && { code }),
    ...(rows.version && { source_version: toModelVersion(rows.version) }),
  };
}

/** A run with the models it used and made; its data sets are kept beside it. */
function withoutDatasets({ info, data, inputs: { model_inputs }, outputs }: MlflowRun): NonNullable<Origin['run']> {
  return { info, data, ...(model_inputs && { inputs: { model_inputs } }), ...(outputs?.model_outputs && { outputs }) };
}

/** A logged model with the last point of each metric on each data set: it may have thousands. */
function withFinalMetrics(model: MlflowModel): MlflowModel {
  const { metrics, ...data } = model.data;
  if (!metrics) return model;
  const last = new Map<string, (typeof metrics)[number]>();
  for (const metric of metrics) {
    const name = JSON.stringify([metric.key, metric.dataset_name, metric.dataset_digest]);
    const known = last.get(name);
    if (!known || isLater(metric, known)) last.set(name, metric);
  }
  return { ...model, data: { ...data, metrics: [...last.values()] } };
}

type Point = Pick<NonNullable<MlflowModel['data']['metrics']>[number], 'timestamp' | 'step'>;

const isLater = (a: Point, b: Point) => (a.step === b.step ? a.timestamp >= b.timestamp : a.step > b.step);

function datasetsOf(run: MlflowRun): OriginDataset[] {
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
  docker_image: 'mlflow.docker.image.uri',
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
