import { z } from 'zod';
import { canInNamedScope } from '../../access/can.ts';
import { endpoint, type Services } from '../../endpoint.ts';
import type { Db } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import type { Scope } from '../../scopes/entity.ts';
import { registryName } from '../../scopes/registries/entity.ts';
import { findScope, getNamedScope } from '../../scopes/store.ts';
import { scopeOfPath } from '../asset-scope.ts';
import { mayReadVersions } from '../permissions.ts';
import { modelName, newModelName } from '../registered-models/entity.ts';
import { aliasMap, ShownMount, toShownMount } from './entity.ts';
import { deleteMount, forgetMounts, getMount, listMounts, modelNotFound, setMount } from './store.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;
const key = { workspace: z.string(), local_name: modelName };
const workspaceOf = (context: Services & { input: { workspace: string } }) => scopeOfPath(context, { workspace: context.input.workspace });

const list = endpoint({
  op: 'mount.list',
  summary: "List a workspace's mounts by name, page by page",
  method: 'GET',
  apiVersion: '1.0',
  path: '/workspaces/:workspace/mounts',
  effect: 'read',
  input: z.object({
    workspace: z.string(),
    max_results: searchLimit(MAX_RESULTS).default(DEFAULT_RESULTS),
    page_token: z.string().default(''),
  }),
  output: z.object({ mounts: z.array(ShownMount), next_page_token: z.string().optional() }),
  permission: 'authenticated',
  async handler({ input, ...services }) {
    const { db } = services;
    const workspace = await scopeOfPath(services, { workspace: input.workspace });
    const after = Buffer.from(input.page_token, 'base64url').toString();
    const rows = await listMounts(db, workspace, after, input.max_results + 1);
    const page = rows.slice(0, input.max_results);
    return {
      mounts: page.map((row) => toShownMount(row, workspace.name)),
      ...(rows.length > page.length && { next_page_token: Buffer.from(page.at(-1)?.local_name ?? '').toString('base64url') }),
    };
  },
});

const get = endpoint({
  op: 'mount.get',
  summary: 'Get a mount',
  method: 'GET',
  apiVersion: '1.0',
  path: '/workspaces/:workspace/mounts/:local_name',
  effect: 'read',
  input: z.object(key),
  output: ShownMount,
  permission: 'authenticated',
  async handler({ input, ...services }) {
    const { db } = services;
    const workspace = await scopeOfPath(services, { workspace: input.workspace });
    return toShownMount(await getMount(db, workspace, input.local_name), workspace.name);
  },
});

const set = endpoint({
  op: 'mount.set',
  summary: "Let a name of a workspace mean a registry's model, for reading",
  method: 'PUT',
  apiVersion: '1.0',
  path: '/workspaces/:workspace/mounts/:local_name',
  effect: 'write',
  input: z.object({
    workspace: z.string(),
    local_name: newModelName('local_name'),
    registry: registryName,
    name: modelName,
    alias_map: aliasMap.default({}),
  }),
  output: ShownMount,
  permission: canInNamedScope('MANAGE', workspaceOf),
  async handler({ input, ...services }) {
    const { db } = services;
    const workspace = await scopeOfPath(services, { workspace: input.workspace });
    await refuseDottedName(db, input.local_name);
    const registry = await registryOf(services, input.registry);
    if (!(await mayReadVersions(services, registry, input.name))) throw modelNotFound(registry, input.name);
    const row = await setMount(db, workspace, input.local_name, { registry, name: input.name, aliasMap: input.alias_map });
    await services.onceKept(forgetMounts);
    return toShownMount(row, workspace.name);
  },
});

const remove = endpoint({
  op: 'mount.delete',
  summary: 'Remove a mount; the model it means stays as it is',
  method: 'DELETE',
  apiVersion: '1.0',
  path: '/workspaces/:workspace/mounts/:local_name',
  effect: 'write',
  input: z.object(key),
  output: z.object({}),
  permission: canInNamedScope('MANAGE', workspaceOf),
  async handler({ input, ...services }) {
    await deleteMount(services.db, await scopeOfPath(services, { workspace: input.workspace }), input.local_name);
    await services.onceKept(forgetMounts);
    return {};
  },
});

/** `<registry>.<model>` means that model everywhere, so nobody would ever reach a mount of such a name. */
async function refuseDottedName(db: Db, name: string): Promise<void> {
  const dot = name.indexOf('.');
  const first = dot > 0 ? await findScope(db, name.slice(0, dot)) : null;
  if (first?.kind !== 'registry') return;
  throw invalidParameter(
    `'${name}' means a model of registry '${first.name}' everywhere: give the mount a name that does not begin with '${first.name}.'.`,
  );
}

/** Only what a registry has is mounted, and registries have no mounts: so no mount leads to another, nor back to itself. */
async function registryOf(services: Services, name: string): Promise<Scope> {
  if ((await findScope(services.db, name))?.kind !== 'workspace') return getNamedScope(services, name, 'registry');
  throw invalidParameter(
    `'${name}' is a workspace, and a mount means a model of a registry: promote the model first (POST /api/1.0/promotions).`,
  );
}

export const mountEndpoints = [list, get, set, remove];
