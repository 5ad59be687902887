import { z } from 'zod';

const Point = z.object({
  key: z.string(),
  value: z.union([z.number(), z.string()]),
  step: z.number().optional(),
  dataset_name: z.string().optional(),
  dataset_digest: z.string().optional(),
});
const texts = z.record(z.string(), z.string());

/**
 * What every node has. `id` is the path of the thing below /api/1.0; `live`: it is there now, and not only in what was kept of it.
 * All may see everything as long as there is no login.
 */
const node = { id: z.string(), name: z.string(), live: z.boolean(), visibility: z.literal('FULL') };

/** A thing in the life of a model. Times are epoch ms; what is not known is absent. */
export const LineageNode = z.discriminatedUnion('type', [
  z.object({
    ...node,
    type: z.literal('MODEL_VERSION'),
    /** The one of these that it is in. */
    workspace: z.string().optional(),
    registry: z.string().optional(),
    version: z.string(),
    digest: z.string().optional(),
    creation_timestamp: z.int().optional(),
    aliases: z.array(z.string()).optional(),
    signature: z.unknown().optional(),
    flavors: z.array(z.string()).optional(),
    environment: z.unknown().optional(),
    /** `<scope>.<name>` when it was promoted, if that has changed. */
    promoted_as: z.string().optional(),
  }),
  z.object({
    ...node,
    type: z.literal('PROMOTION'),
    promotion_id: z.string(),
    registry: z.string(),
    creation_timestamp: z.int(),
    requested_by: z.string(),
    reason: z.string(),
    /** Of the snapshot that the promotion kept. */
    sha256: z.string(),
    /** By which the source was named. */
    alias: z.string().optional(),
  }),
  z.object({
    ...node,
    type: z.literal('RUN'),
    workspace: z.string(),
    run_id: z.string(),
    experiment_id: z.string().optional(),
    status: z.string().optional(),
    start_time: z.number().optional(),
    end_time: z.number().optional(),
    params: texts.optional(),
    metrics: z.array(Point).optional(),
    code: texts.optional(),
  }),
  z.object({ ...node, type: z.literal('EXPERIMENT'), workspace: z.string(), experiment_id: z.string() }),
  z.object({
    ...node,
    type: z.literal('LOGGED_MODEL'),
    workspace: z.string(),
    model_id: z.string(),
    params: texts.optional(),
    metrics: z.array(Point).optional(),
  }),
  z.object({
    ...node,
    type: z.literal('DATASET'),
    workspace: z.string(),
    digest: z.string(),
    source_type: z.string(),
    source: z.string(),
    schema: z.string().optional(),
  }),
  z.object({ ...node, type: z.literal('WORKSPACE') }),
  z.object({ ...node, type: z.literal('USER') }),
]);
export type LineageNode = z.infer<typeof LineageNode>;
export type NodeOf<Type extends LineageNode['type']> = Extract<LineageNode, { type: Type }>;

/** Reads as a sentence, as in PROV: `from` WAS_DERIVED_FROM `to`. */
export const LineageEdge = z.object({
  from: z.string(),
  to: z.string(),
  relation: z.enum(['WAS_DERIVED_FROM', 'WAS_GENERATED_BY', 'USED', 'WAS_INFORMED_BY', 'WAS_ASSOCIATED_WITH', 'PART_OF']),
  /** Of a data set: what the run used it for. */
  context: z.string().optional(),
  /** Of a workspace or user that uses a version: since when, until when (epoch ms), and how often. */
  first_time: z.int().optional(),
  last_time: z.int().optional(),
  resolve_count: z.int().optional(),
  download_count: z.int().optional(),
});
export type LineageEdge = z.infer<typeof LineageEdge>;

export const LineageGraph = z.object({
  /** The id of the version that was asked for. */
  start: z.string(),
  nodes: z.array(LineageNode),
  edges: z.array(LineageEdge),
  /** True when there is more than an answer holds. */
  truncated: z.boolean().optional(),
});
export type LineageGraph = z.infer<typeof LineageGraph>;
