import { text } from 'node:stream/consumers';
import type { BlobStore } from '../../artifacts/blobs/blob-store.ts';
import { type Db, run, statement } from '../../platform/db/database.ts';

/** What the files of a model say of it: its MLmodel file, and the environment it was made in. */
export type ModelDescription = { mlmodel?: unknown; environment?: { requirements?: string[]; conda?: unknown; python_env?: unknown } };

const MAX_BYTES = 1024 * 1024;
const FILES = ['MLmodel', 'requirements.txt', 'conda.yaml', 'python_env.yaml'];

const FIND_FILES = statement(
  'find_describing_files',
  `select f.path, b.storage_key as key, b.sha256 from model_version_files f join blobs b on b.id = f.blob_id
   where f.model_id = :model_id::bigint and f.version = :version and f.path = any(:paths::text[]) and b.size <= ${MAX_BYTES}
     and b.damaged_timestamp is null`,
);

const MOST_KNOWN = 200;
const known = new Map<string, unknown>();

/** Reads what describes a frozen version. A file that cannot be read as what its name says is left out: a model may be anything. */
export async function describeModelFiles(db: Db, blobs: BlobStore, modelId: number, version: number): Promise<ModelDescription> {
  const files = await run<{ path: string; key: string; sha256: string }>(db, FIND_FILES, { model_id: modelId, version, paths: FILES });
  const contents = new Map<string, unknown>();
  for (const file of files) contents.set(file.path, await contentOf(blobs, file));
  const [mlmodel, requirements, conda, pythonEnv] = FILES.map((path) => contents.get(path));
  const environment = {
    ...(Array.isArray(requirements) && { requirements: requirements as string[] }),
    ...(conda !== undefined && { conda }),
    ...(pythonEnv !== undefined && { python_env: pythonEnv }),
  };
  return { ...(mlmodel !== undefined && { mlmodel }), ...(Object.keys(environment).length > 0 && { environment }) };
}

/** A file's content never changes, so what was read once is known by its SHA-256. */
async function contentOf(blobs: BlobStore, { path, key, sha256 }: { path: string; key: string; sha256: string }): Promise<unknown> {
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
