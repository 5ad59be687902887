import type { Caller } from '../access/caller.ts';
import { can, canInScope, mayDoAll, requireLevel } from '../access/can.ts';
import { allows, levelOn, levelOnScope, type ResourceType, type Visible, visibleIn, visiblePartsIn } from '../access/grants.ts';
import { grantToMaker } from '../access/grants-store.ts';
import type { Services } from '../endpoint.ts';
import { quickRead, run, transaction } from '../platform/db/database.ts';
import type { Level, Need, Verdict } from '../platform/permission.ts';
import type { Scope } from '../scopes/entity.ts';
import { scopeOfPath } from './asset-scope.ts';
import { IS_PROMPT_TAG } from './registered-models/entity.ts';
import { refuseTakenName } from './registered-models/store.ts';

type Asking = Pick<Services, 'db' | 'caller'>;

const IS_PROMPT = quickRead(
  'is_prompt_for_grants',
  `select from registered_models m join registered_model_tags t on t.model_id = m.id and t.key = :key and lower(t.value) = 'true'
   where m.scope_id = :scope and m.name = :name`,
);

const OF_PROMPTS: ResourceType[] = ['prompt', 'prompt_version'];

/** A model as rights on it go. A prompt is a model too, and has its own rights; only who has such rights anywhere in the scope needs the question. */
async function modelResource({ db, caller }: Asking, scope: Scope, name: string) {
  const isPrompt =
    hasRightsOnPrompts(caller, scope) && (await run(db, IS_PROMPT, { scope: scope.id, name, key: IS_PROMPT_TAG })).length > 0;
  return { scope, type: isPrompt ? ('prompt' as const) : ('registered_model' as const), id: name };
}

/** The versions of a model as rights on them go. */
export async function versionResource(asking: Asking, scope: Scope, name: string) {
  const whole = await modelResource(asking, scope, name);
  return { scope, type: whole.type === 'prompt' ? ('prompt_version' as const) : ('registered_model_version' as const), id: '', whole };
}

type Naming = Services & { input: { name: string } };
type NamingInPath = Services & { input: { name: string; workspace?: string | undefined; registry?: string | undefined } };

/** A level on the model that the input names, in the scope of the request. */
export const canOnModel = (level: Level): Need<Naming> =>
  can(level, 'registered model', (context) => modelResource(context, context.scope, context.input.name));

/** A level on versions of the model that the input names. */
export const canOnVersion = (level: Level): Need<Naming> =>
  can(level, 'model version', (context) => versionResource(context, context.scope, context.input.name));

/** As `canOnModel`, for the workspace or registry that the path names. */
export const canOnModelInPath = (level: Level): Need<NamingInPath> =>
  can(level, 'registered model', async (context) => modelResource(context, await scopeOfPath(context, context.input), context.input.name));

/** As `canOnVersion`, for the workspace or registry that the path names. */
export const canOnVersionInPath = (level: Level): Need<NamingInPath> =>
  can(level, 'model version', async (context) => versionResource(context, await scopeOfPath(context, context.input), context.input.name));

/**
 * To make a model needs USE of a workspace, EDIT of a registry. A model that is there is told of first, to whom may read it: stock clients make the model before
 * every version, and go on only when it exists (trap T2).
 */
export const canCreateModel: Need<Naming & { input: { tags: { key: string; value: string }[] } }> = {
  level: 'USE',
  on: 'workspace, or EDIT on a registry',
  async check(context) {
    const { db, scope, caller, input } = context;
    if (mayDoAll(caller)) return 'granted';
    const mayKnow = levelOn(caller, await modelResource(context, scope, input.name)) !== null;
    if (mayKnow) await refuseTakenName(db, { scope: scope.id, name: input.name }, input.tags);
    return canInScope(scope.kind === 'registry' ? 'EDIT' : 'USE').check(context);
  },
};

/** True when the caller may read versions of a model: those of another are answered as if they were not there. */
export async function mayReadVersions(asking: Asking, scope: Scope, name: string): Promise<boolean> {
  return mayDoAll(asking.caller) || levelOn(asking.caller, await versionResource(asking, scope, name)) !== null;
}

/** Throws PERMISSION_DENIED unless the caller may add versions to a model. */
async function requireToAddVersions(asking: Asking, scope: Scope, name: string): Promise<void> {
  if (!mayDoAll(asking.caller)) requireLevel(asking.caller, 'EDIT', await versionResource(asking, scope, name));
}

const hasRightsOnPrompts = ({ grants }: Caller, scope: Scope): boolean => OF_PROMPTS.some((type) => grants.get(scope.id)?.types.has(type));

/** Which models, or prompts, of a scope a caller may read; null for all. */
export const visibleModels = (caller: Caller, scope: Scope, prompts: boolean): Visible | null =>
  visibleIn(caller, scope, prompts && hasRightsOnPrompts(caller, scope) ? 'prompt' : 'registered_model');

/** Of which models, or prompts, of a scope a caller may read the versions; null for all. */
export const visibleVersions = (caller: Caller, scope: Scope, prompts: boolean): Visible | null =>
  prompts && hasRightsOnPrompts(caller, scope)
    ? visiblePartsIn(caller, scope, 'prompt_version', 'prompt')
    : visiblePartsIn(caller, scope, 'registered_model_version', 'registered_model');

/**
 * To add a version in the workspace or registry that the path names: EDIT on the model, or, when it is to be made with its first version, what it takes to
 * make one there.
 */
export const canMakeVersionInPath: Need<NamingInPath> = {
  level: 'EDIT',
  on: 'registered model, or what it takes to make it',
  async check(context) {
    if (mayDoAll(context.caller)) return 'granted';
    return checkMaking(context, await scopeOfPath(context, context.input), context.input.name);
  },
};

async function checkMaking(context: Services, scope: Scope, name: string): Promise<Verdict> {
  const { caller } = context;
  const held = levelOn(caller, await versionResource(context, scope, name));
  if (allows(held, 'EDIT')) return 'granted';
  const makes = allows(levelOnScope(caller, scope), scope.kind === 'registry' ? 'EDIT' : 'USE');
  if (makes && !(await modelExists(context, scope, name))) return 'granted';
  await requireToAddVersions(context, scope, name);
  return 'granted';
}

/** As `canMakeVersionInPath`, for a promotion. */
export async function requireToMakeVersions(context: Services, scope: Scope, name: string): Promise<void> {
  if (!mayDoAll(context.caller)) await checkMaking(context, scope, name);
}

const EXISTS = quickRead('model_exists', 'select from registered_models where scope_id = :scope and name = :name');

const modelExists = async ({ db }: Pick<Services, 'db'>, { id: scope }: Scope, name: string): Promise<boolean> =>
  (await run(db, EXISTS, { scope, name })).length > 0;

/** Does `work`, which may make the model: then who asked for it has every right on it from the start. */
export async function makerOwnsNewModel<Result>(
  services: Services,
  scope: Scope,
  name: string,
  work: (services: Services) => Promise<Result>,
): Promise<Result> {
  const { caller, db } = services;
  if (caller.id === null || caller.isAdmin || (await modelExists(services, scope, name))) return work(services);
  return transaction(db, async (tx) => {
    const result = await work({ ...services, db: tx });
    await grantToMaker(tx, caller, { scope, type: 'registered_model', id: name });
    return result;
  });
}
