import { text } from 'node:stream/consumers';
import type { BlobStore } from '../../artifacts/blobs/blob-store.ts';
import { type Db, run, statement } from '../../platform/db/database.ts';

/** What the files of a model say of it: its MLmodel file, and the environment it was made in. */
export type ModelDescription = {
  mlmodel?: unknown;
  /** `sha256`: of the files that say it. */
  environment?: { requirements?: string[]; conda?: unknown; python_env?: unknown; sha256?: Record<string, string> };
};

const MAX_BYTES = 1024 * 1024;
const FILES = ['MLmodel', 'requirements.txt', 'conda.yaml', 'python_env.yaml'];

const IS_READABLE = `b.size <= ${MAX_BYTES} and b.damaged_timestamp is null`;

/**
 * SQL of the DescribingFiles of the version that the expressions name. `offset 0` keeps PostgreSQL from beginning with the files' contents: many versions share
 * them, and it would read the files of all of these.
 */
export const describingFiles = ({ modelId, version }: { modelId: string; version: string }) => `
  select f.path, b.key, b.sha256 from model_version_files f
  cross join lateral (select b.storage_key as key, b.sha256 from blobs b where b.id = f.blob_id and ${IS_READABLE} offset 0) b
  where f.model_id = ${modelId} and f.version = ${version} and f.path in ('${FILES.join("', '")}')`;

const FIND_FILES = statement('find_describing_files', describingFiles({ modelId: ':model_id::bigint', version: ':version::integer' }));

const FIND_IN_FOLDER = statement(
  'find_describing_files_in_folder',
  `select substr(f.path, length(:folder) + 2) as path, b.storage_key as key, b.sha256 from artifacts f join blobs b on b.id = f.blob_id
   where f.scope_id = :scope and f.path = any(:paths::text[]) and ${IS_READABLE} for share of f`,
);

export type DescribingFile = { path: string; key: string; sha256: string };

const MOST_KNOWN = 200;
const known = new Map<string, unknown>();

/** Reads what describes a frozen version. A file that cannot be read as what its name says is left out: a model may be anything. */
export async function describeModelFiles(db: Db, blobs: BlobStore, modelId: number, version: number): Promise<ModelDescription> {
  return describeFiles(blobs, await run<DescribingFile>(db, FIND_FILES, { model_id: modelId, version }));
}

/** The same of files of a workspace that are about to be frozen: in a transaction they stay as they are until it ends. */
export async function describeFolder(db: Db, blobs: BlobStore, scope: number, folder: string): Promise<ModelDescription> {
  const paths = FILES.map((path) => `${folder}/${path}`);
  return describeFiles(blobs, await run<DescribingFile>(db, FIND_IN_FOLDER, { scope, folder, paths }));
}

/** The same of files that were found already. */
export async function describeFiles(blobs: BlobStore, files: DescribingFile[]): Promise<ModelDescription> {
  const contents = new Map<string, unknown>();
  for (const file of files) contents.set(file.path, await contentOf(blobs, file));
  const [mlmodel, requirements, conda, pythonEnv] = FILES.map((path) => contents.get(path));
  const sha256 = Object.fromEntries(files.filter(({ path }) => path !== 'MLmodel').map((file) => [file.path, file.sha256]));
  const environment = {
    ...(Object.keys(sha256).length > 0 && { sha256 }),
    ...(Array.isArray(requirements) && { requirements: requirements as string[] }),
    ...(conda !== undefined && { conda }),
    ...(pythonEnv !== undefined && { python_env: pythonEnv }),
  };
  return { ...(mlmodel !== undefined && { mlmodel }), ...(Object.keys(environment).length > 0 && { environment }) };
}

/** A file's content never changes, so what was read once is known by its SHA-256. */
async function contentOf(blobs: BlobStore, { path, key, sha256 }: DescribingFile): Promise<unknown> {
  const name = `${path} ${sha256}`;
  if (known.has(name)) return known.get(name);
  const content = await read(path, await text(await blobs.read(key)));
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(name, content);
  return content;
}

async function read(path: string, content: string): Promise<unknown> {
  if (path.endsWith('.txt')) return content.split(/\r?\n/).filter((line) => line.trim() !== '');
  // Loaded with the first promotion: it takes 8 MiB.
  const { parse } = await import('yaml');
  try {
    return parse(content, { maxAliasCount: 100 });
  } catch {
    return undefined;
  }
}
