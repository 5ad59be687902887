import type { LineageEdge, LineageGraph, LineageNode, NodeOf } from './entity.ts';
import { isoTime } from './iso-time.ts';

type Value = string | number | boolean | { $: string; type: string };
type Attributes = Record<string, Value>;
type Records = Record<string, Attributes>;

/** A document of W3C PROV-JSON (https://www.w3.org/submissions/prov-json/). */
export type ProvJson = { prefix: Record<string, string> } & { [Record in ProvRecord]?: Records };
type ProvRecord =
  | 'entity'
  | 'activity'
  | 'agent'
  | 'wasGeneratedBy'
  | 'used'
  | 'wasDerivedFrom'
  | 'wasInformedBy'
  | 'wasAssociatedWith'
  | 'wasAttributedTo'
  | 'alternateOf'
  | 'specializationOf';

const qualified = (name: string): Value => ({ $: name, type: 'prov:QUALIFIED_NAME' });

// What a local name may not hold as it is (PROV-N, PN_LOCAL).
const local = (text: string) => text.replace(/[^\w/.%~@-]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
const thing = (id: string) => `api:${local(id)}`;
const keyed = (prefix: string, key: string) => `${prefix}:${local(encodeURIComponent(key))}`;

/**
 * A graph as PROV-JSON. Versions, logged models and data sets are entities, runs and promotions activities, users and workspaces agents; a
 * workspace that uses a version does so by an activity of its own. A copy is an alternate of its source, and both are specializations of their
 * content. `base`: the server's address.
 */
export function toProvJson({ nodes, edges }: LineageGraph, base: string): ProvJson {
  const found = new Map(nodes.map((node) => [node.id, node]));
  const records: { [Record in ProvRecord]?: Records } = {};
  const put = (record: ProvRecord, id: string, attributes: Attributes) => {
    records[record] ??= {};
    records[record][id] = attributes;
  };
  let relations = 0;
  const relate = (record: ProvRecord, attributes: Attributes) => put(record, `_:r${++relations}`, attributes);
  for (const node of nodes) {
    const record = recordOf(node);
    if (record) put(record, thing(node.id), attributesOf(node, edges, found));
    if (node.type !== 'MODEL_VERSION' || node.digest === undefined) continue;
    const content = keyed('sha256', node.digest);
    put('entity', content, { 'prov:type': qualified('terms:Content') });
    relate('specializationOf', { 'prov:specificEntity': thing(node.id), 'prov:generalEntity': content });
  }
  for (const edge of edges) {
    const [from, to] = [found.get(edge.from), found.get(edge.to)];
    if (from && to) addRelation(edge, from, to, { put, relate });
  }
  addPrimarySources(edges, found, relate);
  const prefix = { api: `${base}/api/1.0/`, ...PREFIXES };
  return { prefix, ...records };
}

const PREFIXES = {
  terms: 'urn:model-commons:terms:',
  param: 'urn:model-commons:param:',
  metric: 'urn:model-commons:metric:',
  sha256: 'urn:model-commons:sha256:',
};

function recordOf({ type }: LineageNode): 'entity' | 'activity' | 'agent' | null {
  if (type === 'MODEL_VERSION' || type === 'LOGGED_MODEL' || type === 'DATASET') return 'entity';
  if (type === 'RUN' || type === 'PROMOTION') return 'activity';
  // An experiment is told with its runs.
  return type === 'EXPERIMENT' ? null : 'agent';
}

const PROV_TYPES = {
  MODEL_VERSION: 'terms:ModelVersion',
  LOGGED_MODEL: 'terms:LoggedModel',
  DATASET: 'terms:Dataset',
  RUN: 'terms:Run',
  PROMOTION: 'terms:Promotion',
  EXPERIMENT: 'terms:Experiment',
  WORKSPACE: 'prov:Organization',
  USER: 'prov:Person',
};

function attributesOf(node: LineageNode, edges: LineageEdge[], found: Map<string, LineageNode>): Attributes {
  const attributes: Attributes = {
    'prov:type': qualified(PROV_TYPES[node.type]),
    'prov:label': labelOf(node),
    'terms:live': node.live,
  };
  const { start, end } = timesOf(node);
  if (start !== undefined) attributes['prov:startTime'] = isoTime(start);
  if (end !== undefined) attributes['prov:endTime'] = isoTime(end);
  for (const [key, value] of Object.entries(node)) {
    if (SAID_OTHERWISE.has(key) || value === undefined) continue;
    attributes[`terms:${key}`] = typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value);
  }
  if ('params' in node) for (const [key, value] of Object.entries(node.params ?? {})) attributes[keyed('param', key)] = value;
  if ('metrics' in node) for (const { key, value } of node.metrics ?? []) attributes[keyed('metric', key)] = value;
  const experiment = edges.find(({ from, to }) => from === node.id && found.get(to)?.type === 'EXPERIMENT');
  if (experiment) attributes['terms:experiment_name'] = found.get(experiment.to)?.name ?? '';
  return attributes;
}

const SAID_OTHERWISE = new Set(['id', 'type', 'live', 'visibility', 'params', 'metrics', 'start_time', 'end_time']);

function timesOf(node: LineageNode): { start?: number | undefined; end?: number | undefined } {
  if (node.type === 'RUN') return { start: node.start_time, end: node.end_time };
  return node.type === 'PROMOTION' ? { start: node.creation_timestamp, end: node.creation_timestamp } : {};
}

function labelOf(node: LineageNode): string {
  return node.type === 'MODEL_VERSION' ? `${node.registry ?? node.workspace}.${node.name}/${node.version}` : node.name;
}

type Writer = {
  put(record: ProvRecord, id: string, attributes: Attributes): void;
  relate(record: ProvRecord, attributes: Attributes): void;
};

function addRelation(edge: LineageEdge, from: LineageNode, to: LineageNode, { put, relate }: Writer): void {
  const [subject, object] = [thing(from.id), thing(to.id)];
  const { relation } = edge;
  if (relation === 'WAS_DERIVED_FROM') {
    const isSame = from.type === 'MODEL_VERSION' && to.type === 'MODEL_VERSION' && from.digest !== undefined && from.digest === to.digest;
    relate('wasDerivedFrom', { 'prov:generatedEntity': subject, 'prov:usedEntity': object });
    if (isSame) relate('alternateOf', { 'prov:alternate1': subject, 'prov:alternate2': object });
  } else if (relation === 'WAS_GENERATED_BY') {
    const made = timesOf(to).end;
    relate('wasGeneratedBy', {
      'prov:entity': subject,
      'prov:activity': object,
      ...(made !== undefined && { 'prov:time': isoTime(made) }),
    });
  } else if (relation === 'USED' && recordOf(from) === 'activity') {
    const role = edge.context !== undefined && { 'prov:role': edge.context };
    relate('used', { 'prov:activity': subject, 'prov:entity': object, ...role });
  } else if (relation === 'USED') {
    const { first_time = 0, last_time = 0, resolve_count = 0, download_count = 0 } = edge;
    const use = thing(`${to.id}/consumers/${from.id}`);
    put('activity', use, {
      'prov:type': qualified('terms:Use'),
      'prov:startTime': isoTime(first_time),
      'prov:endTime': isoTime(last_time),
      'terms:resolve_count': resolve_count,
      'terms:download_count': download_count,
    });
    relate('used', { 'prov:activity': use, 'prov:entity': object });
    relate('wasAssociatedWith', { 'prov:activity': use, 'prov:agent': subject });
  } else if (relation === 'WAS_INFORMED_BY') {
    relate('wasInformedBy', { 'prov:informed': subject, 'prov:informant': object });
  } else if (relation === 'WAS_ASSOCIATED_WITH') {
    relate('wasAssociatedWith', { 'prov:activity': subject, 'prov:agent': object });
  } else if (recordOf(from) === 'entity' && recordOf(to) === 'agent') {
    relate('wasAttributedTo', { 'prov:entity': subject, 'prov:agent': object });
  }
}

/** The first version of all of those that a version was made of is its primary source. */
function addPrimarySources(edges: LineageEdge[], found: Map<string, LineageNode>, relate: Writer['relate']): void {
  const sources = new Map<string, NodeOf<'MODEL_VERSION'>>();
  for (const { from, to, relation } of edges) {
    const source = found.get(to);
    if (relation === 'WAS_DERIVED_FROM' && found.get(from)?.type === 'MODEL_VERSION' && source?.type === 'MODEL_VERSION')
      sources.set(from, source);
  }
  for (const [id, source] of sources) {
    let first = source;
    for (let next = sources.get(first.id); next; next = sources.get(first.id)) first = next;
    relate('wasDerivedFrom', {
      'prov:generatedEntity': thing(id),
      'prov:usedEntity': thing(first.id),
      'prov:type': qualified('prov:PrimarySource'),
    });
  }
}
