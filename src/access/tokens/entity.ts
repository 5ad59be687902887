import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy, int64, requiredText } from '../../platform/fields.ts';
import { checkLength, refuseUnseen } from '../../platform/names.ts';
import { LEVELS, type Level } from '../../platform/permission.ts';

const MAX_NAME_LENGTH = 255;

export const tokenName = requiredText.pipe(
  checkedBy((name) => {
    checkLength('name', MAX_NAME_LENGTH, name);
    refuseUnseen('name', name);
  }),
);

export const tokenLevel = z.custom<Level>((level) => (LEVELS as readonly unknown[]).includes(level), {
  error: ({ input }) => `Invalid permission '${input}'. Valid permissions are: ${LEVELS.join(', ')}.`,
});

/** Milliseconds since 1970, in the future. */
export const expiration = int64.check((context) => {
  if (context.value <= Date.now())
    context.issues.push({
      code: 'custom',
      message: 'expiration_timestamp must be in the future, in milliseconds since 1970.',
      input: context.value,
    });
});

/** Throws INVALID_PARAMETER_VALUE for names of none of these. */
export function refuseUnknownScopes(wanted: string[], known: string[]): void {
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw invalidParameter(`There is no workspace or registry '${unknown.join("', '")}' that the token could be for.`);
}

/** A token, without what it is: that is shown once, when it is made. Without scopes it is for all, without permission for all its user may do. */
export const Token = z.object({
  token_id: z.string(),
  username: z.string(),
  name: z.string(),
  scopes: z.array(z.string()).optional(),
  permission: z.string().optional(),
  creation_timestamp: z.number(),
  expiration_timestamp: z.number().optional(),
  last_used_timestamp: z.number().optional(),
});

export type TokenRow = {
  token_id: string;
  username: string;
  name: string;
  scopes: string[] | null;
  permission: string | null;
  creation_timestamp: number;
  expiration_timestamp: number | null;
  last_used_timestamp: number | null;
};

export const toToken = ({ scopes, permission, expiration_timestamp, last_used_timestamp, ...row }: TokenRow): z.infer<typeof Token> => ({
  ...row,
  ...(scopes !== null && { scopes }),
  ...(permission !== null && { permission }),
  ...(expiration_timestamp !== null && { expiration_timestamp }),
  ...(last_used_timestamp !== null && { last_used_timestamp }),
});
