import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { int64 } from '../../platform/fields.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import { SCOPE_PATHS, scopeInPath, scopeOfPath } from '../asset-scope.ts';
import { aliasStateInPath } from '../audited-states.ts';
import { canOnVersionInPath } from '../permissions.ts';
import { aliasName, modelName } from '../registered-models/entity.ts';
import { type AliasMoveRow, getAliasAsOf, getAliasHistory, rollBackAlias } from './store.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;

const aliasInPath = { ...scopeInPath, name: modelName, alias: aliasName };
const AliasMove = z.object({
  from_version: z.string().optional(),
  to_version: z.string().optional(),
  moved_by: z.string(),
  moved_timestamp: z.int(),
});

const toAliasMove = ({ from_version, to_version, moved_by, moved_timestamp }: AliasMoveRow): z.infer<typeof AliasMove> => ({
  ...(from_version !== null && { from_version: String(from_version) }),
  ...(to_version !== null && { to_version: String(to_version) }),
  moved_by,
  moved_timestamp,
});

const aliasEndpointsBelow = (scopePath: (typeof SCOPE_PATHS)[number]) => [
  endpoint({
    op: 'alias.get',
    summary: 'The version an alias points to, or pointed to at a time (as_of, epoch ms)',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/aliases/:alias`,
    effect: 'read',
    input: z.object({ ...aliasInPath, as_of: int64.optional() }),
    output: z.object({ name: z.string(), alias: z.string(), version: z.string(), moved_by: z.string(), moved_timestamp: z.int() }),
    permission: canOnVersionInPath('READ'),
    async handler({ input: { name, alias, as_of, ...path }, ...services }) {
      const { id: scope } = await scopeOfPath(services, path);
      const { to_version, moved_by, moved_timestamp } = await getAliasAsOf(services.db, { scope, name, alias }, as_of ?? null);
      return { name, alias, version: String(to_version), moved_by, moved_timestamp };
    },
  }),
  endpoint({
    op: 'alias.get_history',
    summary: 'Every move of an alias, newest first',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/aliases/:alias/history`,
    effect: 'read',
    input: z.object({ ...aliasInPath, max_results: searchLimit(MAX_RESULTS).default(DEFAULT_RESULTS), page_token: int64.optional() }),
    output: z.object({ moves: z.array(AliasMove), next_page_token: z.string().optional() }),
    permission: canOnVersionInPath('READ'),
    async handler({ input: { name, alias, max_results, page_token, ...path }, ...services }) {
      const { id: scope } = await scopeOfPath(services, path);
      const rows = await getAliasHistory(services.db, { scope, name, alias }, page_token ?? null, max_results + 1);
      const page = rows.slice(0, max_results);
      return { moves: page.map(toAliasMove), ...(rows.length > page.length && { next_page_token: String(page.at(-1)?.id) }) };
    },
  }),
  endpoint({
    op: 'alias.roll_back',
    summary: 'Point an alias to the version it pointed to before',
    method: 'POST',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/aliases/:alias\\:rollback`,
    effect: 'write',
    input: z.object(aliasInPath),
    output: z.object({ name: z.string(), alias: z.string(), from_version: z.string(), version: z.string() }),
    permission: canOnVersionInPath('EDIT'),
    state: aliasStateInPath,
    async handler({ input: { name, alias, ...path }, ...services }) {
      const { id: scope } = await scopeOfPath(services, path);
      const { from_version, to_version } = await rollBackAlias(services.db, { scope, name, alias });
      return { name, alias, from_version: String(from_version), version: String(to_version) };
    },
  }),
];

export const aliasEndpoints = SCOPE_PATHS.flatMap(aliasEndpointsBelow);
