import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import { SCOPE_PATHS, scopeInPath, scopeOfPath } from '../asset-scope.ts';
import { versionNumber } from '../model-versions/entity.ts';
import { canOnVersionInPath } from '../permissions.ts';
import { modelName } from '../registered-models/entity.ts';
import { listConsumers } from './store.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;

/** Times are epoch ms; `client` is what it says of itself (User-Agent), `aliases` those it has asked by. */
const Consumer = z.object({
  workspace: z.string(),
  user: z.string(),
  client: z.string(),
  aliases: z.array(z.string()),
  first_time: z.int(),
  last_time: z.int(),
  resolve_count: z.int(),
  download_count: z.int(),
});

const consumersEndpointBelow = (scopePath: (typeof SCOPE_PATHS)[number]) =>
  endpoint({
    op: 'model_version.list_consumers',
    summary: 'Who resolves and downloads a version of a registry, the last first; a few seconds behind',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version/consumers`,
    effect: 'read',
    input: z.object({
      ...scopeInPath,
      name: modelName,
      version: versionNumber,
      max_results: searchLimit(MAX_RESULTS).default(DEFAULT_RESULTS),
      page_token: z.string().optional(),
    }),
    output: z.object({ consumers: z.array(Consumer), next_page_token: z.string().optional() }),
    permission: canOnVersionInPath('EDIT'),
    async handler({ input: { name, version, max_results, page_token, ...path }, ...services }) {
      const { id: scope } = await scopeOfPath(services, path);
      const { rows, nextPageToken } = await listConsumers(
        services.db,
        { scope, name, version },
        { limit: max_results, pageToken: page_token },
      );
      return {
        consumers: rows.map(({ user_name: user, workspace, client, aliases, first_time, last_time, resolve_count, download_count }) => ({
          workspace,
          user,
          client,
          aliases,
          first_time,
          last_time,
          resolve_count,
          download_count,
        })),
        ...(nextPageToken && { next_page_token: nextPageToken }),
      };
    },
  });

export const consumerEndpoints = SCOPE_PATHS.map(consumersEndpointBelow);
