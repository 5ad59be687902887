import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { requiredText } from '../../platform/fields.ts';
import type { Caller } from '../caller.ts';
import { permissionDenied } from '../can.ts';
import { newToken } from '../new-token.ts';
import { getUser } from '../users/store.ts';
import { expiration, refuseUnknownScopes, Token, tokenLevel, tokenName, toToken } from './entity.ts';
import { deleteToken, insertToken, knownScopes, listTokens } from './store.ts';

const ours = { apiVersion: '1.0', scoped: false, permission: 'authenticated' } as const;

/** Throws PERMISSION_DENIED for a token that would otherwise make one with more rights than its own, or withdraw others. */
function refuseLimited({ limited, username }: Caller): void {
  if (limited)
    throw permissionDenied(
      `This token of '${username}' is limited: tokens are made and withdrawn with a password or a token without limits.`,
    );
}

function refuseOthers({ isAdmin, username }: Caller, wanted: string): void {
  if (!isAdmin && wanted !== username)
    throw permissionDenied(`Permission denied: only administrators see and make tokens of others, and '${username}' is none.`);
}

const create = endpoint({
  ...ours,
  op: 'token.create',
  summary: 'Make a token for oneself; administrators also for others and for service accounts. It is shown this once',
  method: 'POST',
  path: '/tokens',
  effect: 'write',
  status: 201,
  input: z.object({
    name: tokenName,
    username: z.string().default(''),
    scopes: z.array(requiredText).nullable().default(null),
    permission: tokenLevel.nullable().default(null),
    expiration_timestamp: expiration.nullable().default(null),
  }),
  output: Token.extend({ token: z.string() }),
  async handler({ db, caller, input: { name, username, scopes, permission, expiration_timestamp } }) {
    const wanted = username || caller.username;
    refuseLimited(caller);
    refuseOthers(caller, wanted);
    const user = await getUser(db, wanted);
    if (scopes !== null) refuseUnknownScopes(scopes, await knownScopes(db, caller, scopes));
    const { token, sha256 } = newToken();
    const row = await insertToken(db, { user: user.id, name, sha256, scopes, permission, expiration: expiration_timestamp });
    return { ...toToken(row), token };
  },
});

const list = endpoint({
  ...ours,
  op: 'token.list',
  summary: 'List the tokens of the caller; administrators also those of others',
  method: 'GET',
  path: '/tokens',
  effect: 'read',
  input: z.object({ username: z.string().default('') }),
  output: z.object({ tokens: z.array(Token) }),
  async handler({ db, caller, input }) {
    const wanted = input.username || caller.username;
    refuseOthers(caller, wanted);
    const { username } = await getUser(db, wanted);
    return { tokens: (await listTokens(db, username)).map(toToken) };
  },
});

const remove = endpoint({
  ...ours,
  op: 'token.delete',
  summary: 'Withdraw a token: it is good for a second more at most',
  method: 'DELETE',
  path: '/tokens/:token_id',
  effect: 'write',
  input: z.object({ token_id: requiredText }),
  output: z.object({}),
  async handler({ db, caller, input }) {
    if (input.token_id !== caller.tokenId) refuseLimited(caller);
    await deleteToken(db, input.token_id, caller.isAdmin ? null : caller.id);
    return {};
  },
});

export const tokenEndpoints = [create, list, remove];
