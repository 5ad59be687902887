import type { LineageEdge, LineageGraph, LineageNode, NodeOf } from './entity.ts';
import { isoTime } from './iso-time.ts';

const SPEC = 'https://openlineage.io/spec';
const CORE = `${SPEC}/2-0-2/OpenLineage.json#/$defs`;
const facetSchema = (name: string, version: string) => `${SPEC}/facets/${version}/${name}.json#/$defs/${name}`;

type Facet = { _producer: string; _schemaURL: string; [key: string]: unknown };
type Dataset = { namespace: string; name: string; facets: Record<string, Facet> };

/** An event of OpenLineage (https://openlineage.io/spec/2-0-2/OpenLineage.json). */
export type RunEvent = {
  eventType: string;
  eventTime: string;
  producer: string;
  schemaURL: string;
  run: { runId: string; facets: Record<string, Facet> };
  job: { namespace: string; name: string; facets: Record<string, Facet> };
  inputs: Dataset[];
  outputs: Dataset[];
};

const EVENT_TYPES: Record<string, string> = {
  FINISHED: 'COMPLETE',
  FAILED: 'FAIL',
  KILLED: 'ABORT',
  RUNNING: 'RUNNING',
  SCHEDULED: 'START',
};

/**
 * A graph as events of OpenLineage, in the order of time: one of job `promote` for each promotion, one of a job named as its experiment for each
 * run. Versions, logged models and data sets are their data sets; what OpenLineage has no facet for is in facets that begin with `modelCommons_`.
 * `base`: the server's address.
 */
export function toRunEvents({ nodes, edges }: LineageGraph, base: string): RunEvent[] {
  const found = new Map(nodes.map((node) => [node.id, node]));
  const write = facetsBy(base);
  const nodesOf = (ids: string[]) => ids.flatMap((id) => found.get(id) ?? []);
  const after = (id: string, relation: LineageEdge['relation']) =>
    nodesOf(edges.filter((edge) => edge.from === id && edge.relation === relation).map(({ to }) => to));
  const before = (id: string, relation: LineageEdge['relation']) =>
    nodesOf(edges.filter((edge) => edge.to === id && edge.relation === relation).map(({ from }) => from));
  const events: RunEvent[] = [];
  for (const node of nodes) {
    if (node.type !== 'PROMOTION' && node.type !== 'RUN') continue;
    const uuid = uuidOf(node.type === 'RUN' ? node.run_id : node.promotion_id);
    // Ids of runs that came from elsewhere may be anything.
    if (uuid === null) continue;
    const made = before(node.id, 'WAS_GENERATED_BY');
    // To register a model is no job of its own: the version is of the run.
    const registered = made.flatMap(({ id, type }) =>
      type === 'LOGGED_MODEL' ? before(id, 'WAS_DERIVED_FROM').filter(isOfWorkspace) : [],
    );
    // Of a run that made nothing but the files of a promotion, that is what it made.
    const promoted = before(node.id, 'WAS_INFORMED_BY').flatMap(({ id, type }) =>
      type === 'PROMOTION' ? before(id, 'WAS_GENERATED_BY') : [],
    );
    const parent = after(node.id, 'WAS_INFORMED_BY').find(({ type }) => type === 'RUN');
    events.push({
      ...(node.type === 'PROMOTION'
        ? write.promotion(node)
        : write.run(node, after(node.id, 'PART_OF'), parent?.type === 'RUN' ? parent : null)),
      inputs: after(node.id, 'USED').flatMap(write.dataset),
      outputs: [...(made.length > 0 ? made : promoted), ...registered].flatMap(write.dataset),
    });
  }
  return events.toSorted((a, b) => (a.eventTime < b.eventTime ? -1 : 1));
}

const isOfWorkspace = (node: LineageNode) => node.type === 'MODEL_VERSION' && node.workspace !== undefined;

/** A run's 32 hex digits as a UUID; null for an id that is none. */
function uuidOf(id: string): string | null {
  const [, ...parts] = /^([\da-f]{8})-?([\da-f]{4})-?([\da-f]{4})-?([\da-f]{4})-?([\da-f]{12})$/i.exec(id) ?? [];
  return parts.length === 0 ? null : parts.join('-');
}

function facetsBy(base: string) {
  const host = base.replace(/^https?/, 'mlflow');
  const facet = (schema: string, content: object): Facet => ({ _producer: base, _schemaURL: schema, ...content });
  const datasetFacet = (content: object) => facet(`${CORE}/DatasetFacet`, content);
  const version = (datasetVersion: string) => facet(facetSchema('DatasetVersionDatasetFacet', '1-0-1'), { datasetVersion });
  const schema = (fields: Field[]) => (fields.length > 0 ? { schema: facet(facetSchema('SchemaDatasetFacet', '1-2-0'), { fields }) } : {});
  const workspace = (name: string) => `${host}/workspaces/${name}`;
  const jobOfRun = (node: NodeOf<'RUN'>, experiment: string) => ({ namespace: workspace(node.workspace), name: experiment });
  const event = (eventType: string, ms: number) => ({
    eventType,
    eventTime: isoTime(ms),
    producer: base,
    schemaURL: `${CORE}/RunEvent`,
  });

  return {
    promotion(node: NodeOf<'PROMOTION'>) {
      const { promotion_id: runId, registry, requested_by, reason, sha256, creation_timestamp } = node;
      const facets = { modelCommons_promotion: facet(`${CORE}/RunFacet`, { requested_by, reason, snapshot_sha256: sha256 }) };
      return {
        ...event('COMPLETE', creation_timestamp),
        run: { runId, facets },
        job: { namespace: `${host}/registries/${registry}`, name: 'promote', facets: {} },
      };
    },

    run(node: NodeOf<'RUN'>, parts: LineageNode[], parent: NodeOf<'RUN'> | null) {
      const { run_id, status = '', start_time = 0, end_time, params, metrics, code = {} } = node;
      const experiment = parts.find(({ type }) => type === 'EXPERIMENT')?.name ?? node.experiment_id ?? 'unknown';
      const parentId = parent && uuidOf(parent.run_id);
      const repository = code.git_repo_url;
      const location = repository && {
        type: 'git',
        url: repository,
        repoUrl: repository,
        ...(code.name && { path: code.name }),
        ...(code.git_commit && { version: code.git_commit }),
        ...(code.git_branch && { branch: code.git_branch }),
      };
      return {
        ...event(EVENT_TYPES[status] ?? 'OTHER', end_time ?? start_time),
        run: {
          runId: uuidOf(run_id) ?? run_id,
          facets: {
            modelCommons_run: facet(`${CORE}/RunFacet`, { run_id, name: node.name, status, params, metrics, code }),
            ...(parentId && {
              parent: facet(facetSchema('ParentRunFacet', '1-2-0'), { run: { runId: parentId }, job: jobOfRun(node, experiment) }),
            }),
          },
        },
        job: {
          ...jobOfRun(node, experiment),
          facets: { ...(location && { sourceCodeLocation: facet(facetSchema('SourceCodeLocationJobFacet', '1-1-0'), location) }) },
        },
      };
    },

    dataset(node: LineageNode): Dataset[] {
      if (node.type === 'MODEL_VERSION') {
        const { registry, digest, environment, flavors } = node;
        return [
          {
            namespace: registry === undefined ? workspace(node.workspace ?? '') : `${host}/registries/${registry}`,
            name: node.name,
            facets: {
              version: version(node.version),
              ...schema(fieldsOfSignature(node.signature)),
              ...(digest !== undefined && { modelCommons_contentDigest: datasetFacet({ algorithm: 'sha256', digest }) }),
              ...((environment !== undefined || flavors) && { modelCommons_environment: datasetFacet({ environment, flavors }) }),
            },
          },
        ];
      }
      if (node.type === 'LOGGED_MODEL') {
        const { params, metrics } = node;
        const facets = { modelCommons_loggedModel: datasetFacet({ name: node.name, params, metrics }) };
        return [{ namespace: workspace(node.workspace), name: `logged-models/${node.model_id}`, facets }];
      }
      if (node.type !== 'DATASET') return [];
      const { source, source_type, digest } = node;
      const facets = {
        version: version(digest),
        ...schema(fieldsOfDataset(node.schema)),
        modelCommons_source: datasetFacet({ source_type, source, name: node.name }),
      };
      return [{ ...(placeOfDataset(source) ?? { namespace: workspace(node.workspace), name: node.name }), facets }];
    },
  };
}

/** Where data is in OpenLineage's naming (`s3://bucket` and the path in it), if its source says: so other producers name it too. */
function placeOfDataset(source: string): { namespace: string; name: string } | null {
  const { uri, url } = jsonObject(source);
  const [, scheme, authority, path] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]+)\/?(.+)$/i.exec(String(uri ?? url ?? '')) ?? [];
  return scheme === undefined || path === undefined ? null : { namespace: `${scheme}://${authority}`, name: path };
}

type Field = { name: string; type: string };

/** The columns of a model's input (mlflow/types/schema.py). */
function fieldsOfSignature(signature: unknown): Field[] {
  const { inputs } = (typeof signature === 'object' && signature !== null ? signature : {}) as { inputs?: unknown };
  return typeof inputs === 'string' ? columns(jsonValue(inputs)) : [];
}

/** The columns of a data set as MLflow keeps its schema: `{"mlflow_colspec": […]}`. */
const fieldsOfDataset = (schema: string | undefined): Field[] => columns(jsonObject(schema ?? '').mlflow_colspec);

function columns(list: unknown): Field[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((column: { name?: unknown; type?: unknown }, i) => {
    if (typeof column !== 'object' || column === null) return [];
    return [{ name: String(column.name ?? i), type: String(column.type ?? 'unknown') }];
  });
}

function jsonValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const jsonObject = (text: string) => (jsonValue(text) ?? {}) as Record<string, unknown>;
