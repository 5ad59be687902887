import type { Services } from '../../endpoint.ts';
import type { VersionKey } from '../model-versions/store.ts';
import { finishGraph, idsOf, newGraph } from './build.ts';
import { addDownstream } from './downstream.ts';
import type { LineageGraph } from './entity.ts';
import { findLive, getLiveVersion } from './store.ts';
import { addLiveVersion, addUpstream } from './upstream.ts';

export type LineageRequest = { direction: 'UPSTREAM' | 'DOWNSTREAM' | 'BOTH'; depth: number };

/**
 * The life of a version: what it came from, from the snapshots that promotions kept, and what became of it, from what is there now. `depth` counts
 * the steps from one version to another. Throws RESOURCE_DOES_NOT_EXIST.
 */
export async function readLineage(
  services: Pick<Services, 'db' | 'blobs' | 'caller'>,
  key: VersionKey,
  { direction, depth }: LineageRequest,
): Promise<LineageGraph> {
  const { db } = services;
  const version = await getLiveVersion(db, key);
  const graph = newGraph();
  if (direction !== 'DOWNSTREAM') await addUpstream(services, graph, version, depth);
  if (direction !== 'UPSTREAM') await addDownstream(services, graph, version, depth);
  return finishGraph(graph, addLiveVersion(graph, version), await findLive(db, idsOf(graph)));
}
