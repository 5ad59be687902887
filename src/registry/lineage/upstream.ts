import type { Services } from '../../endpoint.ts';
import { describeModelFiles, type ModelDescription } from '../provenance/model-files.ts';
import { type Origin, readOrigin, type Snapshot } from '../provenance/snapshot.ts';
import { addNode, addUser, addWorkspace, type Building, link } from './build.ts';
import type { NodeOf } from './entity.ts';
import { ifReadable } from './readable.ts';
import { findCopied, findSameVersion, findSource, type LiveVersion } from './store.ts';

type Place = Pick<Services, 'db' | 'blobs' | 'caller'>;

const path = (...parts: string[]) => parts.map(encodeURIComponent).join('/');

const versionPath = (kind: 'workspace' | 'registry', scope: string, name: string, version: string) =>
  path(kind === 'workspace' ? 'workspaces' : 'registries', scope, 'models', name, 'versions', version);

/** Adds a version that is there; gives its id. `model`: what its files say, if that is to be shown. */
export function addLiveVersion(graph: Building, live: LiveVersion, model?: ModelDescription, promotedAs?: string): string {
  const { kind, scope, name, creation_timestamp, aliases, digest } = live;
  const version = String(live.version);
  const id = addNode(graph, {
    id: versionPath(kind, scope, name, version),
    type: 'MODEL_VERSION',
    name,
    live: true,
    visibility: 'FULL',
    [kind]: scope,
    version,
    creation_timestamp,
    ...(digest !== null && { digest }),
    ...(aliases.length > 0 && { aliases }),
    ...(model && factsOf(model)),
    ...(promotedAs !== undefined && promotedAs !== `${scope}.${name}` && { promoted_as: promotedAs }),
  });
  if (kind === 'workspace') link(graph, id, 'PART_OF', addWorkspace(graph, scope, creation_timestamp));
  return id;
}

/** Adds what a version came from, as far as `steps` other versions back. */
export async function addUpstream(place: Place, graph: Building, live: LiveVersion, steps: number): Promise<void> {
  const { db, blobs } = place;
  if (live.snapshot !== null) {
    const snapshot = JSON.parse(live.snapshot) as Snapshot;
    const id = addLiveVersion(graph, live, snapshot.model);
    return addPromotion(
      place,
      graph,
      { id, registry: live.scope, snapshot, sha256: live.sha256 ?? '', source: await ifReadable(place, await findSource(db, live)) },
      steps,
    );
  }
  const id = addLiveVersion(graph, live, await describeModelFiles(db, blobs, live.model_id, live.version));
  const copied = await ifReadable(place, await findCopied(db, live));
  if (copied && steps > 0) {
    link(graph, id, 'WAS_DERIVED_FROM', addLiveVersion(graph, copied));
    return addUpstream(place, graph, copied, steps - 1);
  }
  const scope = { id: live.scope_id, kind: live.kind, name: live.scope, named: true };
  const origin = await readOrigin(db, scope, { runId: live.run_id, loggedModelId: live.logged_model_id });
  addOrigin(graph, { id, workspace: live.scope, time: live.creation_timestamp, origin });
}

type Promoted = { id: string; registry: string; snapshot: Snapshot; sha256: string; source: LiveVersion | null };

async function addPromotion(
  place: Place,
  graph: Building,
  { id, registry, snapshot, sha256, source }: Promoted,
  steps: number,
): Promise<void> {
  const { source: given, promotion, derived_from: derivedFrom } = snapshot;
  const workspace = given.workspace ?? '';
  const time = promotion.timestamp;
  if (given.name === undefined || given.version === undefined) {
    addOrigin(graph, { id, workspace, time, origin: snapshot, promotionId: addPromotionNode(graph, id, registry, snapshot, sha256) });
    return;
  }
  if (steps === 0) return;
  const promotionId = addPromotionNode(graph, id, registry, snapshot, sha256);
  const scope = given.registry ?? workspace;
  const sourceId = source
    ? addLiveVersion(graph, source, snapshot.model, `${scope}.${given.name}`)
    : addGoneVersion(graph, snapshot, given.registry === undefined ? 'workspace' : 'registry', scope);
  link(graph, id, 'WAS_DERIVED_FROM', sourceId);
  link(graph, promotionId, 'USED', sourceId);
  if (derivedFrom) {
    if (source?.snapshot) return addUpstream(place, graph, source, steps - 1);
    return addPromotion(
      place,
      graph,
      { id: sourceId, registry: scope, ...derivedFrom, source: await sourceOfGone(place, derivedFrom.snapshot) },
      steps - 1,
    );
  }
  const copied = source && steps > 1 ? await ifReadable(place, await findCopied(place.db, source)) : null;
  if (copied) {
    link(graph, sourceId, 'WAS_DERIVED_FROM', addLiveVersion(graph, copied));
    return addUpstream(place, graph, copied, steps - 2);
  }
  addOrigin(graph, { id: sourceId, workspace, time, origin: snapshot });
}

/** Adds the promotion that made a version; gives its id. */
export function addPromotionNode(graph: Building, id: string, registry: string, { promotion, source }: Snapshot, sha256: string): string {
  const { promotion_id, promoted_by, reason, timestamp } = promotion;
  const promotionId = addNode(graph, {
    id: path('promotions', promotion_id),
    type: 'PROMOTION',
    name: promotion_id,
    live: false,
    visibility: 'FULL',
    promotion_id,
    registry,
    creation_timestamp: timestamp,
    requested_by: promoted_by,
    reason,
    sha256,
    ...(source.alias !== undefined && { alias: source.alias }),
  });
  link(graph, id, 'WAS_GENERATED_BY', promotionId);
  if (promoted_by !== '') link(graph, promotionId, 'WAS_ASSOCIATED_WITH', addUser(graph, promoted_by));
  return promotionId;
}

/** A version that is no longer there: what a promotion of it has kept, which has the same bytes. */
function addGoneVersion(graph: Building, snapshot: Snapshot, kind: 'workspace' | 'registry', scope: string): string {
  const { source, source_version: kept, digest, model, promotion } = snapshot;
  const { name = '', version = '' } = source;
  const id = addNode(graph, {
    id: versionPath(kind, scope, name, version),
    type: 'MODEL_VERSION',
    name,
    live: false,
    visibility: 'FULL',
    [kind]: scope,
    version,
    ...(digest !== undefined && { digest }),
    ...(kept && { creation_timestamp: kept.creation_timestamp }),
    ...(kept?.aliases && { aliases: kept.aliases }),
    ...factsOf(model),
  });
  if (kind === 'workspace') link(graph, id, 'PART_OF', addWorkspace(graph, scope, kept?.creation_timestamp ?? promotion.timestamp));
  return id;
}

/** The ids of a source are gone with the version that was made of it: its names and digest are left. */
async function sourceOfGone(place: Place, { source, digest }: Snapshot): Promise<LiveVersion | null> {
  if (source.name === undefined || source.version === undefined || digest === undefined) return null;
  const scope = source.registry ?? source.workspace ?? '';
  return ifReadable(place, await findSameVersion(place.db, { scope, name: source.name, version: Number(source.version), digest }));
}

type Made = { id: string; workspace: string; time: number; origin: Origin; promotionId?: string };

/** Adds how a version was made. `promotionId`: of the promotion that made it straight of a run or logged model. */
function addOrigin(graph: Building, { id, workspace, time, origin, promotionId }: Made): void {
  const { run, logged_model: model, experiment, datasets = [], code = {} } = origin;
  const modelId = model && addNode(graph, toLoggedModelNode(workspace, model));
  const runId = run && addNode(graph, toRunNode(workspace, run, code));
  const experimentNode = experiment && toExperimentNode(workspace, experiment);
  const experimentId = experimentNode && addNode(graph, experimentNode);
  if (modelId !== undefined) {
    link(graph, id, 'WAS_DERIVED_FROM', modelId);
    if (promotionId !== undefined) link(graph, promotionId, 'USED', modelId);
    if (experimentId !== undefined && runId === undefined) link(graph, modelId, 'PART_OF', experimentId);
  }
  if (experimentId !== undefined) link(graph, experimentId, 'PART_OF', addWorkspace(graph, workspace, time));
  if (!run || runId === undefined) return;
  if (modelId !== undefined && model?.info.source_run_id === run.info.run_id) link(graph, modelId, 'WAS_GENERATED_BY', runId);
  // A thing is generated once: what a promotion made of a run's files it made informed by the run.
  else if (promotionId !== undefined) link(graph, promotionId, 'WAS_INFORMED_BY', runId);
  else link(graph, id, 'WAS_GENERATED_BY', runId);
  if (experimentId !== undefined) link(graph, runId, 'PART_OF', experimentId);
  for (const dataset of datasets) {
    const { context, ...used } = dataset;
    link(graph, runId, 'USED', addNode(graph, toDatasetNode(workspace, used)), { ...(context !== undefined && { context }) });
  }
  for (const { model_id } of run.inputs?.model_inputs ?? []) {
    link(graph, runId, 'USED', addNode(graph, loggedModelStub(workspace, model_id)));
  }
  const parent = run.data.tags?.find(({ key }) => key === 'mlflow.parentRunId')?.value;
  if (parent) link(graph, runId, 'WAS_INFORMED_BY', addNode(graph, runStub(workspace, parent)));
  const user = code.user || run.info.user_id;
  if (user) link(graph, runId, 'WAS_ASSOCIATED_WITH', addUser(graph, user));
}

/** What a model's files say of it: its signature, flavors and environment. */
function factsOf({ mlmodel, environment }: ModelDescription): Pick<NodeOf<'MODEL_VERSION'>, 'signature' | 'flavors' | 'environment'> {
  const { signature, flavors } = (typeof mlmodel === 'object' && mlmodel !== null ? mlmodel : {}) as Record<string, unknown>;
  return {
    ...(signature !== undefined && { signature }),
    ...(typeof flavors === 'object' && flavors !== null && { flavors: Object.keys(flavors) }),
    ...(environment && { environment }),
  };
}

const valuesOf = (list: { key: string; value: string }[] = []) => Object.fromEntries(list.map(({ key, value }) => [key, value]));

type Points = {
  key: string;
  value: number | string;
  step: number | bigint;
  dataset_name?: string | undefined;
  dataset_digest?: string | undefined;
}[];

const pointsOf = (points: Points = []) =>
  points.map(({ key, value, step, dataset_name, dataset_digest }) => ({
    key,
    value,
    step: Number(step),
    ...(dataset_name !== undefined && { dataset_name }),
    ...(dataset_digest !== undefined && { dataset_digest }),
  }));

/** A run of which no more than its id is known. */
export const runStub = (workspace: string, runId: string): NodeOf<'RUN'> => ({
  id: path('workspaces', workspace, 'runs', runId),
  type: 'RUN',
  name: runId,
  live: false,
  visibility: 'FULL',
  workspace,
  run_id: runId,
});

const loggedModelStub = (workspace: string, modelId: string): NodeOf<'LOGGED_MODEL'> => ({
  id: path('workspaces', workspace, 'logged-models', modelId),
  type: 'LOGGED_MODEL',
  name: modelId,
  live: false,
  visibility: 'FULL',
  workspace,
  model_id: modelId,
});

const toRunNode = (workspace: string, { info, data }: NonNullable<Origin['run']>, code: Record<string, string>): NodeOf<'RUN'> => ({
  ...runStub(workspace, info.run_id),
  name: info.run_name,
  experiment_id: info.experiment_id,
  status: info.status,
  start_time: Number(info.start_time),
  ...(info.end_time !== undefined && { end_time: Number(info.end_time) }),
  params: valuesOf(data.params),
  metrics: pointsOf(data.metrics),
  code,
});

const toLoggedModelNode = (workspace: string, { info, data }: NonNullable<Origin['logged_model']>): NodeOf<'LOGGED_MODEL'> => ({
  ...loggedModelStub(workspace, info.model_id),
  name: info.name,
  params: valuesOf(data.params),
  metrics: pointsOf(data.metrics),
});

const toExperimentNode = (workspace: string, { experiment_id, name }: NonNullable<Origin['experiment']>): NodeOf<'EXPERIMENT'> => ({
  id: path('workspaces', workspace, 'experiments', experiment_id),
  type: 'EXPERIMENT',
  name,
  live: false,
  visibility: 'FULL',
  workspace,
  experiment_id,
});

const toDatasetNode = (
  workspace: string,
  { name, digest, source_type, source, schema }: NonNullable<Origin['datasets']>[number],
): NodeOf<'DATASET'> => ({
  id: path('workspaces', workspace, 'datasets', name, digest),
  type: 'DATASET',
  name,
  live: false,
  visibility: 'FULL',
  workspace,
  digest,
  source_type,
  source,
  ...(schema !== undefined && { schema }),
});
