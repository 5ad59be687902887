import { z } from 'zod';
import { endpoint } from '../endpoint.ts';
import { MlflowError } from '../platform/errors.ts';
import { int64, requiredText } from '../platform/fields.ts';
import { parseArtifactPath } from './artifact-path.ts';

const Nothing = z.object({});
// One of these must have been sent with each request; nothing of it is looked at yet.
const Part = z.object({ part_number: int64.optional(), etag: z.string().optional(), url: z.string().optional() });

/** Clients fall back to plain uploads and downloads on this answer only, in these words (mlflow/exceptions.py; http_artifact_repo.py compares them). */
const notSupported = (what: 'upload' | 'download') =>
  new MlflowError('NOT_IMPLEMENTED', `Multipart ${what} is not supported for the current artifact repository`);

const createUpload = endpoint({
  op: 'artifact.create_multipart_upload',
  summary: 'Begin an upload in parts: not supported, clients send the file whole',
  method: 'POST',
  path: '/mlflow-artifacts/mpu/create/*artifact_path',
  effect: 'read',
  input: z.object({ artifact_path: z.string(), path: requiredText, num_parts: int64.optional() }),
  output: Nothing,
  async handler({ input }) {
    parseArtifactPath(input.artifact_path);
    throw notSupported('upload');
  },
});

const completeUpload = endpoint({
  op: 'artifact.complete_multipart_upload',
  summary: 'Put the parts of an upload together: not supported',
  method: 'POST',
  path: '/mlflow-artifacts/mpu/complete/*artifact_path',
  effect: 'read',
  input: z.object({ artifact_path: z.string(), path: requiredText, upload_id: z.string().optional(), parts: z.array(Part) }),
  output: Nothing,
  async handler({ input }) {
    parseArtifactPath(input.artifact_path);
    throw notSupported('upload');
  },
});

const abortUpload = endpoint({
  op: 'artifact.abort_multipart_upload',
  summary: 'Give an upload in parts up: not supported',
  method: 'POST',
  path: '/mlflow-artifacts/mpu/abort/*artifact_path',
  effect: 'read',
  input: z.object({ artifact_path: z.string(), path: requiredText, upload_id: z.string().optional() }),
  output: Nothing,
  async handler({ input }) {
    parseArtifactPath(input.artifact_path);
    throw notSupported('upload');
  },
});

const presignDownload = endpoint({
  op: 'artifact.presign_download',
  summary: 'Where to download a file without this server in between: not supported',
  method: 'GET',
  path: '/mlflow-artifacts/presigned/*artifact_path',
  effect: 'read',
  input: z.object({ artifact_path: z.string() }),
  output: Nothing,
  async handler({ input }) {
    parseArtifactPath(input.artifact_path);
    throw notSupported('download');
  },
});

export const multipartEndpoints = [createUpload, completeUpload, abortUpload, presignDownload];
