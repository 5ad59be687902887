import { z } from 'zod';
import type { Scope } from '../../scopes/entity.ts';
import { type ModelVersionRow, toModelVersion } from '../model-versions/entity.ts';
import { assetUriOf } from '../model-versions/source-uri.ts';
import type { RegisteredModelRow } from '../registered-models/entity.ts';

const Tags = z.record(z.string(), z.string());

/** A model as an asset: `id` is its azureml:// URI, without a version. `aliases` say which version each points to; times are epoch ms. */
export const ModelAsset = z.object({
  id: z.string(),
  name: z.string(),
  latest_version: z.string().optional(),
  description: z.string(),
  tags: Tags,
  aliases: Tags,
  /** True when there are versions and all are archived. */
  archived: z.boolean(),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
});

export function toModelAsset(scope: Scope, row: RegisteredModelRow): z.infer<typeof ModelAsset> {
  const { name, description, creation_timestamp, last_updated_timestamp } = row;
  const newest = row.latest_versions ?? [];
  return {
    id: assetUriOf(scope, name),
    name,
    ...(newest.length > 0 && { latest_version: String(Math.max(...newest.map(({ version }) => version))) }),
    description,
    tags: tagsOf(row.tags),
    aliases: Object.fromEntries((row.aliases ?? []).map(({ alias, version }) => [alias, version])),
    archived: newest.length > 0 && newest.every(({ current_stage }) => current_stage === 'Archived'),
    creation_timestamp,
    last_updated_timestamp,
  };
}

/** A version as an asset: `id` is its azureml:// URI. The rest is what MLflow's API says of it. */
export const VersionAsset = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  description: z.string(),
  tags: Tags,
  aliases: z.array(z.string()),
  stage: z.string(),
  status: z.string(),
  source: z.string(),
  run_id: z.string().optional(),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
});

export function toVersionAsset(scope: Scope, row: ModelVersionRow): z.infer<typeof VersionAsset> {
  const { name, version, status, source, run_id, creation_timestamp, last_updated_timestamp } = toModelVersion(row);
  return {
    id: assetUriOf(scope, name, version),
    name,
    version,
    description: row.description ?? '',
    tags: tagsOf(row.tags),
    aliases: row.aliases ?? [],
    stage: row.current_stage,
    status,
    source,
    ...(run_id !== '' && { run_id }),
    creation_timestamp,
    last_updated_timestamp,
  };
}

const tagsOf = (tags: { key: string; value: string }[] | null) => Object.fromEntries((tags ?? []).map(({ key, value }) => [key, value]));
