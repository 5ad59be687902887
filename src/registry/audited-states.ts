import type { Services } from '../endpoint.ts';
import { type Db, run, statement } from '../platform/db/database.ts';
import { ifThere } from '../platform/errors.ts';
import { scopeOfPath } from './asset-scope.ts';
import { getModelVersion } from './model-versions/store.ts';
import type { ModelKey } from './registered-models/entity.ts';

// What the audit shows of the registry before and after a write (`state` of the endpoints). After it, what input and answer tell is not asked for again.

type Asked<Input, Output = object> = Pick<Services, 'db' | 'scope'> & { input: Input; output?: Output | undefined };
type Tag = { key: string; value: string };

const MODEL = statement(
  'audited_model',
  `select m.name, m.description, m.last_version,
     (select json_object_agg(t.key, t.value order by t.key) from registered_model_tags t where t.model_id = m.id) as tags,
     (select json_object_agg(a.alias, a.version order by a.alias) from registered_model_aliases a where a.model_id = m.id) as aliases
   from registered_models m where m.scope_id = :scope and m.name = :name`,
);

/** A model with its tags and aliases. */
export async function modelState({ db, scope, input, output }: Asked<{ name: string; new_name?: string }>): Promise<unknown> {
  const [row] = await run(db, MODEL, { scope: scope.id, name: (output && input.new_name) || input.name });
  return row ?? null;
}

/** A model or version that is made: nothing before, and then what the answer tells of it. */
export const madeState = ({ output }: { output?: object | undefined }): unknown => output && Object.values(output)[0];

type VersionAnswer = {
  model_version?: { current_stage: string; status: string; description?: string | undefined; tags?: Tag[] | undefined };
};

/** What can be changed of a version. */
export async function versionState({
  db,
  scope,
  input,
  output,
}: Asked<{ name: string; version: number }, VersionAnswer>): Promise<unknown> {
  const { name, version } = input;
  const found = output?.model_version ?? (await ifThere(getModelVersion(db, { scope: scope.id, name, version })));
  return found && { stage: found.current_stage, status: found.status, description: found.description ?? null, tags: found.tags ?? [] };
}

const ALIAS = statement(
  'audited_alias',
  `select a.version from registered_models m join registered_model_aliases a on a.model_id = m.id and a.alias = :alias
   where m.scope_id = :scope and m.name = :name`,
);

async function findAlias(db: Db, key: ModelKey, alias: string): Promise<unknown> {
  const [found] = await run<{ version: number }>(db, ALIAS, { ...key, alias });
  return found ? { alias, version: found.version } : null;
}

/** Where an alias points to: nowhere after a call without `version`. */
export function aliasState({ db, scope, input, output }: Asked<{ name: string; alias: string; version?: number }>): unknown {
  const { name, alias, version } = input;
  if (output) return version === undefined ? null : { alias, version };
  return findAlias(db, { scope: scope.id, name }, alias);
}

type AliasInPath = { name: string; alias: string; workspace?: string | undefined; registry?: string | undefined };

/** As `aliasState`, for the workspace or registry that the path names. */
export async function aliasStateInPath({
  input: { name, alias, ...path },
  output,
  ...services
}: Services & { input: AliasInPath; output?: { version: string } | undefined }): Promise<unknown> {
  if (output) return { alias, version: Number(output.version) };
  return findAlias(services.db, { scope: (await scopeOfPath(services, path)).id, name }, alias);
}

const MODEL_TAG = statement(
  'audited_model_tag',
  `select t.key, t.value from registered_models m join registered_model_tags t on t.model_id = m.id and t.key = :key
   where m.scope_id = :scope and m.name = :name`,
);
const VERSION_TAG = statement(
  'audited_version_tag',
  `select t.key, t.value from registered_models m join model_version_tags t on t.model_id = m.id and t.version = :version::bigint and t.key = :key
   where m.scope_id = :scope and m.name = :name`,
);

/** A tag of a model, or of the version that the input names: none after a call without `value`. */
export async function tagState({
  db,
  scope,
  input: { name, version, key, value },
  output,
}: Asked<{ name: string; version?: number; key: string; value?: string }>): Promise<unknown> {
  if (output) return value === undefined ? null : { key, value };
  const [tag] = await (version === undefined
    ? run<Tag>(db, MODEL_TAG, { scope: scope.id, name, key })
    : run<Tag>(db, VERSION_TAG, { scope: scope.id, name, version, key }));
  return tag ?? null;
}
