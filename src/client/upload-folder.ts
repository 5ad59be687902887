import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { joinPath } from '../artifacts/artifact-path.ts';
import { forEachConcurrently } from '../platform/concurrently.ts';
import { urlOf } from './download-files.ts';
import { folderOf } from './find-files.ts';
import { getJson, putStream, type ServerAddress, ServerError, sendJson } from './mlflow-server.ts';

const AT_ONCE = 4;
const IDLE_MS = 120_000;
const DISCARDED_WITHIN_MS = 10_000;
const API = '/api/2.0/mlflow';
const EXPERIMENT = 'Uploaded models';

/** A file to be uploaded: where it is here, and its path below the model. */
export type LocalFile = { here: string; path: string; size: number };

/** The files of a folder in byte order of their paths, or the one file. Links to files are followed. Throws one sentence when there are none. */
export async function listLocalFiles(at: string): Promise<LocalFile[]> {
  const found = await fs.stat(at).catch(() => null);
  if (!found) throw new Error(`${at}: there is no such file or folder.`);
  if (found.isFile()) return [{ here: at, path: path.basename(at), size: found.size }];
  const files: LocalFile[] = [];
  for (const entry of await fs.readdir(at, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const here = path.join(entry.parentPath, entry.name);
    const target = await fs.stat(here).catch(() => null);
    if (!target?.isFile()) throw new Error(`${here}: is no file, nor a link to one. Put the file itself there.`);
    files.push({ here, path: path.relative(at, here).split(path.sep).join('/'), size: target.size });
  }
  if (files.length === 0) throw new Error(`${at}: is an empty folder.`);
  return files.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

const Experiment = z.object({ experiment: z.object({ experiment_id: z.string() }) });
const Model = z.object({ model: z.object({ info: z.object({ model_id: z.string(), artifact_uri: z.string() }) }) });

export type Uploaded = { modelId: string; files: { path: string; sha256: string }[] };

/**
 * Uploads files, four at once, as a logged model of the workspace: what a version can be made of. Gives its id and the SHA-256 of each file. Throws as
 * `request`; the logged model is deleted then.
 */
export async function uploadAsLoggedModel(
  server: ServerAddress,
  name: string,
  files: LocalFile[],
  onBytes: (bytes: number, files: number) => void,
): Promise<Uploaded> {
  const made = await sendJson(server, 'POST', `${API}/logged-models`, {
    experiment_id: await experimentOf(server),
    // What names of logged models may not hold (mlflow/utils/validation.py, _validate_logged_model_name).
    name: name.replace(/[/:.%"']/g, '-'),
  });
  const { model_id: modelId, artifact_uri: uri } = Model.parse(made).model.info;
  try {
    const folder = await folderOf(server, uri);
    const sums = new Map<string, string>();
    await forEachConcurrently(files, AT_ONCE, async (file) => {
      sums.set(file.path, await uploadFile(server, joinPath(folder, file.path), file, (bytes) => onBytes(bytes, 0)));
      onBytes(0, 1);
    });
    await sendJson(server, 'PATCH', `${API}/logged-models/${modelId}`, { status: 'LOGGED_MODEL_READY' });
    return { modelId, files: files.map((file) => ({ path: file.path, sha256: sums.get(file.path) ?? '' })) };
  } catch (error) {
    await discardUpload(server, modelId);
    throw error;
  }
}

/** Deletes what `uploadAsLoggedModel` made, if it can, also after the work was stopped: nothing became of it. */
export async function discardUpload(server: ServerAddress, modelId: string): Promise<void> {
  const signal = AbortSignal.timeout(DISCARDED_WITHIN_MS);
  await sendJson({ ...server, signal }, 'DELETE', `${API}/logged-models/${modelId}`).catch(() => {});
}

async function experimentOf(server: ServerAddress): Promise<string> {
  const find = async () =>
    Experiment.parse(await getJson(server, `${API}/experiments/get-by-name`, { experiment_name: EXPERIMENT })).experiment.experiment_id;
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof ServerError && error.status === 404)) throw error;
  }
  try {
    const made = await sendJson(server, 'POST', `${API}/experiments/create`, { name: EXPERIMENT });
    return z.object({ experiment_id: z.string() }).parse(made).experiment_id;
  } catch (error) {
    // Somebody else made it meanwhile.
    if (error instanceof ServerError && error.code === 'RESOURCE_ALREADY_EXISTS') return find();
    throw error;
  }
}

/** Sends a file and gives its SHA-256. Stops when for two minutes no byte could be sent and no answer came. */
async function uploadFile(
  server: ServerAddress,
  remotePath: string,
  { here, size }: LocalFile,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(new Error(`The server took no more of ${here} for two minutes.`)), IDLE_MS);
  let [hash, sent] = [createHash('sha256'), 0];
  async function* read() {
    // A try before this one broke off.
    onBytes(-sent);
    [hash, sent] = [createHash('sha256'), 0];
    try {
      for await (const chunk of createReadStream(here) as AsyncIterable<Buffer>) {
        timer.refresh();
        hash.update(chunk);
        sent += chunk.length;
        onBytes(chunk.length);
        yield chunk;
      }
    } catch (error) {
      ended.abort(error);
      throw error;
    }
  }
  try {
    const signal = AbortSignal.any([server.signal, ended.signal]);
    await putStream({ ...server, signal }, urlOf(remotePath), size, () => Readable.from(read()));
    return hash.digest('hex');
  } catch (error) {
    throw ended.signal.aborted ? ended.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}
