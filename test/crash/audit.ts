import { download, filesBelow, get, searchAll } from './client.ts';
import { digestOf, isWhole } from './content.ts';
import type { Ledger, Register } from './ledger.ts';

type Version = { version: string; source: string; tags?: { key: string; value: string }[] };
type Model = { name: string; description?: string; aliases?: { alias: string; version: string }[] };

const DOWNLOADS_AT_ONCE = 8;

/** Compares what the server shows with the ledger, over HTTP only. Gives a sentence for each thing that is lost, doubled or half there. */
export async function audit(url: string, ledger: Ledger): Promise<string[]> {
  const found = await Promise.all([auditModels(url, ledger), ...ledger.shared.map((name) => auditShared(url, ledger, name))]);
  return [...ledger.wrongAnswers, ...found.flat(), ...(await auditArtifacts(url, ledger))];
}

async function auditModels(url: string, { prefix, models }: Ledger): Promise<string[]> {
  const shown = await searchAll<Model>(url, 'registered-models/search', 'registered_models', `name LIKE '${prefix}-%'`);
  const names = new Set(shown.map(({ name }) => name));
  return [
    ...[...models].filter(([name, acknowledged]) => acknowledged && !names.has(name)).map(([name]) => `model ${name} is lost`),
    ...shown.filter(({ name }) => !models.has(name)).map(({ name }) => `model ${name} was never made`),
    ...shown
      .filter(({ name, description }) => !name.includes('-shared-') && description !== name)
      .map(({ name }) => `model ${name} is without its description`),
  ];
}

async function auditShared(url: string, ledger: Ledger, name: string): Promise<string[]> {
  const versions = await searchAll<Version>(url, 'model-versions/search', 'model_versions', `name = '${name}'`);
  const { body } = await get(url, 'registered-models/get', { name });
  const model = body.registered_model as Model | undefined;
  if (!model) return [`model ${name} is lost`];
  return [...auditNumbers(name, versions), ...auditVersions(ledger, name, versions), ...auditAliases(ledger, model)];
}

function auditNumbers(name: string, versions: Version[]): string[] {
  const numbers = versions.map(({ version }) => Number(version)).toSorted((a, b) => a - b);
  return numbers.every((number, i) => number === i + 1) ? [] : [`the versions of ${name} are ${numbers.join(' ')}`];
}

function auditVersions(ledger: Ledger, name: string, versions: Version[]): string[] {
  const bySource = new Map(versions.map((version) => [version.source, version]));
  const problems = bySource.size === versions.length ? [] : [`a version of ${name} is there twice`];
  for (const [source, { model, number }] of ledger.versions) {
    if (model !== name || number === undefined) continue;
    const version = bySource.get(source)?.version;
    if (version !== String(number)) problems.push(`version ${number} of ${name} (${source}) is ${version ?? 'lost'}`);
  }
  for (const { version, source, tags = [] } of versions) {
    const values = new Map(tags.map(({ key, value }) => [key, value]));
    if (ledger.versions.get(source)?.model !== name) problems.push(`version ${version} of ${name} (${source}) was never made`);
    if (values.get('source') !== source) problems.push(`version ${version} of ${name} is there without its tag`);
    values.delete('source');
    problems.push(...auditRegisters(ledger, `tag ${name} ${version} `, values));
  }
  return problems;
}

function auditAliases(ledger: Ledger, { name, aliases = [] }: Model): string[] {
  const values = new Map(aliases.map(({ alias, version }) => [alias, version]));
  const champion = values.get('champion');
  values.delete('champion');
  const known = champion === undefined || ledger.contested.get(`${name} champion`)?.has(champion);
  return [...(known ? [] : [`alias champion of ${name} is ${champion}`]), ...auditRegisters(ledger, `alias ${name} `, values)];
}

/** Each register below `prefix` must have one of its possible values in `shown`, and `shown` nothing else. */
function auditRegisters({ registers }: Ledger, prefix: string, shown: Map<string, string>): string[] {
  const problems = [...shown.keys()].filter((key) => !registers.has(prefix + key)).map((key) => `${prefix}${key} was never written`);
  for (const [name, register] of registers) {
    if (name.startsWith(prefix)) problems.push(...auditRegister(name, register, shown.get(name.slice(prefix.length))));
  }
  return problems;
}

function auditRegister(name: string, { acknowledged, underWay }: Register, value: string | undefined): string[] {
  if (value === acknowledged || (value !== undefined && value === underWay)) return [];
  return [`${name} is ${value ?? 'lost'}; acknowledged: ${acknowledged ?? 'nothing'}, under way: ${underWay ?? 'nothing'}`];
}

async function auditArtifacts(url: string, ledger: Ledger): Promise<string[]> {
  const paths = await filesBelow(url, ledger.prefix);
  const shown = new Map<string, string>();
  const problems: string[] = [];
  const waiting = [...paths];
  const reader = async () => {
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const content = await download(url, path);
      if (content === null || !isWhole(content)) problems.push(`${path} is listed but not whole`);
      else shown.set(path, digestOf(content));
    }
  };
  await Promise.all(Array.from({ length: DOWNLOADS_AT_ONCE }, reader));
  return [...problems, ...auditRegisters(ledger, 'artifact ', shown)];
}
