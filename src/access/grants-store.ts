import { type Db, run, statement } from '../platform/db/database.ts';
import type { Caller } from './caller.ts';
import type { Resource } from './grants.ts';

const GRANT = statement(
  'grant_to_user',
  `with own as (
     insert into roles (scope_id, name, user_id) values (:scope, '__user_' || :user::bigint || '__', :user)
     on conflict (scope_id, name) do update set name = excluded.name
     returning id)
   insert into role_permissions (role_id, resource_type, resource_pattern, permission)
   select id, :type, :pattern, :permission from own
   on conflict (role_id, resource_type, resource_pattern) do update set permission = excluded.permission`,
);

/** Gives who made something every right on it. */
export async function grantToMaker(db: Db, caller: Caller, { scope, type, id }: Resource): Promise<void> {
  await run(db, GRANT, { scope: scope.id, user: caller.id, type, pattern: id, permission: 'MANAGE' });
}
