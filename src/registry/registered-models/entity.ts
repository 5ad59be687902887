import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy } from '../../platform/fields.ts';
import { checkKey, checkLength, refuseEdgeBlanks, refusePathLike, refuseUnseen } from '../../platform/names.ts';
import { ModelVersion, type ModelVersionRow, toModelVersion } from '../model-versions/entity.ts';
import { isAssetUri, parseModelAsset } from '../model-versions/source-uri.ts';

const MAX_NAME_LENGTH = 256;
const MAX_DESCRIPTION_LENGTH = 5000;
const MAX_TAG_VALUE_LENGTH = 5000;
const MAX_ALIAS_LENGTH = 255;

/** The tag that makes a registered model a prompt (mlflow/prompt/constants.py). */
export const IS_PROMPT_TAG = 'mlflow.prompt.is_prompt';

/** A registered model's place: names are unique in their scope only. */
export type ModelKey = { scope: number; name: string };

function checkModelName(name: string): void {
  if (name.trim() === '') throw invalidParameter("Missing value for required parameter 'name'.");
  if (/[/:]/.test(name)) throw invalidParameter(`Invalid model name '${name}'. Names cannot contain '/' or ':'.`);
  refusePathLike('name', name);
}

/** An `azureml://` URI may stand for the name: the request is for its scope then (registry/address-model.ts). */
const bareName = (name: string): string => (isAssetUri(name) ? parseModelAsset(name).name : name);

export const checkedModelName = checkedBy((name) => checkModelName(bareName(name)));

/** The name of a model that may or may not exist (mlflow/utils/validation.py, _validate_model_name). */
export const modelName = z.string().min(1).pipe(checkedModelName);

function checkNewModelName(parameter: string, name: string): void {
  if (name.trim() === '') throw invalidParameter(`Missing value for required parameter '${parameter}'.`);
  checkModelName(name);
  refuseUnseen(parameter, name);
  refuseEdgeBlanks(parameter, name);
  checkLength('name', MAX_NAME_LENGTH, name);
}

/** A name to be given to a model; `parameter` is what the argument is called. */
export const newModelName = (parameter: string) =>
  z
    .string()
    .min(1)
    .pipe(checkedBy((name) => checkNewModelName(parameter, name)));

/** The name of a model that is to be made, or its `azureml://` URI. */
export const addressedNewModelName = z
  .string()
  .min(1)
  .pipe(checkedBy((name) => checkNewModelName('name', bareName(name))));

export const description = checkedBy((text) => checkLength('description', MAX_DESCRIPTION_LENGTH, text));

/** As mlflow/utils/validation.py, _validate_model_alias_name. */
export const aliasName = z
  .string()
  .min(1)
  .pipe(
    checkedBy((alias) => {
      if (!/^[\w\-\p{L}\p{N}]*$/u.test(alias)) {
        throw invalidParameter(`Invalid alias name: '${alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-).`);
      }
      checkLength('Registered model alias name', MAX_ALIAS_LENGTH, alias);
    }),
  );

/** An alias to be set: `latest` and `v<digits>` mean versions already (mlflow/utils/validation.py, _validate_model_alias_name_reserved). */
export const newAliasName = aliasName.pipe(
  checkedBy((alias) => {
    if (alias.toLowerCase() === 'latest') throw invalidParameter("'latest' alias name (case insensitive) is reserved.");
    if (/^[vV]\p{Nd}+$/u.test(alias)) throw invalidParameter(`Version alias name '${alias}' is reserved.`);
  }),
);

export const registeredModelTagValue = checkedBy((value) => checkLength('value', MAX_TAG_VALUE_LENGTH, value));

/** Tags of a create call. */
export const registeredModelTags = z
  .array(z.object({ key: z.string().default(''), value: registeredModelTagValue.default('') }))
  .default([])
  .pipe(z.array(z.object({ key: checkedBy((key) => checkKey('key', key)), value: z.string() })));

const Tag = z.object({ key: z.string(), value: z.string() });

export const RegisteredModel = z.object({
  name: z.string(),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
  description: z.string().optional(),
  latest_versions: z.array(ModelVersion).optional(),
  tags: z.array(Tag).optional(),
  aliases: z.array(z.object({ alias: z.string(), version: z.string() })).optional(),
});

export type RegisteredModelRow = {
  name: string;
  description: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
  tags: { key: string; value: string }[] | null;
  aliases: { alias: string; version: string }[] | null;
  latest_versions: ModelVersionRow[] | null;
};

export const toRegisteredModel = (row: RegisteredModelRow): z.infer<typeof RegisteredModel> => ({
  name: row.name,
  creation_timestamp: row.creation_timestamp,
  last_updated_timestamp: row.last_updated_timestamp,
  ...(row.description && { description: row.description }),
  ...(row.latest_versions && { latest_versions: row.latest_versions.map(toModelVersion) }),
  ...(row.tags && { tags: row.tags }),
  ...(row.aliases && { aliases: row.aliases }),
});
