import { z } from 'zod';
import { canInNamedScope } from '../../access/can.ts';
import { endpoint, type Services } from '../../endpoint.ts';
import { ifThere } from '../../platform/errors.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import { forgetScope, getNamedScope } from '../store.ts';
import { newRegistryName, Registry, registryName, registryTags, registryText, toRegistry, visibility } from './entity.ts';
import { deleteRegistry, getRegistry, insertRegistry, listRegistries, updateRegistry } from './store.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;
const key = { registry: registryName };

const managed = canInNamedScope('MANAGE', (context: Services & { input: { registry: string } }) =>
  getNamedScope(context, context.input.registry, 'registry'),
);

/** The settings of a registry, for the audit. */
async function registryState({ db, input }: Services & { input: { registry?: string; name?: string } }): Promise<unknown> {
  const found = await ifThere(getRegistry(db, input.registry ?? input.name ?? ''));
  if (found === null) return null;
  const { display_name, description, tags, visibility, owner } = found;
  return { display_name, description, tags, visibility, owner };
}

const list = endpoint({
  op: 'registry.list',
  summary: 'List the registries, page by page',
  method: 'GET',
  apiVersion: '1.0',
  path: '/registries',
  effect: 'read',
  scoped: false,
  input: z.object({ max_results: searchLimit(MAX_RESULTS).default(DEFAULT_RESULTS), page_token: z.string().default('') }),
  output: z.object({ registries: z.array(Registry), next_page_token: z.string().optional() }),
  permission: 'authenticated',
  async handler({ db, links, caller, input }) {
    const rows = await listRegistries(db, caller, Buffer.from(input.page_token, 'base64url').toString(), input.max_results + 1);
    const page = rows.slice(0, input.max_results);
    return {
      registries: page.map((row) => toRegistry(row, links.base)),
      ...(rows.length > page.length && { next_page_token: Buffer.from(page.at(-1)?.name ?? '').toString('base64url') }),
    };
  },
});

const create = endpoint({
  op: 'registry.create',
  summary: 'Make a registry: a shared home of models, beside the workspaces',
  method: 'POST',
  apiVersion: '1.0',
  path: '/registries',
  effect: 'write',
  scoped: false,
  status: 201,
  input: z.object({
    name: newRegistryName,
    display_name: registryText.default(''),
    description: registryText.default(''),
    tags: registryTags.default({}),
    visibility: visibility.default('ORGANIZATION'),
    owner: registryText.default(''),
    force: z.boolean().default(false),
  }),
  output: Registry,
  permission: 'admin',
  state: registryState,
  async handler({ db, links, onceKept, input: { name, force, ...settings } }) {
    const row = await insertRegistry(db, name, settings, force);
    await onceKept((db) => forgetScope(db, name));
    return toRegistry(row, links.base);
  },
});

const get = endpoint({
  op: 'registry.get',
  summary: 'Get a registry, with the address stock clients take as MLFLOW_REGISTRY_URI',
  method: 'GET',
  apiVersion: '1.0',
  path: '/registries/:registry',
  effect: 'read',
  scoped: false,
  input: z.object(key),
  output: Registry,
  permission: 'authenticated',
  async handler({ links, input, ...services }) {
    await getNamedScope(services, input.registry, 'registry');
    return toRegistry(await getRegistry(services.db, input.registry), links.base);
  },
});

const update = endpoint({
  op: 'registry.update',
  summary: 'Change what is given of a registry',
  method: 'PATCH',
  apiVersion: '1.0',
  path: '/registries/:registry',
  effect: 'write',
  scoped: false,
  input: z.object({
    ...key,
    display_name: registryText.nullable().default(null),
    description: registryText.nullable().default(null),
    tags: registryTags.nullable().default(null),
    visibility: visibility.nullable().default(null),
    owner: registryText.nullable().default(null),
  }),
  output: Registry,
  permission: managed,
  state: registryState,
  async handler({ db, links, onceKept, input: { registry, ...settings } }) {
    const row = await updateRegistry(db, registry, settings);
    await onceKept((db) => forgetScope(db, registry));
    return toRegistry(row, links.base);
  },
});

const remove = endpoint({
  op: 'registry.delete',
  summary: 'Remove an empty registry',
  method: 'DELETE',
  apiVersion: '1.0',
  path: '/registries/:registry',
  effect: 'write',
  scoped: false,
  input: z.object(key),
  output: z.object({}),
  permission: managed,
  state: registryState,
  async handler({ db, onceKept, input }) {
    await deleteRegistry(db, input.registry);
    await onceKept((db) => forgetScope(db, input.registry));
    return {};
  },
});

export const registryEndpoints = [list, create, get, update, remove];
