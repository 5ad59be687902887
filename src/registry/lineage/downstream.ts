import type { Services } from '../../endpoint.ts';
import type { Snapshot } from '../provenance/snapshot.ts';
import { addNode, addUser, addWorkspace, type Building, link } from './build.ts';
import { editableOf, mayReadRun, readableOf } from './readable.ts';
import { type LiveVersion, listDerived, listUses, listUsingRuns } from './store.ts';
import { addLiveVersion, addPromotionNode, runStub } from './upstream.ts';

type Asking = Pick<Services, 'db' | 'caller'>;

/** At most so many versions, uses and runs are in one answer. */
const MOST = 500;

const keyOf = (modelId: number, version: number) => `${modelId}/${version}`;

/** Adds what became of a version, `steps` other versions on: who uses it, what was promoted or copied from it, and who uses that. */
export async function addDownstream(asking: Asking, graph: Building, start: LiveVersion, steps: number): Promise<void> {
  const ids = new Map([[keyOf(start.model_id, start.version), addLiveVersion(graph, start)]]);
  let level: LiveVersion[] = [start];
  await addUses(asking, graph, ids, level);
  for (let step = 0; step < steps && level.length > 0; step++) {
    const left = MOST - ids.size;
    const derived = await listDerived(asking.db, level, left + 1);
    if (derived.length > left) graph.truncated = true;
    level = [];
    for (const made of await readableOf(asking, derived.slice(0, left))) {
      const from = ids.get(keyOf(made.from_model, made.from_version)) ?? '';
      const snapshot = made.snapshot === null ? null : (JSON.parse(made.snapshot) as Snapshot);
      const id = addLiveVersion(graph, made, snapshot?.model);
      link(graph, id, 'WAS_DERIVED_FROM', from);
      if (snapshot) link(graph, addPromotionNode(graph, id, made.scope, snapshot, made.sha256 ?? ''), 'USED', from);
      const key = keyOf(made.model_id, made.version);
      if (!ids.has(key)) level.push(made);
      ids.set(key, id);
    }
    await addUses(asking, graph, ids, level);
  }
}

async function addUses(asking: Asking, graph: Building, ids: Map<string, string>, versions: LiveVersion[]): Promise<void> {
  const uses = await listUses(asking.db, await editableOf(asking, versions), MOST + 1);
  const runs = await listUsingRuns(asking.db, versions, MOST + 1);
  if (uses.length > MOST || runs.length > MOST) graph.truncated = true;
  for (const { model_id, version, workspace, user_name, ...counts } of uses.slice(0, MOST)) {
    const id = ids.get(keyOf(model_id, version)) ?? '';
    const consumer = user_name === '' ? addWorkspace(graph, workspace, counts.last_time) : addUser(graph, user_name);
    link(graph, consumer, 'USED', id, counts);
    if (user_name !== '') link(graph, consumer, 'PART_OF', addWorkspace(graph, workspace, counts.last_time));
  }
  for (const { model_id, version, workspace, run_id, name, status, start_time, end_time, experiment_id } of runs.slice(0, MOST)) {
    if (!(await mayReadRun(asking, workspace, run_id))) continue;
    const runId = addNode(graph, {
      ...runStub(workspace, run_id),
      name,
      status,
      experiment_id,
      ...(start_time !== null && { start_time: Number(start_time) }),
      ...(end_time !== null && { end_time: Number(end_time) }),
    });
    link(graph, runId, 'USED', ids.get(keyOf(model_id, version)) ?? '');
    link(graph, runId, 'PART_OF', addWorkspace(graph, workspace, Number(start_time ?? Date.now())));
  }
}
