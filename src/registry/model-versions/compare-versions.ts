import { z } from 'zod';
import type { Services } from '../../endpoint.ts';
import type { Scope } from '../../scopes/entity.ts';
import { readAccount } from '../provenance/account.ts';
import { canonicalJson } from '../provenance/canonical-json.ts';
import type { ModelDescription } from '../provenance/model-files.ts';
import type { Origin } from '../provenance/snapshot.ts';
import { compareSignatures, SignatureComparison } from './compare-signatures.ts';
import { getManifest, type Manifest } from './manifest.ts';
import type { VersionKey } from './store.ts';

/** What only the right side has, what only the left side has, and what differs; by name. */
const differenceOf = <Value extends z.ZodType>(value: Value) =>
  z.object({
    added: z.array(z.object({ name: z.string(), right: value })),
    removed: z.array(z.object({ name: z.string(), left: value })),
    changed: z.array(z.object({ name: z.string(), left: value, right: value })),
  });

/** What is different between two versions, from `left` to `right`. */
export const VersionComparison = z.object({
  left: z.object({ name: z.string(), version: z.string(), digest: z.string().optional() }),
  right: z.object({ name: z.string(), version: z.string(), digest: z.string().optional() }),
  /** All files are the same, byte for byte. */
  same_files: z.boolean(),
  signature: SignatureComparison,
  flavors: differenceOf(z.unknown()),
  /** Pins by package; `python` is the interpreter. */
  requirements: differenceOf(z.string()),
  params: differenceOf(z.string()),
  /** By metric, or `<metric> on <data set>`. */
  metrics: differenceOf(z.union([z.number(), z.string()])),
  /** Digests by data set and what it was used for: `<name> (training)`. */
  datasets: differenceOf(z.string()),
  files: differenceOf(z.object({ size: z.int(), sha256: z.string() })),
});

type Side = { account: Origin & { model: ModelDescription }; manifest: Manifest };

/** Compares two versions of a model. Throws RESOURCE_DOES_NOT_EXIST when one is not there. */
export async function compareVersions(
  services: Pick<Services, 'db' | 'blobs'>,
  scope: Scope,
  name: string,
  versions: { left: number; right: number },
): Promise<z.infer<typeof VersionComparison>> {
  const read = async (version: number): Promise<Side> => {
    const key: VersionKey = { scope: scope.id, name, version };
    return { manifest: await getManifest(services.db, key), account: await readAccount(services, scope, key) };
  };
  const left = await read(versions.left);
  const right = await read(versions.right);
  const compare = <Value>(facts: (side: Side) => Map<string, Value>) => difference(facts(left), facts(right));
  return {
    left: headOf(left),
    right: headOf(right),
    same_files: left.manifest.digest !== undefined && left.manifest.digest === right.manifest.digest,
    signature: compareSignatures(mlmodelOf(left).signature, mlmodelOf(right).signature),
    flavors: compare((side) => new Map(Object.entries(recordOf(mlmodelOf(side).flavors)))),
    requirements: compare(requirementsOf),
    params: compare(paramsOf),
    metrics: compare(metricsOf),
    datasets: compare(datasetsOf),
    files: compare(({ manifest }) => new Map(manifest.files.map(({ path, ...file }) => [path, file]))),
  };
}

const headOf = ({ manifest: { name, version, digest } }: Side) => ({ name, version, ...(digest !== undefined && { digest }) });

function difference<Value>(left: Map<string, Value>, right: Map<string, Value>) {
  const names = [...new Set([...left.keys(), ...right.keys()])].toSorted();
  const result = {
    added: [] as { name: string; right: Value }[],
    removed: [] as { name: string; left: Value }[],
    changed: [] as { name: string; left: Value; right: Value }[],
  };
  for (const name of names) {
    const [before, after] = [left.get(name), right.get(name)];
    if (before === undefined) result.added.push({ name, right: after as Value });
    else if (after === undefined) result.removed.push({ name, left: before });
    else if (canonicalJson([before]) !== canonicalJson([after])) result.changed.push({ name, left: before, right: after });
  }
  return result;
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

const mlmodelOf = ({ account }: Side): Record<string, unknown> => recordOf(account.model.mlmodel);

/** The packages of conda.yaml, with those of requirements.txt in their place. */
function requirementsOf({ account }: Side): Map<string, string> {
  const { requirements = [], conda, python_env: pythonEnv } = account.model.environment ?? {};
  const dependencies = recordOf(conda).dependencies;
  const packages = Array.isArray(dependencies) ? dependencies : [];
  const ofPip = packages.flatMap((entry) => recordOf(entry).pip ?? []);
  const found = new Map([...packages, ...ofPip, ...requirements].filter((line) => typeof line === 'string').map(readRequirement));
  const python = recordOf(pythonEnv).python;
  if (python !== undefined) found.set('python', `==${python}`);
  return found;
}

/** A package's name as PEP 503 compares it, and the rest of the line; a line that names none (an option, an address) stands for itself. */
function readRequirement(line: string): [string, string] {
  const [, name, rest] = /^\s*([A-Za-z\d][\w.-]*)((?:\s*\[[^\]]*\])?\s*(?:[=<>!~;@].*)?)$/.exec(line) ?? [];
  if (name === undefined) return [line.trim(), line.trim()];
  // A single = is conda's way to pin.
  const pin = (rest ?? '').trim().replace(/^=(?!=)/, '==');
  return [name.toLowerCase().replace(/[-_.]+/g, '-'), pin === '' ? '*' : pin];
}

function paramsOf({ account: { run, logged_model: model } }: Side): Map<string, string> {
  const params = [...(run?.data.params ?? []), ...(model?.data.params ?? [])];
  return new Map(params.map(({ key, value }) => [key, value]));
}

function metricsOf({ account: { run, logged_model: model } }: Side): Map<string, number | string> {
  // The last one counts: stock clients give the logged model the metrics of step 0 only.
  const metrics = [...(model?.data.metrics ?? []), ...(run?.data.metrics ?? [])];
  return new Map(
    metrics.map((metric) => {
      const dataset = 'dataset_name' in metric ? metric.dataset_name : undefined;
      return [dataset === undefined ? metric.key : `${metric.key} on ${dataset}`, metric.value];
    }),
  );
}

function datasetsOf({ account: { datasets = [] } }: Side): Map<string, string> {
  return new Map(datasets.map(({ name, context, digest }) => [context === undefined ? name : `${name} (${context})`, digest]));
}
