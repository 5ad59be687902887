import type { Db } from '../../platform/db/database.ts';
import type { Snapshot } from '../provenance/snapshot.ts';
import { addNode, addUser, addWorkspace, type Building, link } from './build.ts';
import { type LiveVersion, listDerived, listUses, listUsingRuns } from './store.ts';
import { addLiveVersion, addPromotionNode, runStub } from './upstream.ts';

/** At most so many versions, uses and runs are in one answer. */
const MOST = 500;

const keyOf = (modelId: number, version: number) => `${modelId}/${version}`;

/** Adds what became of a version, `steps` other versions on: who uses it, what was promoted or copied from it, and who uses that. */
export async function addDownstream(db: Db, graph: Building, start: LiveVersion, steps: number): Promise<void> {
  const ids = new Map([[keyOf(start.model_id, start.version), addLiveVersion(graph, start)]]);
  let level: LiveVersion[] = [start];
  await addUses(db, graph, ids, level);
  for (let step = 0; step < steps && level.length > 0; step++) {
    const left = MOST - ids.size;
    const derived = await listDerived(db, level, left + 1);
    if (derived.length > left) graph.truncated = true;
    level = [];
    for (const made of derived.slice(0, left)) {
      const from = ids.get(keyOf(made.from_model, made.from_version)) ?? '';
      const snapshot = made.snapshot === null ? null : (JSON.parse(made.snapshot) as Snapshot);
      const id = addLiveVersion(graph, made, snapshot?.model);
      link(graph, id, 'WAS_DERIVED_FROM', from);
      if (snapshot) link(graph, addPromotionNode(graph, id, made.scope, snapshot, made.sha256 ?? ''), 'USED', from);
      const key = keyOf(made.model_id, made.version);
      if (!ids.has(key)) level.push(made);
      ids.set(key, id);
    }
    await addUses(db, graph, ids, level);
  }
}

async function addUses(db: Db, graph: Building, ids: Map<string, string>, versions: LiveVersion[]): Promise<void> {
  const uses = await listUses(db, versions, MOST + 1);
  const runs = await listUsingRuns(db, versions, MOST + 1);
  if (uses.length > MOST || runs.length > MOST) graph.truncated = true;
  for (const { model_id, version, workspace, user_name, ...counts } of uses.slice(0, MOST)) {
    const id = ids.get(keyOf(model_id, version)) ?? '';
    const consumer = user_name === '' ? addWorkspace(graph, workspace, counts.last_time) : addUser(graph, user_name);
    link(graph, consumer, 'USED', id, counts);
    if (user_name !== '') link(graph, consumer, 'PART_OF', addWorkspace(graph, workspace, counts.last_time));
  }
  for (const { model_id, version, workspace, run_id, name, status, start_time, end_time, experiment_id } of runs.slice(0, MOST)) {
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
