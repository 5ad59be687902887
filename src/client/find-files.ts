import { z } from 'zod';
import { joinPath } from '../artifacts/artifact-path.ts';
import { Manifest } from '../registry/model-versions/manifest.ts';
import type { ModelUri } from '../registry/model-versions/source-uri.ts';
import { getJson, type ServerAddress, ServerError } from './mlflow-server.ts';
import { mlflowApi, type NamedScope, scopePath } from './scope.ts';

/** A file of a version, `path` relative to the version. What a stock server does not say is null. */
export type RemoteFile = { path: string; size: number | null; sha256: string | null };

/** A version's files: below `folder` of the server's artifacts; `digest` is null for a version that is not frozen. */
export type RemoteVersion = { name: string; version: string; folder: string; digest: string | null; files: RemoteFile[] };

const API = '/api/2.0/mlflow';
const OneVersion = z.object({ model_version: z.object({ version: z.string() }) });
const Versions = z.object({ model_versions: z.array(z.object({ version: z.string() })).default([]) });
const Mount = z.object({ name: z.string() });
const DownloadUri = z.object({ artifact_uri: z.string() });
const Run = z.object({ run: z.object({ info: z.object({ artifact_uri: z.string() }) }) });
const Model = z.object({ model: z.object({ info: z.object({ artifact_uri: z.string() }) }) });
const Listing = z.object({
  files: z.array(z.object({ path: z.string(), is_dir: z.boolean().default(false), file_size: z.coerce.number().optional() })).default([]),
});

export type NamedVersion = Exclude<ModelUri, { kind: 'logged_model' }>;

/**
 * Finds the version that a `models:/` URI means in a scope (null: where the server looks by itself), and its files: from its manifest, or by listing
 * folders where the server has none (a stock one) or the version is not frozen. Throws ServerError, or one sentence when its files are not with the server.
 */
export async function findVersion(server: ServerAddress, scope: NamedScope | null, uri: NamedVersion): Promise<RemoteVersion> {
  const api = scope === null ? API : mlflowApi(scope);
  const { name } = uri;
  const version = await findVersionNumber(server, api, uri);
  const key = { name, version };
  const { artifact_uri } = DownloadUri.parse(await getJson(server, `${api}/model-versions/get-download-uri`, key));
  const home = await homeOf(server, scope ?? { kind: 'workspace', name: server.workspace ?? 'default' }, name, artifact_uri);
  const manifest = await findManifest(
    server,
    `${scopePath(home.scope)}/models/${encodeURIComponent(home.name)}/versions/${version}/manifest`,
  );
  const folder = await folderOf(server, artifact_uri);
  if (manifest?.frozen) return { ...key, folder, digest: manifest.digest ?? null, files: manifest.files };
  const files: RemoteFile[] = [];
  for await (const file of listFiles(server, folder, '')) files.push(file);
  if (files.length === 0) throw new Error(`Version ${version} of ${name} has no files at ${artifact_uri}.`);
  return { ...key, folder, digest: null, files };
}

/** The number of the version that a URI means; `api` is the base of MLflow's API. Throws ServerError, or one sentence when there is none. */
export async function findVersionNumber(server: ServerAddress, api: string, uri: NamedVersion): Promise<string> {
  const { name } = uri;
  if (uri.kind === 'version') return uri.version;
  if (uri.kind === 'alias') {
    const reply = await getJson(server, `${api}/registered-models/alias`, { name, alias: uri.alias });
    return OneVersion.parse(reply).model_version.version;
  }
  const stages: Record<string, string> = uri.stage === null ? {} : { stages: uri.stage };
  const reply = await getJson(server, `${api}/registered-models/get-latest-versions`, { name, ...stages });
  const numbers = Versions.parse(reply).model_versions.map(({ version }) => Number(version));
  if (numbers.length === 0) throw new Error(`${name} has no version${uri.stage === null ? '' : ` in the stage ${uri.stage}`}.`);
  return String(Math.max(...numbers));
}

const IN_REGISTRY = /^mlflow-artifacts:\/registries\/([^/]+)\/registered-models\//;

/** The scope that has a model which was named in `asked`, and its name there: the name may be dotted, or a mount's. */
async function homeOf(
  server: ServerAddress,
  asked: NamedScope,
  name: string,
  artifactUri: string,
): Promise<{ scope: NamedScope; name: string }> {
  const registry = IN_REGISTRY.exec(artifactUri)?.[1];
  if (registry === undefined || (asked.kind === 'registry' && asked.name === registry)) return { scope: asked, name };
  const scope: NamedScope = { kind: 'registry', name: registry };
  if (name.startsWith(`${registry}.`)) return { scope, name: name.slice(registry.length + 1) };
  const mount = await getJson(server, `${scopePath(asked)}/mounts/${encodeURIComponent(name)}`);
  return { scope, name: Mount.parse(mount).name };
}

async function findManifest(server: ServerAddress, path: string): Promise<Manifest | null> {
  try {
    return Manifest.parse(await getJson(server, path));
  } catch (error) {
    // A stock server says that there is no such page, in HTML or as another endpoint's error.
    if (error instanceof ServerError && error.status === 404 && error.code !== 'RESOURCE_DOES_NOT_EXIST') return null;
    throw error;
  }
}

/** The folder of the server's artifacts that a URI means. Throws one sentence when it is elsewhere. */
export async function folderOf(server: ServerAddress, uri: string): Promise<string> {
  const [, scheme = '', path = ''] = /^([a-z-]+):\/(?!\/)(.*)$/.exec(uri) ?? [];
  if (scheme === 'mlflow-artifacts') return path.replace(/\/+$/, '');
  const [id = '', ...below] = path.split('/');
  if (scheme === 'runs') {
    const { run } = Run.parse(await getJson(server, `${API}/runs/get`, { run_id: id }));
    return joinPath(await folderOf(server, run.info.artifact_uri), below.join('/'));
  }
  if (scheme === 'models' && id.startsWith('m-')) {
    const { model } = Model.parse(await getJson(server, `${API}/logged-models/${encodeURIComponent(id)}`));
    return joinPath(await folderOf(server, model.info.artifact_uri), below.join('/'));
  }
  throw new Error(`The files are at ${uri}, not with the server: get them there (mlflow artifacts download -u ${uri}).`);
}

async function* listFiles(server: ServerAddress, root: string, folder: string): AsyncGenerator<RemoteFile> {
  const listing = Listing.parse(await getJson(server, '/api/2.0/mlflow-artifacts/artifacts', { path: joinPath(root, folder) }));
  for (const { path: name, is_dir, file_size } of listing.files) {
    const path = joinPath(folder, name);
    refuseUnsafe(path);
    if (is_dir) yield* listFiles(server, root, path);
    else yield { path, size: file_size ?? null, sha256: null };
  }
}

/** Throws for a path that a server must not make us write to: one that leaves the folder, or that another system would read so. */
export function refuseUnsafe(path: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const isUnsafe = /[\0-\x1f\x7f\\]|^[a-zA-Z]:/.test(path) || path.split('/').some((segment) => ['', '.', '..'].includes(segment));
  if (isUnsafe) throw new Error(`The server names a file ${JSON.stringify(path)}, which is not a safe path: nothing more is downloaded.`);
}
