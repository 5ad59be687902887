import { z } from 'zod';
import { mayDoAll } from '../../access/can.ts';
import { endpoint, type Services } from '../../endpoint.ts';
import { invalidParameter, missingValue } from '../../platform/errors.ts';
import { int64 } from '../../platform/fields.ts';
import type { Need, Verdict } from '../../platform/permission.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import { registryName } from '../../scopes/registries/entity.ts';
import { findScope, getNamedScope } from '../../scopes/store.ts';
import { scopeInPath, scopeOfPath } from '../asset-scope.ts';
import { versionNumber } from '../model-versions/entity.ts';
import { parseAssetUri } from '../model-versions/source-uri.ts';
import { makerOwnsNewModel, mayReadVersions, requireToMakeVersions } from '../permissions.ts';
import { aliasName, modelName, newAliasName, newModelName } from '../registered-models/entity.ts';
import { Promotion, toPromotion } from './entity.ts';
import { promote } from './promote.ts';
import { getPromotion, listPromotions, promotionNotFound } from './store.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;
const MAX_REASON = 5000;
const MAX_VERSION = 999_999_999;

const Source = z.object({
  ...scopeInPath,
  /** Instead of all the rest: azureml://workspaces/<workspace>/models/<name>/versions/<version>, or of a registry. */
  uri: z.string().optional(),
  asset_type: z.literal('models', "asset_type must be 'models'.").default('models'),
  name: modelName.optional(),
  version: versionNumber.optional(),
  alias: aliasName.optional(),
});
const Target = z.object({
  registry: registryName,
  name: newModelName('target.name').optional(),
  version: int64
    .pipe(z.number().int().min(1).max(MAX_VERSION, `target.version must be a whole number from 1 to ${MAX_VERSION}.`))
    .optional(),
});

/** The scope and model that a source names, and the URI that the version has there. Throws INVALID_PARAMETER_VALUE. */
function readSource({ uri, workspace, registry, name, version, alias }: z.output<typeof Source>) {
  if (uri !== undefined) {
    const asset = parseAssetUri(uri);
    if (asset.kind !== 'model' || (workspace ?? registry ?? name ?? version ?? alias) !== undefined)
      throw invalidParameter(
        "Name the source either by 'uri', the URI of a model, or by its workspace or registry, name, and version or alias.",
      );
    return { path: { [asset.scope.kind]: asset.scope.name }, name: asset.name, uri };
  }
  if (name === undefined) throw missingValue('source.name');
  if ((workspace === undefined) === (registry === undefined))
    throw invalidParameter("Name either 'workspace' or 'registry' as the source.");
  if ((version === undefined) === (alias === undefined)) throw invalidParameter("Name either 'version' or 'alias' of the source.");
  return { path: { workspace, registry }, name, uri: version === undefined ? `models:/${name}@${alias}` : `models:/${name}/${version}` };
}

const canPromote: Need<Services & { input: { source: z.output<typeof Source>; target: z.output<typeof Target> } }> = {
  level: 'EDIT',
  on: 'registered model of the registry, or on the registry when it is to be made',
  async check(context): Promise<Verdict> {
    const { source, target } = context.input;
    if (mayDoAll(context.caller)) return 'granted';
    const registry = await getNamedScope(context, target.registry, 'registry');
    await requireToMakeVersions(context, registry, target.name ?? readSource(source).name);
    return 'granted';
  },
};

const create = endpoint({
  op: 'promotion.create',
  summary: 'Promote a version of a workspace or registry into a registry: its files are shared, where it came from is kept',
  method: 'POST',
  apiVersion: '1.0',
  path: '/promotions',
  effect: 'write',
  status: 201,
  input: z.object({
    source: Source,
    target: Target,
    set_aliases: z.array(newAliasName).default([]),
    reason: z.string().max(MAX_REASON, `The reason is longer than ${MAX_REASON} characters.`).default(''),
    dry_run: z.boolean().default(false),
  }),
  output: Promotion.extend({ dry_run: z.boolean().optional() }),
  permission: canPromote,
  state: ({ output }) => output?.target,
  async handler({ input: { source, target, set_aliases: aliases, reason, dry_run: dryRun }, ...services }) {
    const { path, name, uri } = readSource(source);
    const [from, registry] = [await scopeOfPath(services, path), await getNamedScope(services, target.registry, 'registry')];
    const asSeenThere: Services = { ...services, address: { ...services.address, scope: from, byPath: true } };
    const targetName = target.name ?? name;
    const make = (with_: Services) =>
      promote(
        with_,
        registry,
        { scope: registry.id, name: targetName },
        {
          source: uri,
          tags: [],
          run_link: '',
          description: '',
          explicitVersion: target.version ?? null,
          aliases,
          reason,
          makesModel: true,
          dryRun,
        },
      );
    const { promotion } = await (dryRun ? make(asSeenThere) : makerOwnsNewModel(asSeenThere, registry, targetName, make));
    return { ...toPromotion(promotion), ...(dryRun && { dry_run: true }) };
  },
});

const get = endpoint({
  op: 'promotion.get',
  summary: 'Get a promotion',
  method: 'GET',
  apiVersion: '1.0',
  path: '/promotions/:promotion_id',
  effect: 'read',
  input: z.object({ promotion_id: z.string() }),
  output: Promotion,
  permission: 'authenticated',
  async handler({ input, ...services }) {
    const promotion = await getPromotion(services.db, input.promotion_id);
    const { registry = '', name = '' } = promotion.target as { registry?: string; name?: string };
    const scope = mayDoAll(services.caller) ? null : await findScope(services.db, registry);
    if (scope && !(await mayReadVersions(services, scope, name))) throw promotionNotFound(input.promotion_id);
    return toPromotion(promotion);
  },
});

const list = endpoint({
  op: 'promotion.list',
  summary: 'List promotions, newest first; of one registry, or of one model of it',
  method: 'GET',
  apiVersion: '1.0',
  path: '/promotions',
  effect: 'read',
  input: z.object({
    registry: z.string().default(''),
    name: z.string().default(''),
    max_results: searchLimit(MAX_RESULTS).default(DEFAULT_RESULTS),
    page_token: z.string().default(''),
  }),
  output: z.object({ promotions: z.array(Promotion), next_page_token: z.string().optional() }),
  permission: 'authenticated',
  async handler({ db, caller, input: { registry, name, max_results, page_token } }) {
    const rows = await listPromotions(db, caller, { registry, name }, readPageToken(page_token), max_results + 1);
    const page = rows.slice(0, max_results);
    const last = page.at(-1);
    return {
      promotions: page.map(toPromotion),
      ...(rows.length > page.length && last && { next_page_token: `${last.creation_timestamp}_${last.promotion_id}` }),
    };
  },
});

function readPageToken(token: string): { creation_timestamp: number; promotion_id: string } | null {
  if (token === '') return null;
  const [, time, promotionId] = /^(\d{1,15})_([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/.exec(token) ?? [];
  if (!time || !promotionId) throw invalidParameter('Invalid page_token: use the next_page_token of the page before.');
  return { creation_timestamp: Number(time), promotion_id: promotionId };
}

export const promotionEndpoints = [create, list, get];
