import { mayEnter } from '../access/grants.ts';
import type { Services } from '../endpoint.ts';
import { run, statement } from '../platform/db/database.ts';
import { invalidParameter } from '../platform/errors.ts';
import type { Scope } from '../scopes/entity.ts';
import { findScope } from '../scopes/store.ts';
import type { Term } from './search-terms.ts';

/** The scope that a dotted name begins with, and the rest; null for an ordinary name. */
export type DottedName = { scope: Scope; name: string; prefix: string };

const IS_LOCAL = statement('has_model', 'select from registered_models where scope_id = :scope and name = :name');

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
  const dot = name.indexOf('.');
  if (dot <= 0 || dot === name.length - 1) return null;
  const first = name.slice(0, dot);
  const scope = await findScope(db, first);
  // A registry that the caller may not know of is none: the name is an ordinary one.
  if (!scope || (scope.kind === 'workspace' && !readsWorkspaces) || !mayEnter(caller, scope)) return null;
  if (scope.hidesModels && address.scope.named && (await run(db, IS_LOCAL, { scope: address.scope.id, name })).length > 0) return null;
  return { scope, name: name.slice(dot + 1), prefix: `${first}.` };
}

/** For an endpoint about one model: the scope that its dotted name means. The answer repeats the name as it was asked for. */
export async function addressModel(
  services: Services,
  endpoint: { model?: string; effect: 'read' | 'write' },
  input: Record<string, unknown>,
) {
  const field = endpoint.model ?? '';
  const name = input[field];
  if (typeof name !== 'string' || !name.includes('.')) return null;
  const readsWorkspaces = endpoint.effect === 'read' && services.address.scope.kind === 'registry';
  const dotted = await readDottedName(services, name, readsWorkspaces);
  if (!dotted) return null;
  return {
    services: { ...services, scope: dotted.scope },
    input: { ...input, [field]: dotted.name },
    answer: <Output>(output: Output) => withPrefix(output, dotted.prefix),
  };
}

/**
 * Refuses what became a stage because a shared model was spelled `models:/<registry>/<model>@<alias>` or `models:/<registry>/<model>/…` (mission 2.1).
 * Throws INVALID_PARAMETER_VALUE.
 */
export async function refuseModelAsStage({ db }: Pick<Services, 'db'>, name: string, stages: string[]): Promise<void> {
  const stage = stages.find((stage) => !STAGE_NAMES.includes(stage.toLowerCase()));
  if (stage === undefined || (!stage.includes('@') && (await findScope(db, name))?.kind !== 'registry')) return;
  const [model = '', alias] = stage.split('@', 2);
  throw invalidParameter(
    `Invalid Model Version stage: '${stage}'. A model of a registry is written with a dot: 'models:/${name}.${model}${alias === undefined ? '/1' : `@${alias}`}' ` +
      `where you wrote 'models:/${name}/${stage}'. Of model '${name}' itself an alias is 'models:/${name}@champion'.`,
  );
}

const STAGE_NAMES = ['none', 'staging', 'production', 'archived', 'latest'];

/** Where a search looks: in a registry when its filter asks for `<registry>.<model>`, also by LIKE or IN; the terms have the bare names then. */
export async function addressSearch(
  services: Pick<Services, 'db' | 'scope' | 'address' | 'caller'>,
  terms: Term[],
): Promise<{ scope: Scope; prefix: string; terms: Term[] }> {
  const here = { scope: services.scope, prefix: '', terms };
  const names = terms.filter(({ type, key, comparator }) => type === 'attribute' && key === 'name' && SELECTS.includes(comparator));
  const wanted = names.flatMap(({ value }) => value).find((value) => typeof value === 'string' && value.includes('.'));
  if (typeof wanted !== 'string') return here;
  const dotted = await readDottedName(services, wanted, services.address.scope.kind === 'registry');
  if (!dotted) return here;
  const { scope, prefix } = dotted;
  const bare = (value: string) => (value.startsWith(prefix) ? value.slice(prefix.length) : value);
  return {
    scope,
    prefix,
    terms: terms.map((term) => {
      if (term.type !== 'attribute' || term.key !== 'name' || typeof term.value === 'number') return term;
      // What was not asked for in this registry is not found in it.
      if (Array.isArray(term.value)) return { ...term, value: term.value.filter((value) => value.startsWith(prefix)).map(bare) };
      return { ...term, value: bare(term.value) };
    }),
  };
}

const SELECTS = ['=', 'LIKE', 'ILIKE', 'IN'];

/** An answer about models with `prefix` in front of their names. */
export function withPrefix<Output>(output: Output, prefix: string): Output {
  if (typeof output !== 'object' || output === null) return output;
  const { registered_model, registered_model_permission, model_version, model_versions, registered_models, ...rest } = output as Answer;
  return {
    ...rest,
    ...(registered_model && { registered_model: prefixed(registered_model, prefix) }),
    ...(registered_model_permission && { registered_model_permission: prefixed(registered_model_permission, prefix) }),
    ...(model_version && { model_version: prefixed(model_version, prefix) }),
    ...(registered_models && { registered_models: registered_models.map((model) => prefixed(model, prefix)) }),
    ...(model_versions && { model_versions: model_versions.map((version) => prefixed(version, prefix)) }),
  } as Output;
}

type Named = { name: string; latest_versions?: Named[] };
type Answer = {
  registered_model?: Named;
  registered_model_permission?: Named;
  model_version?: Named;
  registered_models?: Named[];
  model_versions?: Named[];
};

const prefixed = (named: Named, prefix: string): Named => ({
  ...named,
  name: prefix + named.name,
  ...(named.latest_versions && { latest_versions: named.latest_versions.map((version) => prefixed(version, prefix)) }),
});
