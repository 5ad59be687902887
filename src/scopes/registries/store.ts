import type { Caller } from '../../access/caller.ts';
import { enterable, IS_ENTERABLE } from '../../access/enterable.ts';
import { type Db, FOREIGN_KEY_VIOLATION, isDatabaseError, run, statement } from '../../platform/db/database.ts';
import { alreadyExists, invalidState } from '../../platform/errors.ts';
import { registryNotFound } from '../store.ts';
import type { RegistryRow } from './entity.ts';

const COLUMNS = `s.name, s.display_name, s.description, s.tags, s.visibility, s.owner, s.creation_timestamp, s.last_updated_timestamp,
  (select count(*) from registered_models m where m.scope_id = s.id) as models`;

function single(rows: RegistryRow[], name: string): RegistryRow {
  if (!rows[0]) throw registryNotFound(name);
  return rows[0];
}

const LIST = statement(
  'list_registries',
  `select ${COLUMNS} from scopes s where s.kind = 'registry' and s.name > :after and ${IS_ENTERABLE} order by s.name limit :limit::bigint`,
);

/** Registries that the caller may know of by name, from the one after `after`. */
export const listRegistries = (db: Db, caller: Caller, after: string, limit: number): Promise<RegistryRow[]> =>
  run<RegistryRow>(db, LIST, { after, limit, ...enterable(caller) });

const GET = statement('get_registry', `select ${COLUMNS} from scopes s where s.kind = 'registry' and s.name = :name`);

/** Throws RESOURCE_DOES_NOT_EXIST. */
export async function getRegistry(db: Db, name: string): Promise<RegistryRow> {
  return single(await run<RegistryRow>(db, GET, { name }), name);
}

export type RegistrySettings = {
  display_name: string;
  description: string;
  tags: Record<string, string>;
  visibility: string;
  owner: string;
};

const MODELS_OF_THAT_NAME = statement(
  'models_like_registry',
  `select s.name as workspace, m.name from registered_models m join scopes s on s.id = m.scope_id
   where m.name like :name || '.%' and s.kind = 'workspace' order by s.name, m.name limit 11`,
);

const INSERT = statement(
  'insert_registry',
  `with s as (
     insert into scopes (kind, name, display_name, description, tags, visibility, owner, hides_models)
     values ('registry', :name, :display_name, :description, :tags::jsonb, :visibility, :owner, :hides_models)
     on conflict (name) do nothing
     returning *)
   select ${COLUMNS} from s`,
);

/**
 * Throws RESOURCE_ALREADY_EXISTS for the name of a registry or workspace, which share one name space; INVALID_STATE, unless `force`, while workspaces have
 * models whose names begin with this one and a dot: after it they would mean the registry's.
 */
export async function insertRegistry(db: Db, name: string, settings: RegistrySettings, force: boolean): Promise<RegistryRow> {
  const hidden = await run<{ workspace: string; name: string }>(db, MODELS_OF_THAT_NAME, { name });
  if (hidden.length > 0 && !force) {
    const shown = hidden.slice(0, 10).map((model) => `${model.name} in workspace ${model.workspace}`);
    throw invalidState(
      `'${name}.<model>' would mean the registry, and hide models that are there: ${shown.join(', ')}${hidden.length > 10 ? ', …' : ''}. ` +
        'Rename them, or send force=true: then they are reached by their workspace alone (X-MLFLOW-WORKSPACE or /workspaces/<name>).',
    );
  }
  const [row] = await run<RegistryRow>(db, INSERT, {
    name,
    ...settings,
    tags: JSON.stringify(settings.tags),
    hides_models: hidden.length > 0,
  });
  if (!row) throw alreadyExists(`Registry '${name}' already exists, or a workspace has this name.`);
  return row;
}

const UPDATE = statement(
  'update_registry',
  `with s as (
     update scopes set
       display_name = coalesce(:display_name::text, display_name), description = coalesce(:description::text, description),
       tags = coalesce(:tags::jsonb, tags), visibility = coalesce(:visibility::text, visibility), owner = coalesce(:owner::text, owner),
       last_updated_timestamp = now_ms()
     where kind = 'registry' and name = :name
     returning *)
   select ${COLUMNS} from s`,
);

/** Changes what is given; null leaves it. Throws RESOURCE_DOES_NOT_EXIST. */
export async function updateRegistry(
  db: Db,
  name: string,
  { tags, ...settings }: { [Setting in keyof RegistrySettings]: RegistrySettings[Setting] | null },
): Promise<RegistryRow> {
  return single(await run<RegistryRow>(db, UPDATE, { name, ...settings, tags: tags && JSON.stringify(tags) }), name);
}

const DELETE = statement('delete_registry', `delete from scopes where kind = 'registry' and name = :name returning id`);

/** Removes an empty registry. Throws RESOURCE_DOES_NOT_EXIST; INVALID_STATE while something is in it. */
export async function deleteRegistry(db: Db, name: string): Promise<void> {
  try {
    if ((await run(db, DELETE, { name })).length === 0) throw registryNotFound(name);
  } catch (error) {
    if (!isDatabaseError(error, FOREIGN_KEY_VIOLATION)) throw error;
    throw invalidState(`Registry '${name}' is not empty: delete or move its models first.`);
  }
}
