import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy } from '../../platform/fields.ts';
import { checkLength } from '../../platform/names.ts';
import { pythonInt, pythonRepr } from '../../platform/python.ts';

const MAX_NAME_LENGTH = 255;
const MAX_DESCRIPTION_LENGTH = 5000;
const RESERVED = ['__user_', '__group_'];

/** A number of the server's own, as a number or a text that Python's int() reads (mlflow/server/auth/__init__.py, _coerce_int_param). */
export const idParam = (name: string) =>
  z
    .preprocess((value) => (typeof value === 'number' || typeof value === 'bigint' ? String(value) : value), z.string())
    .pipe(
      checkedBy((text) => {
        const id = pythonInt(text);
        if (id === null || id > Number.MAX_SAFE_INTEGER || id < Number.MIN_SAFE_INTEGER)
          throw invalidParameter(`Parameter '${name}' must be an integer. Got: ${pythonRepr(text)}`);
      }),
    )
    .transform((text) => Number(pythonInt(text)));

/** Throws INVALID_PARAMETER_VALUE for what cannot name a role; what was granted to one user or group by name is kept in roles of reserved names. */
export const newRoleName = z.string().pipe(
  checkedBy((name) => {
    if (name.trim() === '') throw invalidParameter('Role name cannot be empty.');
    checkLength('name', MAX_NAME_LENGTH, name);
    const prefix = RESERVED.find((reserved) => name.startsWith(reserved));
    if (prefix !== undefined)
      throw invalidParameter(
        `Role name ${pythonRepr(name)} uses the reserved '${prefix}' prefix, which is held for the per-${prefix.slice(2, -1)} permission` +
          ' representation. Choose a different name.',
      );
  }),
);

export const roleDescription = checkedBy((text) => checkLength('description', MAX_DESCRIPTION_LENGTH, text));

export const RolePermission = z.object({
  id: z.number(),
  role_id: z.number(),
  resource_type: z.string(),
  resource_pattern: z.string(),
  permission: z.string(),
});

/** `workspace` names the workspace or registry it is of. */
export const Role = z.object({
  id: z.number(),
  name: z.string(),
  workspace: z.string(),
  description: z.string().nullable(),
  permissions: z.array(RolePermission),
});

/** A row is the answer: it is made as JSON by the database. */
export type RoleRow = z.infer<typeof Role>;
export type RolePermissionRow = z.infer<typeof RolePermission>;

export const Assignment = z.object({ id: z.number(), user_id: z.number(), role_id: z.number() });
