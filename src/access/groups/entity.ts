import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy, requiredText } from '../../platform/fields.ts';
import { Role } from '../roles/entity.ts';

const MAX_NAME_LENGTH = 255;

export const groupName = requiredText;

export const newGroupName = requiredText.pipe(
  checkedBy((name) => {
    if ([...name].length > MAX_NAME_LENGTH) throw invalidParameter(`The name of the group is longer than ${MAX_NAME_LENGTH} characters.`);
    if (name !== name.trim() || /\p{C}/u.test(name))
      throw invalidParameter('The name of a group must not begin or end with a blank, nor have characters that cannot be seen.');
  }),
);

export const Group = z.object({ name: z.string(), members: z.array(z.string()), roles: z.array(Role) });

/** A row is the answer: it is made as JSON by the database. */
export type GroupRow = z.infer<typeof Group>;
