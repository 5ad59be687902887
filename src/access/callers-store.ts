import { type Db, quickRead, run, statement } from '../platform/db/database.ts';
import type { Level } from '../platform/permission.ts';
import type { Grant } from './grants.ts';

/** A user as authentication needs it, with all that was granted to it: by name, by its roles, and by those of its groups. */
export type CallerRow = {
  id: number;
  username: string;
  password_hash: string | null;
  is_admin: boolean;
  is_service_account: boolean;
  grants: GrantRow[];
};
type GrantRow = [scope: number, type: string, pattern: string, permission: Grant['permission']];

const COLUMNS = `u.id, u.username, u.password_hash, u.is_admin, u.kind = 'SERVICE_ACCOUNT' as is_service_account,
  coalesce((
    select json_agg(json_build_array(r.scope_id, p.resource_type, p.resource_pattern, p.permission))
    from roles r join role_permissions p on p.role_id = r.id
    where r.user_id = u.id or r.group_id in (select m.group_id from group_members m where m.user_id = u.id)
      or r.id in (
        select a.role_id from role_assignments a
        where a.user_id = u.id or a.group_id in (select m.group_id from group_members m where m.user_id = u.id))
  ), '[]') as grants`;

export const toGrants = (rows: GrantRow[]): Grant[] =>
  rows.map(([scope, type, pattern, permission]) => ({ scope, type, pattern, permission }));

const BY_NAME = quickRead('caller_by_name', `select ${COLUMNS} from users u where u.username = :username`);

export async function findCaller(db: Db, username: string): Promise<CallerRow | null> {
  return (await run<CallerRow>(db, BY_NAME, { username }))[0] ?? null;
}

const BY_ID = quickRead('caller_by_id', `select ${COLUMNS} from users u where u.id = :id::bigint`);

export async function findCallerById(db: Db, id: number): Promise<CallerRow | null> {
  return (await run<CallerRow>(db, BY_ID, { id }))[0] ?? null;
}

/** The user of a token, with what the token itself limits. */
export type TokenRow = CallerRow & { token_id: string; kind: string; scope_ids: number[] | null; permission: Level | null };

const BY_TOKEN = quickRead(
  'caller_by_token',
  `select ${COLUMNS}, t.id as token_id, t.kind, t.permission,
     case when t.scopes is not null then
       coalesce((select array_agg(s.id::integer) from scopes s where s.name = any (t.scopes)), '{}') end as scope_ids
   from access_tokens t join users u on u.id = t.user_id
   where t.sha256 = :sha256 and t.kind = any (:kinds) and coalesce(t.expiration_timestamp > now_ms(), true)`,
);

/** The user of a token that has not expired, or null. */
export async function findCallerOfToken(db: Db, sha256: Buffer, kinds: string[]): Promise<TokenRow | null> {
  return (await run<TokenRow>(db, BY_TOKEN, { sha256, kinds }))[0] ?? null;
}

const USED = statement(
  'token_used',
  `update access_tokens set last_used_timestamp = now_ms()
   where id = :id::uuid and coalesce(last_used_timestamp < now_ms() - 60000, true)`,
);

/** Records that a token was used, to the minute. */
export async function recordTokenUse(db: Db, id: string): Promise<void> {
  await run(db, USED, { id });
}
