import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy, requiredText } from '../../platform/fields.ts';
import { toOlder } from '../grants/entity.ts';
import { Role, type RoleRow } from '../roles/entity.ts';

const MAX_USERNAME_LENGTH = 255;

/** The name of a user that may be there; one to be made is `newUsername`. */
export const username = requiredText;

/** As Basic credentials can carry it: without a colon, white space and what nobody can see. */
export const newUsername = requiredText.pipe(
  checkedBy((name) => {
    if ([...name].length > MAX_USERNAME_LENGTH) throw invalidParameter(`The user name is longer than ${MAX_USERNAME_LENGTH} characters.`);
    if (/[\s:\p{C}]/u.test(name))
      throw invalidParameter('A user name must not contain white space, colons or characters that cannot be seen.');
  }),
);

/**
 * A user as all generations of clients read it: 3.17 the first three fields, 2.x and 3.10 also what was granted to the user by name. Scorers there are
 * none here.
 */
export const User = z.object({
  id: z.number(),
  username: z.string(),
  is_admin: z.boolean(),
  kind: z.string(),
  experiment_permissions: z.array(z.object({ experiment_id: z.string(), user_id: z.number(), permission: z.string() })),
  registered_model_permissions: z.array(z.object({ workspace: z.string(), name: z.string(), user_id: z.number(), permission: z.string() })),
  scorer_permissions: z.array(z.never()),
});

export type UserRow = { id: number; username: string; is_admin: boolean; kind: 'USER' | 'SERVICE_ACCOUNT' };
export type UserWithGrantsRow = UserRow & {
  granted: { workspace: string; resource_type: string; resource_pattern: string; permission: string }[];
};

export function toUser({ granted, ...user }: UserWithGrantsRow): z.infer<typeof User> {
  const { id: user_id, username, is_admin, kind } = user;
  const ofExperiments = granted.filter(({ resource_type: type }) => type === 'experiment');
  // Older clients know prompts as models.
  const ofModels = granted.filter(({ resource_type: type }) => type === 'registered_model' || type === 'prompt');
  return {
    id: user_id,
    username,
    is_admin,
    kind,
    experiment_permissions: ofExperiments.map(({ resource_pattern: experiment_id, permission }) => ({
      experiment_id,
      user_id,
      permission: toOlder(permission),
    })),
    registered_model_permissions: ofModels.map(({ workspace, resource_pattern: name, permission }) => ({
      workspace,
      name,
      user_id,
      permission: toOlder(permission),
    })),
    scorer_permissions: [],
  };
}

export const ListedUser = z.object({
  id: z.number(),
  username: z.string(),
  is_admin: z.boolean(),
  kind: z.string(),
  roles: z.array(Role),
});
export type ListedUserRow = UserRow & { roles: RoleRow[] };

export const ServiceAccount = z.object({ id: z.number(), username: z.string(), is_admin: z.boolean() });

export const toServiceAccount = ({ id, username, is_admin }: UserRow): z.infer<typeof ServiceAccount> => ({ id, username, is_admin });
