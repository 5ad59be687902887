import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { findVersionNumber, type NamedVersion } from '../client/find-files.ts';
import { getJson, type ServerAddress, ServerError, sendJson } from '../client/mlflow-server.ts';
import { mlflowApi, type NamedScope, scopePath } from '../client/scope.ts';
import { discardUpload, listLocalFiles, uploadAsLoggedModel } from '../client/upload-folder.ts';
import { ConfigError } from '../config.ts';
import { STAGES } from '../registry/model-versions/entity.ts';
import { digestOf, Manifest } from '../registry/model-versions/manifest.ts';
import { assetUriOf, isAssetUri, versionOfAsset } from '../registry/model-versions/source-uri.ts';
import { isLocalPath, readAssetFields, tags, text } from './asset-file.ts';
import { readAssetUri, serverOf } from './connect.ts';
import { downloadVersion } from './download.ts';
import { openProgress } from './progress.ts';
import { readMaxResults } from './registry.ts';
import { type Given, runSubcommand, type Subcommand } from './subcommands.ts';

// The first fields are those that come first: what is printed keeps the order of the server's answer.
const Asset = z.looseObject({ id: z.string(), name: z.string() });
type Asset = z.infer<typeof Asset>;
const Version = z.object({ id: z.string(), version: z.string() });
const Page = z.object({ models: z.array(Asset).optional(), versions: z.array(Asset).optional(), next_page_token: z.string().optional() });

const versionNumber = text.refine((number) => /^[1-9]\d{0,8}$/.test(number), 'must be a whole number from 1, as all versions of MLflow');
const stage = text.transform((given, context) => {
  const found = STAGES.find((one) => one.toLowerCase() === given.toLowerCase());
  if (!found) context.issues.push({ code: 'custom', message: `must be ${STAGES.join(', ')}`, input: given });
  return found ?? 'None';
});

const ModelFields = z.object({
  name: text,
  version: versionNumber.optional(),
  path: text,
  description: text.optional(),
  tags: tags.optional(),
  type: z.enum(['mlflow_model', 'custom_model'], 'must be mlflow_model or custom_model').optional(),
  stage: stage.optional(),
});

const Changes = z.object({ description: text.optional(), tags: tags.optional(), stage: stage.optional() });

type Target = { scope: NamedScope; name: string; version: NamedVersion | null };

/** What --name, --version and --label name; the name may be an azureml:// URI, with or without a version. Throws ConfigError. */
function readTarget({ options, scope }: Given): Target {
  const { name, version, label } = options;
  if (name === undefined) throw new ConfigError('--name: is missing, which model is it?');
  if (version !== undefined && label !== undefined) throw new ConfigError('--version and --label: give one of them.');
  if (version !== undefined && !/^[1-9]\d{0,8}$/.test(version))
    throw new ConfigError(`--version: must be a whole number from 1 (it is ${version}).`);
  const asset = isAssetUri(name) ? readAssetUri(name) : null;
  if (asset?.kind === 'run') throw new ConfigError(`--name: ${name} names files of a run, not a model.`);
  if (asset && (asset.version ?? asset.label) !== null) {
    if ((version ?? label) !== undefined) throw new ConfigError('--name: has a version already, so leave --version and --label out.');
    return { scope: asset.scope, name: asset.name, version: versionOfAsset(asset) };
  }
  const model = asset ?? { scope, name };
  const chosen: NamedVersion | null =
    version !== undefined
      ? { kind: 'version', name: model.name, version }
      : label !== undefined
        ? { kind: 'alias', name: model.name, alias: label }
        : null;
  return { scope: model.scope, name: model.name, version: chosen };
}

function needVersion(target: Target): NamedVersion {
  if (target.version === null) throw new ConfigError('--version: is missing; --label latest names the newest.');
  return target.version;
}

const modelPath = ({ scope, name }: Pick<Target, 'scope' | 'name'>) => `${scopePath(scope)}/models/${encodeURIComponent(name)}`;

/** Where the API has a version; an alias is looked up. */
async function versionPath({ server }: Given, target: Target): Promise<string> {
  const number = await findVersionNumber(server, mlflowApi(target.scope), needVersion(target));
  return `${modelPath(target)}/versions/${number}`;
}

/** All pages of a list, until there are `most` that are `wanted`. */
async function listAll({ server }: Given, at: string, most: number, wanted: (asset: Asset) => boolean): Promise<Asset[]> {
  const found: Asset[] = [];
  let token: string | undefined;
  do {
    const page = Page.parse(await getJson(server, at, token === undefined ? {} : { page_token: token }));
    found.push(...(page.models ?? page.versions ?? []).filter(wanted));
    token = page.next_page_token;
  } while (token !== undefined && found.length < most);
  return found.slice(0, most);
}

const isArchived = ({ archived, stage }: Asset): boolean => archived === true || stage === 'Archived';

const create: Subcommand = {
  summary: 'Adds a version of a model; the model is made when there is none of that name.',
  details: `Without --version it gets the next number; a number that was given before is refused. With --registry-name it goes into the registry: files that are
uploaded, runs and models without a registry are those of the workspace.

Fields of the file: name, version, path, description, tags, type, stage. A path in it is relative to the file.`,
  options: ['name', 'version', 'path', 'file', 'set', 'description', 'tags', 'type', 'stage', 'registry-name', 'workspace-name'],
  async run(given) {
    const fields = await readAssetFields(ModelFields, given, {
      name: 'name',
      version: 'version',
      path: 'path',
      description: 'description',
      type: 'type',
      stage: 'stage',
    });
    const { scope, name, version } = readTarget({ ...given, options: { name: fields.name } });
    if (version !== null) throw new ConfigError(`'name': ${fields.name} has a version; give it as --version.`);
    const server = serverOf(given.server, scope);
    const at = `${modelPath({ scope, name })}/versions`;
    if (fields.version !== undefined) await refuseTaken(server, { scope, name }, fields.version);
    const source = await readSource(server, name, fields);
    const body = { ...source.body, description: fields.description, tags: fields.tags };
    const made = await (fields.version === undefined
      ? sendJson(server, 'POST', at, body)
      : sendJson(server, 'PUT', `${at}/${fields.version}`, body)
    ).catch(async (error: unknown) => {
      if (source.digest !== null) await discardUpload(server, source.body.model_id ?? '');
      throw error;
    });
    const { id, version: number } = Version.parse(made);
    if (source.digest !== null) {
      const { digest } = Manifest.parse(await getJson(server, `${at}/${number}/manifest`));
      if (digest !== source.digest)
        throw new Error(
          `The files of ${id} are not those that were sent: their digest is ${digest}, not ${source.digest}. Delete it and try again.`,
        );
    }
    if (fields.stage === undefined || fields.stage === 'None') return made;
    await setStage(server, { scope, name }, number, fields.stage);
    return getJson(server, `${at}/${number}`);
  },
};

/** The server refuses a number that was given before as well, but only after everything is uploaded. */
async function refuseTaken(server: ServerAddress, { scope, name }: Pick<Target, 'scope' | 'name'>, version: string): Promise<void> {
  const found = await getJson(server, `${modelPath({ scope, name })}/versions/${version}`).catch((error: unknown) => {
    if (error instanceof ServerError && error.code === 'RESOURCE_DOES_NOT_EXIST') return null;
    throw error;
  });
  if (found === null) return;
  throw new Error(`RESOURCE_ALREADY_EXISTS: Version ${version} of model '${name}' already exists in ${scope.kind} '${scope.name}'.`);
}

const setStage = (server: ServerAddress, { scope, name }: Pick<Target, 'scope' | 'name'>, version: string, to: string) =>
  sendJson(server, 'POST', `${mlflowApi(scope)}/model-versions/transition-stage`, {
    name,
    version,
    stage: to,
    archive_existing_versions: false,
  });

type Source = { body: { source: string; model_id?: string }; digest: string | null };

/** What the server is to make a version of: what is here is uploaded first, and has a digest to compare with. */
async function readSource(
  server: ServerAddress,
  name: string,
  { path: from, type }: Pick<z.output<typeof ModelFields>, 'path' | 'type'>,
): Promise<Source> {
  const local = isLocalPath(from) ? path.resolve(from) : from.startsWith('file:') ? fileURLToPath(from) : null;
  if (local === null) {
    const modelId = /^models:\/(m-[^/@]+)$/.exec(from)?.[1];
    return { body: { source: from, ...(modelId !== undefined && { model_id: modelId }) }, digest: null };
  }
  const files = await listLocalFiles(local);
  if (type === 'mlflow_model' && !files.some((file) => file.path === 'MLmodel'))
    throw new ConfigError(`${from}: has no file MLmodel, so it is no mlflow_model; type custom_model takes any files.`);
  const progress = openProgress('upload');
  progress.setTotal(
    files.reduce((sum, { size }) => sum + size, 0),
    files.length,
  );
  try {
    const uploaded = await uploadAsLoggedModel(server, name, files, progress.add);
    return { body: { source: `models:/${uploaded.modelId}`, model_id: uploaded.modelId }, digest: digestOf(uploaded.files) };
  } finally {
    progress.end();
  }
}

const list: Subcommand = {
  summary: 'Lists the models, or with --name the versions of one.',
  options: ['name', 'max-results', 'include-archived', 'archived-only', 'registry-name', 'workspace-name'],
  async run(given) {
    const { options } = given;
    const wanted = (asset: Asset) => ('archived-only' in options ? isArchived(asset) : 'include-archived' in options || !isArchived(asset));
    const most = readMaxResults(given);
    if (options.name === undefined) return listAll(given, `${scopePath(given.scope)}/models`, most, wanted);
    const target = readTarget(given);
    return listAll(given, `${modelPath(target)}/versions`, most, wanted);
  },
};

const show: Subcommand = {
  summary: 'Shows a model, or with --version or --label a version of it.',
  options: ['name', 'version', 'label', 'registry-name', 'workspace-name'],
  async run(given) {
    const target = readTarget(given);
    return getJson(given.server, target.version === null ? modelPath(target) : await versionPath(given, target));
  },
};

const Promoted = z.looseObject({
  source: z.looseObject({ version: z.string() }),
  target: z.looseObject({ registry: z.string(), name: z.string(), version: z.string() }),
});

const share: Subcommand = {
  summary: 'Shares a version with a registry: its files, and where it came from.',
  details: 'Name and version stay the same unless others are given. No bytes are copied. It is the promotion of docs/sharing.md.',
  options: [
    'name',
    'version',
    'label',
    'registry-name',
    'workspace-name',
    'share-with-name',
    'share-with-version',
    'set-alias',
    'reason',
    'dry-run',
  ],
  async run(given) {
    const { options, lists, server, workspace } = given;
    const registry = options['registry-name'];
    if (registry === undefined) throw new ConfigError('--registry-name: is missing, which registry is to have it?');
    const source = readTarget({ ...given, scope: { kind: 'workspace', name: workspace } });
    const named = needVersion(source);
    const number = await findVersionNumber(server, mlflowApi(source.scope), named);
    const given_ = options['share-with-version'] ?? number;
    if (given_ !== 'next' && !/^[1-9]\d{0,8}$/.test(given_))
      throw new ConfigError(`--share-with-version: must be a whole number from 1, or next (it is ${given_}).`);
    const promotion = Promoted.parse(
      await sendJson(server, 'POST', '/api/1.0/promotions', {
        source: {
          [source.scope.kind]: source.scope.name,
          name: source.name,
          ...(named.kind === 'alias' && named.alias.toLowerCase() !== 'latest' ? { alias: named.alias } : { version: number }),
        },
        target: { registry, name: options['share-with-name'], ...(given_ !== 'next' && { version: Number(given_) }) },
        set_aliases: lists['set-alias'] ?? [],
        reason: options.reason ?? '',
        dry_run: 'dry-run' in options,
      }),
    );
    if (promotion.source.version !== number && options['share-with-version'] === undefined)
      throw new Error(
        `The alias moved to version ${promotion.source.version} meanwhile, which is now version ${number} in the registry. Delete that, and share again.`,
      );
    const { name, version } = promotion.target;
    return { id: assetUriOf({ kind: 'registry', name: registry }, name, version), name, version, ...promotion };
  },
};

/** Archives or restores one version, or all of a model. */
const move = (verb: 'archive' | 'restore'): Subcommand => ({
  summary:
    verb === 'archive'
      ? 'Archives a version, or all of a model: lists leave them out.'
      : 'Undoes archiving, of a version or all of a model.',
  details: "It is MLflow's stage Archived. What is restored has the stage None.",
  options: ['name', 'version', 'label', 'registry-name', 'workspace-name'],
  async run(given) {
    const target = readTarget(given);
    if (target.version !== null) return sendJson(given.server, 'POST', `${await versionPath(given, target)}:${verb}`);
    const at = `${modelPath(target)}/versions`;
    const moved: unknown[] = [];
    for (const asset of await listAll(given, at, Number.POSITIVE_INFINITY, (asset) => isArchived(asset) === (verb === 'restore'))) {
      moved.push(await sendJson(given.server, 'POST', `${at}/${Version.parse(asset).version}:${verb}`));
    }
    return moved;
  },
});

const download: Subcommand = {
  summary: 'Downloads the files of a version, and checks them.',
  details: 'A download that broke off goes on where it was when it is run again.',
  options: ['name', 'version', 'label', 'download-path', 'registry-name', 'workspace-name'],
  async run(given) {
    const target = readTarget(given);
    const { name, version, ...rest } = await downloadVersion(
      given.server,
      target.scope,
      needVersion(target),
      given.options['download-path'],
    );
    return { id: assetUriOf(target.scope, name, version), name, version, ...rest };
  },
};

const update: Subcommand = {
  summary: 'Changes description, tags or stage of a version; description or tags of a model.',
  options: ['name', 'version', 'label', 'set', 'description', 'tags', 'stage', 'registry-name', 'workspace-name'],
  async run(given) {
    const { server } = given;
    const target = readTarget(given);
    const changes = await readAssetFields(Changes, given, { description: 'description', stage: 'stage' });
    const version = target.version === null ? undefined : await findVersionNumber(server, mlflowApi(target.scope), target.version);
    if (version === undefined && changes.stage !== undefined)
      throw new ConfigError('--stage: is of a version, so it needs --version or --label.');
    const key = { name: target.name, ...(version !== undefined && { version }) };
    const at = `${mlflowApi(target.scope)}/${version === undefined ? 'registered-models' : 'model-versions'}`;
    if (changes.description !== undefined) await sendJson(server, 'PATCH', `${at}/update`, { ...key, description: changes.description });
    for (const [tag, value] of Object.entries(changes.tags ?? {}))
      await sendJson(server, 'POST', `${at}/set-tag`, { ...key, key: tag, value });
    if (version !== undefined && changes.stage !== undefined) await setStage(server, target, version, changes.stage);
    return getJson(server, version === undefined ? modelPath(target) : `${modelPath(target)}/versions/${version}`);
  },
};

const remove: Subcommand = {
  summary: 'Deletes a version, or with --yes a model with all of them.',
  options: ['name', 'version', 'label', 'yes', 'registry-name', 'workspace-name'],
  async run(given) {
    const target = readTarget(given);
    const api = mlflowApi(target.scope);
    if (target.version === null && !('yes' in given.options))
      throw new ConfigError('--version: is missing; with --yes the whole model goes.');
    if (target.version === null) await sendJson(given.server, 'DELETE', `${api}/registered-models/delete`, { name: target.name });
    else {
      const version = await findVersionNumber(given.server, api, target.version);
      await sendJson(given.server, 'DELETE', `${api}/model-versions/delete`, { name: target.name, version });
    }
    return undefined;
  },
};

const SUBCOMMANDS = { create, list, show, share, archive: move('archive'), restore: move('restore'), download, update, delete: remove };

/** `model-commons model ...`: gives the exit code. */
export const model = (arguments_: string[]): Promise<number> =>
  runSubcommand('model', 'Models of a workspace, or with --registry-name of a registry.', SUBCOMMANDS, arguments_);
