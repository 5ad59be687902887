import { type Db, run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import type { NamedScope } from '../named-scope.ts';
import type { GrantRow, HeldPermissionRow, Principal } from './entity.ts';

/** What was granted to one user or group by name is in a role of its own in each scope; a role of a name has its grants itself. */
const OWN_ROLE = {
  user: {
    find: 'select r.id from roles r join users u on u.id = r.user_id where u.username = :principal and r.scope_id = :scope',
    ensure: `insert into roles (scope_id, name, user_id) select :scope::bigint, '__user_' || u.id || '__', u.id from users u where u.username = :principal
      on conflict (scope_id, name) do update set name = excluded.name returning id`,
  },
  group: {
    find: 'select r.id from roles r join groups g on g.id = r.group_id where g.name = :principal and r.scope_id = :scope',
    ensure: `insert into roles (scope_id, name, group_id) select :scope::bigint, '__group_' || g.id || '__', g.id from groups g where g.name = :principal
      on conflict (scope_id, name) do update set name = excluded.name returning id`,
  },
  role: {
    find: 'select id from roles where name = :principal and scope_id = :scope and user_id is null and group_id is null',
    ensure: 'select id from roles where name = :principal and scope_id = :scope and user_id is null and group_id is null',
  },
};

const statementsOf = (kind: Principal['kind']) => {
  const { find, ensure } = OWN_ROLE[kind];
  const insert = (onConflict: string) =>
    `with own as (${ensure}), kept as (
       insert into role_permissions (role_id, resource_type, resource_pattern, permission)
       select id, :type, :pattern, :permission from own
       on conflict (role_id, resource_type, resource_pattern) ${onConflict} returning id)
     select (select count(*) from own) as principals, (select count(*) from kept) as kept`;
  return {
    add: statement(`add_grant_to_${kind}`, insert('do nothing')),
    set: statement(`set_grant_to_${kind}`, insert('do update set permission = excluded.permission')),
    find: statement(
      `find_grant_to_${kind}`,
      `select permission from role_permissions where role_id = (${find}) and resource_type = any (:types::text[]) and resource_pattern = :pattern`,
    ),
    change: statement(
      `change_grant_to_${kind}`,
      `update role_permissions set permission = :permission
       where role_id = (${find}) and resource_type = any (:types::text[]) and resource_pattern = :pattern returning id`,
    ),
    remove: statement(
      `remove_grant_to_${kind}`,
      `delete from role_permissions
       where role_id = (${find}) and resource_type = any (:types::text[]) and resource_pattern = :pattern returning id`,
    ),
  };
};

const STATEMENTS = { user: statementsOf('user'), group: statementsOf('group'), role: statementsOf('role') };

/** What is granted on: `types` are the names a kind of thing goes by in grants. */
export type Granted = { scope: NamedScope; types: string[]; pattern: string };

const bindings = ({ scope, types, pattern }: Granted, { name: principal }: Principal) => ({ scope: scope.id, types, pattern, principal });

async function write(db: Db, how: 'add' | 'set', on: Granted, principal: Principal, permission: string): Promise<boolean> {
  const { scope, types, pattern } = on;
  const values = { scope: scope.id, type: types[0], pattern, permission, principal: principal.name };
  const [row] = await run<{ principals: number; kept: number }>(db, STATEMENTS[principal.kind][how], values);
  if (!row || row.principals === 0) throw principalNotFound(principal, scope);
  return row.kept > 0;
}

function principalNotFound({ kind, name }: Principal, scope: NamedScope) {
  if (kind === 'user') return doesNotExist(`User with username=${name} not found`);
  return doesNotExist(kind === 'group' ? `Group '${name}' not found` : `Role with name=${name} in workspace=${scope.name} not found`);
}

/** Grants on the first of the types; false when something is granted to the principal on the same already. Throws RESOURCE_DOES_NOT_EXIST for no such principal. */
export const addGrant = (db: Db, on: Granted, principal: Principal, permission: string): Promise<boolean> =>
  write(db, 'add', on, principal, permission);

/** As `addGrant`, in place of what is granted already. */
export async function setGrant(db: Db, on: Granted, principal: Principal, permission: string): Promise<void> {
  await write(db, 'set', on, principal, permission);
}

/** What is granted to a principal itself, or null. */
export async function findGrant(db: Db, on: Granted, principal: Principal): Promise<string | null> {
  const [row] = await run<{ permission: string }>(db, STATEMENTS[principal.kind].find, bindings(on, principal));
  return row?.permission ?? null;
}

/** False when there is none to change. */
export const changeGrant = async (db: Db, on: Granted, principal: Principal, permission: string): Promise<boolean> =>
  (await run(db, STATEMENTS[principal.kind].change, { ...bindings(on, principal), permission })).length > 0;

/** False when there is none to remove. */
export const removeGrant = async (db: Db, on: Granted, principal: Principal): Promise<boolean> =>
  (await run(db, STATEMENTS[principal.kind].remove, bindings(on, principal))).length > 0;

const LIST = statement(
  'list_grants',
  `select coalesce('user:' || u.username, 'group:' || g.name, 'role:' || r.name) as principal, p.resource_type, p.resource_pattern, p.permission
   from roles r join role_permissions p on p.role_id = r.id
     left join users u on u.id = r.user_id left join groups g on g.id = r.group_id
   where r.scope_id = :scope and (:types::text[] is null or (p.resource_type = any (:types) and p.resource_pattern = :pattern::text))
   order by principal, p.resource_type, p.resource_pattern`,
);

/** What is granted in a scope, or on one thing of it. */
export const listGrants = (db: Db, scope: NamedScope, on: Pick<Granted, 'types' | 'pattern'> | null): Promise<GrantRow[]> =>
  run<GrantRow>(db, LIST, { scope: scope.id, types: on?.types ?? null, pattern: on?.pattern ?? null });

const LIST_HELD = statement(
  'list_held_permissions',
  `select r.id as role_id, r.name as role_name, s.name as workspace, p.resource_type, p.resource_pattern, p.permission, held.group
   from (
     select r.id as role_id, null as group from roles r where r.user_id = :user::bigint
     union select a.role_id, null from role_assignments a where a.user_id = :user
     union select r.id, g.name from group_members m join groups g on g.id = m.group_id join roles r on r.group_id = g.id where m.user_id = :user
     union select a.role_id, g.name from group_members m join groups g on g.id = m.group_id join role_assignments a on a.group_id = g.id
       where m.user_id = :user) held
     join roles r on r.id = held.role_id join scopes s on s.id = r.scope_id join role_permissions p on p.role_id = r.id
   where :scopes::bigint[] is null or r.scope_id = any (:scopes)
   order by r.id, p.id, held.group nulls first`,
);

/** All a user was granted: by name, by roles and by groups; in the scopes of these ids, or in all for null. */
export const listHeldPermissions = (db: Db, user: number, scopes: number[] | null): Promise<HeldPermissionRow[]> =>
  run<HeldPermissionRow>(db, LIST_HELD, { user, scopes });

const MODEL_TYPE = statement(
  'model_type_for_grants',
  `select exists (select from registered_model_tags t where t.model_id = m.id and t.key = 'mlflow.prompt.is_prompt' and lower(t.value) = 'true') as prompt
   from registered_models m where m.scope_id = :scope and m.name = :name`,
);

/** Under which type a model is granted on: prompts are models that have their own. Null for no model of that name. */
export async function findModelType(db: Db, scope: NamedScope, name: string): Promise<'registered_model' | 'prompt' | null> {
  const [row] = await run<{ prompt: boolean }>(db, MODEL_TYPE, { scope: scope.id, name });
  return row ? (row.prompt ? 'prompt' : 'registered_model') : null;
}

const HAS_EXPERIMENT = statement('has_experiment', 'select from experiments where scope_id = :scope and experiment_id = :id::bigint');

export const hasExperiment = async (db: Db, scope: NamedScope, id: string): Promise<boolean> =>
  (await run(db, HAS_EXPERIMENT, { scope: scope.id, id })).length > 0;

type WorkspacePermissionRow = { workspace: string; user_id: number; permission: string };

const LIST_ON_SCOPES = statement(
  'list_grants_on_scopes',
  `select s.name as workspace, r.user_id, p.permission
   from roles r join scopes s on s.id = r.scope_id join role_permissions p on p.role_id = r.id
   where r.user_id is not null and p.resource_type in ('workspace', 'registry') and p.resource_pattern = '*'
     and (:scope::bigint is null or r.scope_id = :scope) and (:user::bigint is null or r.user_id = :user)
   order by s.name, r.user_id`,
);

/** What users were granted by name on a whole scope, or one user on all scopes. */
export const listGrantsOnScopes = (
  db: Db,
  of: { scope: number; user: null } | { scope: null; user: number },
): Promise<WorkspacePermissionRow[]> => run<WorkspacePermissionRow>(db, LIST_ON_SCOPES, of);
