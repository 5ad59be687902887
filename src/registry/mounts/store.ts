import { type Db, identityOf, isPool, primaryOf, quickRead, run, statement } from '../../platform/db/database.ts';
import { alreadyExists, doesNotExist, invalidParameter } from '../../platform/errors.ts';
import type { Scope } from '../../scopes/entity.ts';
import { IS_PROMPT_TAG, type ModelKey } from '../registered-models/entity.ts';
import { type Mount, type MountRow, toMount } from './entity.ts';

// Another server may have changed a mount, or renamed or deleted what it means: for so long this one may not know.
const KNOWN_FOR_MS = 1000;

type Mounts = Map<number, Map<string, Mount>>;

const knownOf = new WeakMap<Db, { until: number; mounts: Promise<Mounts> }>();

const MOUNT_COLUMNS = `
  m.name as local_name, coalesce(s.name, mount.registry) as registry, coalesce(target.name, mount.name) as name, target.scope_id as target_scope_id,
  mount.alias_map, m.creation_timestamp, m.last_updated_timestamp`;

/** Mounts are few, and models many: `offset 0` keeps the planner from going through the models. */
const FROM_MOUNTS = `
  from mounts mount cross join lateral (select * from registered_models where id = mount.model_id offset 0) m
  left join registered_models target on target.id = mount.target_id left join scopes s on s.id = target.scope_id`;

const ALL = quickRead('all_mounts', `select m.scope_id, ${MOUNT_COLUMNS} ${FROM_MOUNTS}`);

async function readMounts(db: Db): Promise<Mounts> {
  const mounts: Mounts = new Map();
  for (const { scope_id, ...row } of await run<MountRow & { scope_id: number }>(db, ALL)) {
    mounts.set(scope_id, (mounts.get(scope_id) ?? new Map()).set(row.local_name, toMount(row)));
  }
  return mounts;
}

/**
 * The mounts of a workspace by their local names, as they were at most a second ago; what this server does to them is seen at once (`forgetMounts`). All
 * workspaces' are read together: one small query a second, whatever the number of requests. In a transaction they are read as they are.
 */
export async function mountsOf(reader: Db, { id }: Scope): Promise<ReadonlyMap<string, Mount>> {
  const db = primaryOf(reader);
  if (!isPool(db)) return (await readMounts(db)).get(id) ?? NONE;
  const now = performance.now();
  const identity = identityOf(db);
  let known = knownOf.get(identity);
  if (!known || now >= known.until) {
    known = { until: now + KNOWN_FOR_MS, mounts: readMounts(db) };
    knownOf.set(identity, known);
    known.mounts.catch(() => forgetMounts(db));
  }
  return (await known.mounts).get(id) ?? NONE;
}

const NONE: ReadonlyMap<string, Mount> = new Map();

/** To be called when mounts, or models of registries, were changed. */
export function forgetMounts(db: Db): void {
  knownOf.delete(identityOf(db));
}

const LIST = statement(
  'list_mounts',
  `select ${MOUNT_COLUMNS} ${FROM_MOUNTS} where m.scope_id = :scope and m.name > :after order by m.name limit :limit::bigint`,
);

/** The mounts of a workspace by local name, from the one after `after`. */
export const listMounts = (db: Db, { id: scope }: Scope, after: string, limit: number): Promise<MountRow[]> =>
  run<MountRow>(db, LIST, { scope, after, limit });

const GET = quickRead(
  'get_mount',
  `select ${MOUNT_COLUMNS}
   from registered_models m join mounts mount on mount.model_id = m.id
   left join registered_models target on target.id = mount.target_id left join scopes s on s.id = target.scope_id
   where m.scope_id = :scope and m.name = :name`,
);

const noMount = (workspace: Scope, name: string) => doesNotExist(`Workspace '${workspace.name}' has no mount '${name}'`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getMount(db: Db, workspace: Scope, name: string): Promise<MountRow> {
  const [row] = await run<MountRow>(db, GET, { scope: workspace.id, name });
  if (!row) throw noMount(workspace, name);
  return row;
}

const SET = statement(
  'set_mount',
  `with target as (
     select t.id, exists (select from registered_model_tags tag where tag.model_id = t.id and tag.key = '${IS_PROMPT_TAG}') as is_prompt
     from registered_models t where t.scope_id = :target_scope and t.name = :target_name),
   place as (
     insert into registered_models (scope_id, name) select :scope, :name from target where not is_prompt
     on conflict (scope_id, name) do update set last_updated_timestamp = now_ms()
       where exists (select from mounts where model_id = registered_models.id)
     returning id),
   mount as (
     insert into mounts (model_id, target_id, registry, name, alias_map)
     select place.id, target.id, :registry, :target_name, :alias_map::jsonb from place, target
     on conflict (model_id) do update
       set target_id = excluded.target_id, registry = excluded.registry, name = excluded.name, alias_map = excluded.alias_map
     returning model_id)
   select exists (select from target) as has_target, exists (select from target where is_prompt) as is_prompt, exists (select from mount) as is_set`,
);

export const modelNotFound = ({ name: registry }: Scope, name: string) =>
  doesNotExist(`Registered Model with name=${registry}.${name} not found: registry '${registry}' has no model '${name}'.`);

/**
 * Makes or changes a mount. Throws RESOURCE_DOES_NOT_EXIST when the registry has no such model, INVALID_PARAMETER_VALUE for a prompt,
 * RESOURCE_ALREADY_EXISTS when the workspace has a model of its own of that name.
 */
export async function setMount(
  db: Db,
  workspace: Scope,
  localName: string,
  { registry, name, aliasMap }: { registry: Scope; name: string; aliasMap: Record<string, string> },
): Promise<MountRow> {
  const [done] = await run<{ has_target: boolean; is_prompt: boolean; is_set: boolean }>(db, SET, {
    scope: workspace.id,
    name: localName,
    target_scope: registry.id,
    target_name: name,
    registry: registry.name,
    alias_map: JSON.stringify(aliasMap),
  });
  const target = `${registry.name}.${name}`;
  if (!done?.has_target) throw modelNotFound(registry, name);
  if (done.is_prompt)
    throw invalidParameter(`'${target}' is a prompt, and only models are mounted. It is read as 'prompts:/${target}/<version>'.`);
  if (!done.is_set) {
    throw alreadyExists(
      `Registered Model (name=${localName}) already exists: workspace '${workspace.name}' has it as its own. Rename or delete it first, or mount '${target}' by another name.`,
    );
  }
  return getMount(db, workspace, localName);
}

const DELETE = statement(
  'delete_mount',
  `delete from registered_models m using mounts mount where m.scope_id = :scope and m.name = :name and mount.model_id = m.id returning m.id`,
);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function deleteMount(db: Db, workspace: Scope, name: string): Promise<void> {
  const key: ModelKey = { scope: workspace.id, name };
  const gone = await run(db, DELETE, key);
  if (gone.length === 0) throw noMount(workspace, name);
}
