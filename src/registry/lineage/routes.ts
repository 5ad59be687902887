import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { int64 } from '../../platform/fields.ts';
import { SCOPE_PATHS, scopeInPath, scopeOfPath } from '../asset-scope.ts';
import { versionNumber } from '../model-versions/entity.ts';
import { canOnVersionInPath } from '../permissions.ts';
import { modelName } from '../registered-models/entity.ts';
import { LineageGraph } from './entity.ts';
import { toRunEvents } from './openlineage.ts';
import { toProvJson } from './prov-json.ts';
import { readLineage } from './read-lineage.ts';

const DEFAULT_DEPTH = 3;
const MAX_DEPTH = 10;

const DIRECTIONS = ['UPSTREAM', 'DOWNSTREAM', 'BOTH'] as const;
const FORMATS = ['graph', 'prov-json', 'openlineage'] as const;

/** One of a few words in a query. */
const oneOf = <const Words extends readonly [string, ...string[]]>(name: string, words: Words) =>
  z.string().transform((text, context): Words[number] => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    context.issues.push({ code: 'custom', message: `Invalid ${name} '${text}': it must be one of ${words.join(', ')}.`, input: text });
    return z.NEVER;
  });

const wrongDepth = `Invalid depth: it must be a whole number from 1 to ${MAX_DEPTH}, the steps from one version to another.`;

const lineageEndpointBelow = (scopePath: (typeof SCOPE_PATHS)[number]) =>
  endpoint({
    op: 'model_version.get_lineage',
    summary: 'What a version came from and what became of it, as a graph, as W3C PROV-JSON or as events of OpenLineage',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version/lineage`,
    effect: 'read',
    input: z.object({
      ...scopeInPath,
      name: modelName,
      version: versionNumber,
      direction: oneOf('direction', DIRECTIONS).default('BOTH'),
      format: oneOf('format', FORMATS).default('graph'),
      depth: int64
        .pipe(z.number().refine((depth) => Number.isInteger(depth) && depth >= 1 && depth <= MAX_DEPTH, wrongDepth))
        .default(DEFAULT_DEPTH),
    }),
    output: z.union([LineageGraph, z.object({ prefix: z.record(z.string(), z.string()) }), z.object({ events: z.array(z.unknown()) })]),
    permission: canOnVersionInPath('READ'),
    async handler({ input: { name, version, direction, depth, format, ...path }, ...services }) {
      const { links } = services;
      const { id: scope } = await scopeOfPath(services, path);
      const graph = await readLineage(services, { scope, name, version }, { direction, depth });
      if (format === 'prov-json') return toProvJson(graph, links.base);
      if (format === 'openlineage') return { events: toRunEvents(graph, links.base) };
      return graph;
    },
  });

export const lineageEndpoints = SCOPE_PATHS.map(lineageEndpointBelow);
