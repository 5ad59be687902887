import type { LineageEdge, LineageGraph, LineageNode } from './entity.ts';
import type { Live } from './store.ts';

/** A graph that is being put together; a node or edge that comes twice is there once. */
export type Building = {
  nodes: Map<string, LineageNode>;
  edges: Map<string, LineageEdge>;
  /** When a workspace of this id was seen, in epoch ms: one that was made later is another. */
  seen: Map<string, number>;
  truncated: boolean;
};

export const newGraph = (): Building => ({ nodes: new Map(), edges: new Map(), seen: new Map(), truncated: false });

/** Adds a node unless it is there with more; gives its id. */
export function addNode(graph: Building, node: LineageNode): string {
  const known = graph.nodes.get(node.id);
  if (!known || Object.keys(node).length > Object.keys(known).length) graph.nodes.set(node.id, node);
  return node.id;
}

export function link(
  graph: Building,
  from: string,
  relation: LineageEdge['relation'],
  to: string,
  more: Omit<LineageEdge, 'from' | 'to' | 'relation'> = {},
): void {
  graph.edges.set(`${from} ${relation} ${to}`, { from, to, relation, ...more });
}

export function addWorkspace(graph: Building, name: string, time: number): string {
  const id = addNode(graph, { id: `workspaces/${name}`, type: 'WORKSPACE', name, live: false, visibility: 'FULL' });
  graph.seen.set(id, Math.min(time, graph.seen.get(id) ?? time));
  return id;
}

export const addUser = (graph: Building, name: string): string =>
  addNode(graph, { id: `users/${encodeURIComponent(name)}`, type: 'USER', name, live: true, visibility: 'FULL' });

/** What is to be asked for of a graph to know which of its nodes are live. Versions know it themselves. */
export function idsOf({ nodes }: Building) {
  const all = [...nodes.values()];
  return {
    runs: all.flatMap((node) => (node.type === 'RUN' ? [node.run_id] : [])),
    experiments: all.flatMap((node) => (node.type === 'EXPERIMENT' ? [node.experiment_id] : [])),
    logged_models: all.flatMap((node) => (node.type === 'LOGGED_MODEL' ? [node.model_id] : [])),
    promotions: all.flatMap((node) => (node.type === 'PROMOTION' ? [node.promotion_id] : [])),
    workspaces: all.flatMap((node) => (node.type === 'WORKSPACE' ? [node.name] : [])),
  };
}

export function finishGraph({ nodes, edges, seen, truncated }: Building, start: string, live: Live): LineageGraph {
  return {
    start,
    nodes: [...nodes.values()].map((node) => ({ ...node, live: isLive(node, live, seen) })),
    edges: [...edges.values()],
    ...(truncated && { truncated }),
  };
}

function isLive(node: LineageNode, live: Live, seen: Building['seen']): boolean {
  switch (node.type) {
    case 'RUN':
      return live.runs.includes(node.run_id);
    case 'EXPERIMENT':
      return live.experiments.includes(node.experiment_id);
    case 'LOGGED_MODEL':
      return live.logged_models.includes(node.model_id);
    case 'PROMOTION':
      return live.promotions.includes(node.promotion_id);
    case 'DATASET':
      return live.datasets.includes(`${node.name} ${node.digest}`);
    case 'WORKSPACE': {
      const made = live.workspaces?.[node.name];
      return made !== undefined && made <= (seen.get(node.id) ?? Number.POSITIVE_INFINITY);
    }
    default:
      return node.live;
  }
}
