import { z } from 'zod';
import { alreadyExists, doesNotExist, MlflowError } from '../../platform/errors.ts';
import type { Scope } from '../../scopes/entity.ts';
import { newAliasName } from '../registered-models/entity.ts';

const MAX_ALIASES = 100;

/** A name of a workspace that means a model of a registry. */
export type Mount = {
  local_name: string;
  /** Names of today, or those it was mounted by when it was deleted since. */
  registry: string;
  name: string;
  /** Null when the model was deleted. */
  target: { scope: Scope; name: string } | null;
  /** Alias here -> alias in the registry. Others are the same in both. */
  aliasMap: Record<string, string>;
};

export type MountRow = {
  local_name: string;
  registry: string;
  name: string;
  /** Scope of the target; null when it was deleted. */
  target_scope_id: number | null;
  alias_map: Record<string, string>;
  creation_timestamp: number;
  last_updated_timestamp: number;
};

export const toMount = ({ local_name, registry, name, target_scope_id: id, alias_map }: MountRow): Mount => ({
  local_name,
  registry,
  name,
  target: id === null ? null : { scope: { id, kind: 'registry', name: registry, named: true }, name },
  aliasMap: alias_map,
});

export const aliasMap = z
  .record(z.string(), z.string())
  .refine((map) => Object.keys(map).length <= MAX_ALIASES, `An alias_map has at most ${MAX_ALIASES} aliases.`)
  .check(({ value, issues }) => {
    const wrong = Object.entries(value)
      .flat()
      .flatMap((alias) => newAliasName.safeParse(alias).error?.issues ?? []);
    issues.push(...wrong.map(({ message }) => ({ code: 'custom' as const, message, input: value })));
  });

/** A mount as the API gives it; times are epoch ms, that of the last change is when it was last pointed somewhere. */
export const ShownMount = z.object({
  workspace: z.string(),
  local_name: z.string(),
  registry: z.string(),
  name: z.string(),
  alias_map: z.record(z.string(), z.string()),
  status: z.enum(['READY', 'TARGET_DELETED']),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
});

export const toShownMount = ({ target_scope_id, ...row }: MountRow, workspace: string): z.infer<typeof ShownMount> => ({
  workspace,
  ...row,
  status: target_scope_id === null ? 'TARGET_DELETED' : 'READY',
});

const pathOf = ({ local_name }: Mount, workspace: Scope) =>
  `/api/1.0/workspaces/${workspace.name}/mounts/${encodeURIComponent(local_name)}`;

/** What a mounted name means. Throws RESOURCE_DOES_NOT_EXIST when that was deleted. */
export function targetOf(mount: Mount, workspace: Scope): { scope: Scope; name: string } {
  if (mount.target) return mount.target;
  throw doesNotExist(
    `Registered Model with name=${mount.local_name} not found: in workspace '${workspace.name}' it is a mount of '${mount.registry}.${mount.name}', which was deleted. ` +
      `Mount another model there (PUT ${pathOf(mount, workspace)}) or remove the mount (DELETE).`,
  );
}

/** The refusal of a write by a mounted name; `creates` one that would make a model of that name. */
export function readOnlyMount(mount: Mount, workspace: Scope, creates: boolean): MlflowError {
  const what = `in workspace '${workspace.name}' it is a mount of '${mount.registry}.${mount.name}', which is only read there`;
  const how = `Write to '${mount.registry}.${mount.name}' itself, or remove the mount (DELETE ${pathOf(mount, workspace)}).`;
  if (creates) return alreadyExists(`Registered Model (name=${mount.local_name}) already exists: ${what}. ${how}`);
  return new MlflowError('PERMISSION_DENIED', `'${mount.local_name}' cannot be changed: ${what}. ${how}`);
}
