import { type Db, run, statement } from '../../platform/db/database.ts';
import { doesNotExist } from '../../platform/errors.ts';
import type { Caller } from '../caller.ts';
import { enterable, IS_ENTERABLE } from '../enterable.ts';
import type { TokenRow } from './entity.ts';

const COLUMNS = `t.id as token_id, u.username, t.name, t.scopes, t.permission, t.creation_timestamp, t.expiration_timestamp, t.last_used_timestamp`;

const KNOWN = statement('known_scopes', `select s.name from scopes s where s.name = any (:names::text[]) and ${IS_ENTERABLE}`);

/** Those of the names that are workspaces or registries the caller may know of. */
export const knownScopes = async (db: Db, caller: Caller, names: string[]): Promise<string[]> =>
  (await run<{ name: string }>(db, KNOWN, { names, ...enterable(caller) })).map(({ name }) => name);

const INSERT = statement(
  'insert_token',
  `with t as (
     insert into access_tokens (user_id, kind, name, sha256, scopes, permission, expiration_timestamp)
     values (:user::bigint, 'PERSONAL', :name, :sha256, :scopes::text[], :permission, :expiration::bigint)
     returning *)
   select ${COLUMNS} from t join users u on u.id = t.user_id`,
);

export type NewToken = {
  user: number;
  name: string;
  sha256: Buffer;
  scopes: string[] | null;
  permission: string | null;
  expiration: number | null;
};

export async function insertToken(db: Db, token: NewToken): Promise<TokenRow> {
  const [row] = await run<TokenRow>(db, INSERT, token);
  if (!row) throw doesNotExist('The user of the token has just been removed.');
  return row;
}

const LIST = statement(
  'list_tokens',
  `select ${COLUMNS} from access_tokens t join users u on u.id = t.user_id
   where t.kind = 'PERSONAL' and u.username = :username order by t.creation_timestamp desc, t.id`,
);

/** The tokens of a user, newest first. */
export const listTokens = (db: Db, username: string): Promise<TokenRow[]> => run<TokenRow>(db, LIST, { username });

const DELETE = statement(
  'delete_token',
  `delete from access_tokens where id::text = :id and kind = 'PERSONAL' and (:user::bigint is null or user_id = :user) returning id`,
);

/** Withdraws a token; of one user alone, unless that is null. Throws RESOURCE_DOES_NOT_EXIST. */
export async function deleteToken(db: Db, id: string, user: number | null): Promise<void> {
  if ((await run(db, DELETE, { id, user })).length === 0) throw doesNotExist(`Token with id=${id} not found`);
}
