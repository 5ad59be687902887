import { z } from 'zod';
import { getJson, sendJson } from '../client/mlflow-server.ts';
import { ConfigError } from '../config.ts';
import { readAssetFields, tags, text } from './asset-file.ts';
import { type Given, runSubcommand, type Subcommand } from './subcommands.ts';

const API = '/api/1.0/registries';

const Named = z.looseObject({ name: z.string() });
const Page = z.object({ registries: z.array(Named), next_page_token: z.string().optional() });

const RegistryFields = z.object({
  name: text,
  display_name: text.optional(),
  description: text.optional(),
  tags: tags.optional(),
  visibility: text.optional(),
  owner: text.optional(),
});

/** A registry as it is printed: with its URI. */
const shown = (reply: unknown) => {
  const registry = Named.parse(reply);
  return { id: `azureml://registries/${registry.name}`, ...registry };
};

const FIELDS = { name: 'name', display_name: 'display-name', description: 'description', visibility: 'visibility' } as const;

function nameOf({ options }: Given): string {
  const name = /^azureml:\/\/registries\/([^/]+)$/.exec(options.name ?? '')?.[1] ?? options.name;
  if (name === undefined) throw new ConfigError('--name: is missing, which registry is it?');
  return name;
}

const at = (name: string) => `${API}/${encodeURIComponent(name)}`;

const create: Subcommand = {
  summary: 'Makes a registry.',
  details: 'Fields of the file: name, display_name, description, tags, visibility, owner.',
  options: ['name', 'file', 'set', 'display-name', 'description', 'tags', 'visibility', 'force'],
  async run(given) {
    const fields = await readAssetFields(RegistryFields, given, FIELDS);
    return shown(await sendJson(given.server, 'POST', API, { ...fields, force: 'force' in given.options }));
  },
};

const list: Subcommand = {
  summary: 'Lists the registries.',
  options: ['max-results'],
  async run(given) {
    const most = readMaxResults(given);
    const found: z.infer<typeof Named>[] = [];
    for (let token: string | undefined = ''; token !== undefined && found.length < most; ) {
      const page: z.infer<typeof Page> = Page.parse(await getJson(given.server, API, token === '' ? {} : { page_token: token }));
      found.push(...page.registries);
      token = page.next_page_token;
    }
    return found.slice(0, most).map(shown);
  },
};

const show: Subcommand = {
  summary: 'Shows a registry, with the address for MLFLOW_REGISTRY_URI.',
  options: ['name'],
  run: async (given) => shown(await getJson(given.server, at(nameOf(given)))),
};

const update: Subcommand = {
  summary: 'Changes what is given of a registry; tags are replaced.',
  options: ['name', 'file', 'set', 'display-name', 'description', 'tags', 'visibility'],
  async run(given) {
    const { name, ...fields } = await readAssetFields(RegistryFields, given, FIELDS);
    return shown(await sendJson(given.server, 'PATCH', at(name), fields));
  },
};

const remove: Subcommand = {
  summary: 'Removes a registry, which must be empty.',
  options: ['name'],
  async run(given) {
    await sendJson(given.server, 'DELETE', at(nameOf(given)));
    return undefined;
  },
};

/** The limit of a list; Infinity when none was given. Throws ConfigError. */
export function readMaxResults({ options }: Given): number {
  const given = options['max-results'];
  if (given !== undefined && !/^[1-9]\d{0,8}$/.test(given))
    throw new ConfigError(`--max-results: must be a whole number from 1 (it is ${given}).`);
  return given === undefined ? Number.POSITIVE_INFINITY : Number(given);
}

/** `model-commons registry ...`: gives the exit code. */
export const registry = (arguments_: string[]): Promise<number> =>
  runSubcommand(
    'registry',
    'Registries: homes of models that all workspaces share.',
    { create, list, show, update, delete: remove },
    arguments_,
  );
