import { mayEnter } from '../access/grants.ts';
import type { Services } from '../endpoint.ts';
import { quickRead, run } from '../platform/db/database.ts';
import { invalidParameter, MlflowError } from '../platform/errors.ts';
import type { Scope } from '../scopes/entity.ts';
import { findScope, getNamedScope } from '../scopes/store.ts';
import { scopeOfPath } from './asset-scope.ts';
import { assetUriOf, isAssetUri, parseModelAsset } from './model-versions/source-uri.ts';
import { readOnlyMount, targetOf } from './mounts/entity.ts';
import { mountsOf } from './mounts/store.ts';
import type { Term } from './search-terms.ts';

/** The scope that a dotted name begins with, and the rest; null for an ordinary name. */
export type DottedName = { scope: Scope; name: string; prefix: string };

const IS_LOCAL = quickRead('has_model', 'select from registered_models where scope_id = :scope and name = :name');

/**
 * Reads `<registry>.<model>`, split at the first dot (mission 2.2). A name whose first part is no registry is an ordinary one. Below the base path of a
 * registry `<workspace>.<model>` is read too, as the source of a promotion is (`readsWorkspaces`). A registry that was made in spite of models with such
 * names does not hide them from who names their workspace.
 */
export async function readDottedName(
  { db, address, caller }: Pick<Services, 'db' | 'address' | 'caller'>,
  name: string,
  readsWorkspaces: boolean,
): Promise<DottedName | null> {
  if (isAssetUri(name)) return readAssetName({ db, address, caller }, name);
  const dot = name.indexOf('.');
  if (dot <= 0 || dot === name.length - 1) return null;
  const first = name.slice(0, dot);
  const scope = await findScope(db, first);
  // A registry that the caller may not know of is none: the name is an ordinary one.
  if (!scope || (scope.kind === 'workspace' && !readsWorkspaces) || !mayEnter(caller, scope)) return null;
  if (scope.hidesModels && address.scope.named && (await run(db, IS_LOCAL, { scope: address.scope.id, name })).length > 0) return null;
  return { scope, name: name.slice(dot + 1), prefix: `${first}.` };
}

/** Reads the URI of a model where its name is expected. Throws for a scope there is nothing of, and for another workspace's model. */
async function readAssetName({ db, address, caller }: Pick<Services, 'db' | 'address' | 'caller'>, uri: string): Promise<DottedName> {
  const { scope: named, name } = parseModelAsset(uri);
  const scope = await getNamedScope({ db, caller }, named.name, named.kind);
  if (scope.kind === 'workspace' && scope.id !== address.scope.id)
    throw invalidParameter(`'${uri}' is in another workspace: make the request there (X-MLFLOW-WORKSPACE: ${scope.name}).`);
  return { scope, name, prefix: assetUriOf(scope, '') };
}

/** How an answer is put into the words of the request: the names of models, and which alias there an alias of the request is. */
export type Words = { nameOf(name: string): string; aliasMap: Record<string, string> };

/** What a name means, and in which words to tell of it. `prefix` is what went before it; `mount`: how to refuse a write, when it is the name of a mount. */
export type NamedModel = {
  scope: Scope;
  name: string;
  prefix: string;
  words: Words;
  mount: { refuseWrite(creates: boolean): MlflowError } | null;
};

/** Reads a name as `readDottedName`, and then the mounts of the workspace it is in. Null for a name that means itself. Throws for a mount of nothing. */
export async function readModelName(
  place: Pick<Services, 'db' | 'address' | 'caller'>,
  name: string,
  readsWorkspaces: boolean,
): Promise<NamedModel | null> {
  const dotted = await readDottedName(place, name, readsWorkspaces);
  const { scope, name: bare, prefix } = dotted ?? { scope: place.address.scope, name, prefix: '' };
  const mounted = await readMount(place, scope, bare, prefix);
  return mounted ?? (dotted && { scope, name: bare, prefix, words: { nameOf: (other) => prefix + other, aliasMap: {} }, mount: null });
}

/** What a name of a workspace means when it is that of a mount, else null. Throws for a mount of nothing. */
export async function readMount({ db }: Pick<Services, 'db'>, scope: Scope, name: string, prefix = ''): Promise<NamedModel | null> {
  const mount = scope.kind === 'workspace' ? (await mountsOf(db, scope)).get(name) : undefined;
  if (!mount) return null;
  return {
    ...targetOf(mount, scope),
    prefix,
    words: { nameOf: () => prefix + name, aliasMap: mount.aliasMap },
    mount: { refuseWrite: (creates) => readOnlyMount(mount, scope, creates) },
  };
}

/** For an endpoint about one model: the scope that its name means. The answer repeats the name as it was asked for. Throws for a write by a mounted name. */
export async function addressModel(
  services: Services,
  endpoint: { op: string; model?: string; effect: 'read' | 'write' },
  input: Record<string, unknown>,
) {
  const field = endpoint.model ?? '';
  const name = input[field];
  if (typeof name !== 'string') return null;
  const { workspace, registry } = input;
  if (typeof workspace === 'string') return addressInPath(services, endpoint, { ...input, workspace, name });
  if (registry !== undefined) return null;
  if (CREATES.includes(endpoint.op)) await refuseNameless(services, name);
  const readsWorkspaces = endpoint.effect === 'read' && services.address.scope.kind === 'registry';
  const named = await readModelName(services, name, readsWorkspaces);
  if (!named) return null;
  const { scope, words, mount } = named;
  if (mount && endpoint.effect === 'write') throw mount.refuseWrite(endpoint.op === 'registered_model.create');
  return {
    services: { ...services, scope },
    input: { ...withAliasThere(input, words), [field]: named.name },
    answer: <Output>(output: Output) => inWords(output, words),
    // That of a new version may be about its source, which has a name of its own.
    refusal: (error: unknown) => (endpoint.op === 'model_version.create' ? error : refusalInWords(error, named)),
  };
}

const CREATES = ['registered_model.create', 'model_version.create'];

/** Throws INVALID_PARAMETER_VALUE for `<registry>.` with nothing behind the dot that can name a model: it would be a model of the workspace. */
export async function refuseNameless({ db, caller }: Pick<Services, 'db' | 'caller'>, name: string): Promise<void> {
  const [, first = ''] = /^([^.:]+)\.{1,3}$/.exec(name) ?? [];
  const scope = first === '' ? null : await findScope(db, first);
  if (scope?.kind !== 'registry' || !mayEnter(caller, scope)) return;
  throw invalidParameter(
    `'${name}' names no model of registry '${first}': a name must follow the dot. Write '${first}.<model>', for example '${first}.fraud'.`,
  );
}

/** What is told of a model that is not there, with the name it was asked for by. */
function refusalInWords(error: unknown, { name, words }: NamedModel): unknown {
  if (!(error instanceof MlflowError) || error.code !== 'RESOURCE_DOES_NOT_EXIST') return error;
  const told = ['name=# not found', '(name=#, version=', 'for model #.'].reduce(
    (message, form) =>
      message.replace(
        form.replace('#', () => name),
        () => form.replace('#', () => words.nameOf(name)),
      ),
    error.message,
  );
  return told === error.message ? error : new MlflowError(error.code, told, error.status, error.kind);
}

/** To the refusal of a name like `<registry>/<model>` or `<registry>:<model>` it adds how that is written (mission 2.2, rule 5). */
export async function teachDottedName({ db, caller }: Pick<Services, 'db' | 'caller'>, error: unknown): Promise<unknown> {
  if (!(error instanceof MlflowError)) return error;
  const [, first, rest] = /^Invalid model name '([^'/:]+)[/:]([^'/:]+).*'\. Names cannot contain/s.exec(error.message) ?? [];
  if (first === undefined) return error;
  const scope = await findScope(db, first);
  if (scope?.kind !== 'registry' || !mayEnter(caller, scope)) return error;
  return invalidParameter(`${error.message} A model of a registry is written '${first}.${rest}'.`);
}

/** For a path below `/workspaces/<workspace>/models/<name>`: where that is a mount the answer is the registry's, in the registry's words. */
async function addressInPath(
  services: Services,
  { effect }: { effect: 'read' | 'write' },
  { workspace, name, ...input }: { workspace: string; name: string; [argument: string]: unknown },
) {
  const named = await readMount(services, await scopeOfPath(services, { workspace }), name);
  if (!named) return null;
  if (effect === 'write') throw named.mount?.refuseWrite(false);
  return {
    services,
    input: { ...withAliasThere(input, named.words), registry: named.scope.name, name: named.name },
    answer: <Output>(output: Output) => output,
    refusal: (error: unknown) => error,
  };
}

const withAliasThere = (input: Record<string, unknown>, words: Words) =>
  typeof input.alias === 'string' ? { ...input, alias: aliasThere(input.alias, words) } : input;

/** What an alias of the request is called where its model is. */
export const aliasThere = (alias: string, { aliasMap }: Words): string =>
  Object.hasOwn(aliasMap, alias) ? (aliasMap[alias] ?? alias) : alias;

/**
 * Refuses what became a stage because a shared model was spelled `models:/<registry>/<model>@<alias>` or `models:/<registry>/<model>/…` (mission 2.1).
 * Throws INVALID_PARAMETER_VALUE.
 */
export async function refuseModelAsStage({ db }: Pick<Services, 'db'>, name: string, stages: string[]): Promise<void> {
  const stage = stages.find((stage) => !STAGE_NAMES.includes(stage.toLowerCase()));
  if (stage === undefined || (!stage.includes('@') && (await findScope(db, name))?.kind !== 'registry')) return;
  const [first = '', alias] = stage.split('@', 2);
  // Of models:/<registry>/models/<model>/versions/1 the client sends no more than this.
  const model = first === 'models' ? '<model>' : first;
  throw invalidParameter(
    `Invalid Model Version stage: '${stage}'. A model of a registry is written with a dot: 'models:/${name}.${model}${alias === undefined ? '/1' : `@${alias}`}' ` +
      `where you wrote 'models:/${name}/${stage}'. Of model '${name}' itself an alias is 'models:/${name}@champion'.`,
  );
}

const STAGE_NAMES = ['none', 'staging', 'production', 'archived', 'latest'];

/**
 * Where a search looks: in a registry when its filter asks for `<registry>.<model>`, also by LIKE or IN, or for one mounted name. The terms have the names
 * of that registry then, and `words` says how to tell of what is found.
 */
export async function addressSearch(
  services: Pick<Services, 'db' | 'scope' | 'address' | 'caller'>,
  terms: Term[],
): Promise<{ scope: Scope; words: Words | null; terms: Term[] }> {
  const here = { scope: services.scope, words: null, terms };
  const names = terms
    .filter(({ type, key, comparator }) => type === 'attribute' && key === 'name' && SELECTS.includes(comparator))
    .flatMap(({ comparator, value }) =>
      [value].flat().map((name) => ({ name: String(name), isExact: comparator === '=' || comparator === 'IN' })),
    );
  const wanted =
    names.find(({ name }) => name.includes('.') || isAssetUri(name)) ?? (names.length === 1 && names[0]?.isExact ? names[0] : null);
  if (!wanted) return here;
  const named = await readModelName(services, wanted.name, services.address.scope.kind === 'registry');
  if (!named) return here;
  const { scope, prefix, words } = named;
  const isHere = (value: string) => (named.mount ? value === wanted.name : value.startsWith(prefix));
  const bare = (value: string) => (!isHere(value) ? value : named.mount ? named.name : value.slice(prefix.length));
  return {
    scope,
    words,
    terms: terms.map((term) => {
      if (term.type !== 'attribute' || term.key !== 'name' || typeof term.value === 'number') return term;
      // What was not asked for in this registry is not found in it.
      if (Array.isArray(term.value)) return { ...term, value: term.value.filter(isHere).map(bare) };
      return { ...term, value: bare(term.value) };
    }),
  };
}

const SELECTS = ['=', 'LIKE', 'ILIKE', 'IN'];

/** An answer about models in the words of the request. */
export function inWords<Output>(output: Output, words: Words): Output {
  if (typeof output !== 'object' || output === null) return output;
  const { registered_model, registered_model_permission, model_version, model_versions, registered_models, ...rest } = output as Answer;
  return {
    ...rest,
    ...(registered_model && { registered_model: modelInWords(registered_model, words) }),
    ...(registered_model_permission && { registered_model_permission: modelInWords(registered_model_permission, words) }),
    ...(model_version && { model_version: versionInWords(model_version, words) }),
    ...(registered_models && { registered_models: registered_models.map((model) => modelInWords(model, words)) }),
    ...(model_versions && { model_versions: model_versions.map((version) => versionInWords(version, words)) }),
  } as Output;
}

type Version = { name: string; aliases?: string[] | null };
type Model = { name: string; aliases?: { alias: string; version: string }[] | null; latest_versions?: Version[] | null };
type Answer = {
  registered_model?: Model;
  registered_model_permission?: Model;
  model_version?: Version;
  registered_models?: Model[];
  model_versions?: Version[];
};

export function versionInWords<Told extends Version>(version: Told, words: Words): Told {
  const { name, aliases } = version;
  return { ...version, name: words.nameOf(name), ...(aliases && { aliases: aliasesHere(aliases, words).map(({ alias }) => alias) }) };
}

export function modelInWords<Told extends Model>(model: Told, words: Words): Told {
  const { name, aliases, latest_versions: latest } = model;
  const versionOf = new Map(aliases?.map(({ alias, version }) => [alias, version]));
  return {
    ...model,
    name: words.nameOf(name),
    ...(aliases && {
      aliases: aliasesHere([...versionOf.keys()], words).map(({ alias, there }) => ({ alias, version: versionOf.get(there) ?? '' })),
    }),
    ...(latest && { latest_versions: latest.map((version) => versionInWords(version, words)) }),
  };
}

/** The aliases of the request that some of there mean: those that are mapped, and those that are the same. */
function aliasesHere(there: string[], { aliasMap }: Words): { alias: string; there: string }[] {
  const mapped = Object.entries(aliasMap).flatMap(([alias, to]) => (there.includes(to) ? [{ alias, there: to }] : []));
  const same = there.filter((alias) => !Object.hasOwn(aliasMap, alias)).map((alias) => ({ alias, there: alias }));
  return mapped.length === 0 ? same : [...mapped, ...same].toSorted((a, b) => (a.alias < b.alias ? -1 : 1));
}
