import fs from 'node:fs/promises';
import path from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { ConfigError } from '../config.ts';
import type { Given, OptionName } from './subcommands.ts';

/** A text field: numbers and the like count as what they look like. */
export const text = z.union([z.string(), z.number(), z.boolean()], 'must be a text').transform(String);
export const tags = z.record(z.string(), text, 'must be a mapping of names to texts');

/**
 * Reads the fields of an asset: those of the YAML file, overridden by options (`--tags` adds to the tags), overridden by `--set`. `$schema` may be there.
 * Relative to what a path of the file is: `folder`. Throws ConfigError in one sentence for a file that cannot be read and for a field that is wrong.
 */
export async function readAssetFields<Schema extends z.ZodObject>(
  schema: Schema,
  { options, lists }: Pick<Given, 'options' | 'lists'>,
  fields: Partial<Record<keyof Schema['shape'] & string, OptionName>>,
): Promise<z.output<Schema>> {
  const { file } = options;
  const { $schema: _, ...found } = file === undefined ? {} : await readYaml(file);
  if (file !== undefined && typeof found.path === 'string' && isLocalPath(found.path))
    found.path = path.resolve(path.dirname(file), found.path);
  for (const [field, option] of Object.entries(fields) as [string, OptionName][])
    if (options[option] !== undefined) found[field] = options[option];
  for (const pair of lists.tags ?? []) setField(found, '--tags', `tags.${pair}`);
  for (const pair of lists.set ?? []) setField(found, '--set', pair);
  const parsed = z.strictObject(schema.shape).safeParse(found);
  if (parsed.success) return parsed.data as z.output<Schema>;
  const where = file === undefined ? '' : `${file}: `;
  const { issues } = parsed.error;
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  if (issue?.code === 'unrecognized_keys')
    throw new ConfigError(`${where}there is no field '${issue.keys[0]}'. Fields are ${Object.keys(schema.shape).join(', ')}.`);
  const field = issue?.path.join('.') ?? '';
  if (found[String(issue?.path[0])] === undefined)
    throw new ConfigError(
      `${where}'${field}' is missing: name it in a file, or as --${(fields as Record<string, string>)[field] ?? field}.`,
    );
  throw new ConfigError(`${where}'${field}': ${issue?.message}.`);
}

/** True for a file or folder here, not a URI. A Windows drive is no scheme. */
export const isLocalPath = (at: string): boolean => !/^[a-z][a-z0-9+.-]+:/i.test(at);

async function readYaml(file: string): Promise<Record<string, unknown>> {
  const content = await fs.readFile(file, 'utf8').catch((error: Error) => {
    throw new ConfigError(`${file}: cannot be read (${error.message}).`);
  });
  try {
    const fields: unknown = parse(content);
    if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) return { ...fields };
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new ConfigError(`${file}: ${error.message.split('\n')[0]?.replace(/:$/, '.')}`);
  }
  throw new ConfigError(`${file}: must have fields such as 'name: fraud'.`);
}

function setField(found: Record<string, unknown>, flag: string, pair: string): void {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
  if (key === undefined || value === undefined)
    throw new ConfigError(`${flag}: must be written name=value (it is ${JSON.stringify(pair.replace(/^tags\./, ''))}).`);
  const [, tag] = /^tags\.(.+)$/s.exec(key) ?? [];
  if (tag === undefined) found[key] = value;
  else if (typeof (found.tags ?? {}) === 'object') found.tags = Object.fromEntries([...Object.entries(found.tags ?? {}), [tag, value]]);
}
