import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy } from '../../platform/fields.ts';
import { checkWorkspaceName } from '../entity.ts';

const RESERVED = ['registries', 'default', 'models', 'environments', 'components', 'data'];
const MAX_TEXT = 5000;
const MAX_TAGS = 100;

/** Name of a registry that is to be made: as a workspace's, so never with a dot, and none that stands for something else in a path. */
export const newRegistryName = checkedBy((name) => {
  checkRegistryName(name);
  if (RESERVED.includes(name)) throw invalidParameter(`Registry name '${name}' is reserved and cannot be used.`);
});

/** Name of a registry there may be. */
export const registryName = checkedBy(checkRegistryName);

function checkRegistryName(name: string): void {
  checkWorkspaceName(name, 'Registry');
}

const VISIBILITIES = ['PRIVATE', 'ORGANIZATION', 'PUBLIC'] as const;

/** Who may see a registry: those it was granted to, everybody with a login, or everybody. */
export const visibility = z.enum(VISIBILITIES, `Invalid visibility. Must be one of: ${VISIBILITIES.join(', ')}.`);

export const registryText = z.string().max(MAX_TEXT, `The text is longer than ${MAX_TEXT} characters.`);
export const registryTags = z
  .record(z.string().min(1).max(250), z.string().max(MAX_TEXT))
  .refine((tags) => Object.keys(tags).length <= MAX_TAGS, `A registry has at most ${MAX_TAGS} tags.`);

/** A registry as the API gives it. `mlflow_registry_uri` is what stock clients take as MLFLOW_REGISTRY_URI; times are epoch ms. */
export const Registry = z.object({
  name: z.string(),
  display_name: z.string(),
  description: z.string(),
  tags: z.record(z.string(), z.string()),
  visibility,
  owner: z.string(),
  mlflow_registry_uri: z.string(),
  asset_counts: z.object({ models: z.int() }),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
});

export type RegistryRow = {
  name: string;
  display_name: string;
  description: string | null;
  tags: Record<string, string>;
  visibility: z.infer<typeof visibility>;
  owner: string;
  models: number;
  creation_timestamp: number;
  last_updated_timestamp: number;
};

/** `base` is the server's address as the caller knows it. */
export function toRegistry({ models, description, ...row }: RegistryRow, base: string): z.infer<typeof Registry> {
  return {
    ...row,
    description: description ?? '',
    mlflow_registry_uri: `${base}/registries/${row.name}`,
    asset_counts: { models },
  };
}
