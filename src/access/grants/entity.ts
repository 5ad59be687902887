import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy } from '../../platform/fields.ts';
import { checkLength } from '../../platform/names.ts';
import { pythonRepr } from '../../platform/python.ts';
import { NAMED_TYPES, PART_TYPES, type ResourceType, SCOPE_TYPES } from '../grants.ts';

const MAX_PATTERN_LENGTH = 500;

const PERMISSIONS = ['READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS', 'DENY'];
const GRANTABLE = ['DENY', 'EDIT', 'MANAGE', 'READ', 'USE'];
/** What clients before 3.17 know. */
const OLDER_PERMISSIONS = ['READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS'];

const tuple = (names: readonly string[]) => `(${names.map(pythonRepr).join(', ')})`;

const isAmong = (names: readonly string[], name: string): boolean => names.includes(name);

/** Throws INVALID_PARAMETER_VALUE, as the checks below, in the words of mlflow/server/auth/permissions.py. */
export function checkPermission(permission: string, valid: readonly string[] = PERMISSIONS): void {
  if (!valid.includes(permission)) throw invalidParameter(`Invalid permission '${permission}'. Valid permissions are: ${tuple(valid)}`);
}

export function checkType(type: string): void {
  const valid = [...NAMED_TYPES, ...PART_TYPES, ...SCOPE_TYPES];
  if (!isAmong(valid, type))
    throw invalidParameter(`Invalid resource type '${type}'. Valid resource types are: ${tuple(valid.toSorted())}`);
}

export function checkGrantable(type: string, permission: string): void {
  if (GRANTABLE.includes(permission)) return;
  throw invalidParameter(
    `Invalid permission '${permission}' for resource_type='${type}'. Resource-level grants accept only: ${tuple(GRANTABLE)}.`,
  );
}

/** Things are granted on by name or id, with `*` for any text; parts of things and whole scopes by `*` alone. */
export function checkPattern(type: string, pattern: string): void {
  checkLength('resource_pattern', MAX_PATTERN_LENGTH, pattern);
  const refuse = (why: string) => invalidParameter(`Invalid resource_pattern '${pattern}' for resource_type='${type}'. ${why}`);
  if (pattern === '*') return;
  if (!isAmong(NAMED_TYPES, type)) throw refuse("This resource type supports only wildcard ('*') grants.");
  if (type === 'experiment' && !pattern.includes('*') && !/^(0|[1-9]\d{0,17})$/.test(pattern))
    throw refuse('Experiments are granted on by their id, a whole number.');
  if (pattern.trim() === '') throw refuse('It must not be empty.');
}

/** For the endpoints of one user's grants. Throws INVALID_PARAMETER_VALUE. */
export function checkResource(type: string, pattern: string): void {
  if (isAmong(SCOPE_TYPES, type))
    throw invalidParameter(
      `resource_type '${type}' is not supported by the per-user permission convenience APIs. Use set_workspace_permission /` +
        ' delete_workspace_permission for workspace-wide grants.',
    );
  checkType(type);
  checkPattern(type, pattern);
}

/** True for what names one thing, so that who manages that thing may grant on it. */
export const isOneThing = (type: string, pattern: string): type is ResourceType => isAmong(NAMED_TYPES, type) && !pattern.includes('*');

/** A level as clients before 3.17 send it. */
export const olderPermission = z.string().pipe(checkedBy((permission) => checkPermission(permission, OLDER_PERMISSIONS)));

/** What is stored for it: NO_PERMISSIONS on one thing took precedence over all else there, which only DENY does here. */
export const fromOlder = (permission: string): string => (permission === 'NO_PERMISSIONS' ? 'DENY' : permission);

/** And what those clients are told for what is stored. */
export const toOlder = (permission: string): string => (permission === 'DENY' ? 'NO_PERMISSIONS' : permission);

export type Principal = { kind: 'user' | 'group' | 'role'; name: string };

/** `user:<name>`, `group:<name>` or `role:<name>`. */
export const principal = z
  .string()
  .check((context) => {
    if (!/^(user|group|role):./s.test(context.value))
      context.issues.push({
        code: 'custom',
        message: `Invalid principal '${context.value}'. Write user:<name>, group:<name> or role:<name>.`,
        input: context.value,
      });
  })
  .transform((text): Principal => {
    const colon = text.indexOf(':');
    return { kind: text.slice(0, colon) as Principal['kind'], name: text.slice(colon + 1) };
  });

export const Grant = z.object({
  principal: z.string(),
  resource_type: z.string(),
  resource_pattern: z.string(),
  permission: z.string(),
});
export type GrantRow = z.infer<typeof Grant>;

/** One row of what a user may do through a role, as 3.17 lists it; with the group, when it comes by one. */
export const HeldPermission = z.object({
  role_id: z.number(),
  role_name: z.string(),
  workspace: z.string(),
  resource_type: z.string(),
  resource_pattern: z.string(),
  permission: z.string(),
  group: z.string().optional(),
});
export type HeldPermissionRow = Omit<z.infer<typeof HeldPermission>, 'group'> & { group: string | null };
