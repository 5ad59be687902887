import { z } from 'zod';
import { endpoint, streamEndpoint } from '../endpoint.ts';
import { invalidParameter } from '../platform/errors.ts';
import { int64, requiredText } from '../platform/fields.ts';
import { joinPath, parseArtifactPath } from './artifact-path.ts';
import { abandonUpload, beginUpload, finishUpload, partPath } from './multipart.ts';
import { canAtPath } from './permissions.ts';
import { receivePart } from './receive-artifact.ts';
import { sendFile } from './send-artifact.ts';
import { checkSignature, signUrl } from './signed-urls.ts';
import { getArtifact } from './store.ts';
import { getSignedBlob, getSigningKey, getUploadForPart, toPartsUpload } from './uploads-store.ts';
import { pathInWorkspace } from './workspace-path.ts';

const Part = z.object({ part_number: int64.optional(), etag: z.string().optional(), url: z.string().optional() });
const Signature = { expires: z.coerce.number().int(), signature: z.string() };

/** The path of the file: its folder, and the last name of what the client calls it, which is a path of its own machine. */
async function targetOf(services: Parameters<typeof pathInWorkspace>[0], folder: string, localFile: string): Promise<string> {
  const name = localFile.split(/[\\/]/).at(-1) ?? '';
  if (name === '') throw invalidParameter("Artifact path must include a filename (cannot end with '/').");
  return pathInWorkspace(services, parseArtifactPath(joinPath(parseArtifactPath(folder), name)));
}

const createUpload = endpoint({
  op: 'artifact.create_multipart_upload',
  summary: 'Begin an upload in parts: where each part is to be sent',
  method: 'POST',
  path: '/mlflow-artifacts/mpu/create/*artifact_path',
  effect: 'write',
  audited: 'after',
  input: z.object({ artifact_path: z.string(), path: requiredText, num_parts: int64.default(0) }),
  output: z.object({
    upload_id: z.string(),
    credentials: z.array(z.object({ url: z.string(), part_number: z.int(), headers: z.record(z.string(), z.string()) })),
  }),
  permission: canAtPath('EDIT', (input: { artifact_path: string }) => input.artifact_path),
  async handler({ input, ...services }) {
    return beginUpload(services, await targetOf(services, input.artifact_path, input.path), input.num_parts);
  },
});

const completeUpload = endpoint({
  op: 'artifact.complete_multipart_upload',
  summary: 'Put the parts of an upload together',
  method: 'POST',
  path: '/mlflow-artifacts/mpu/complete/*artifact_path',
  effect: 'write',
  audited: 'after',
  input: z.object({ artifact_path: z.string(), path: requiredText, upload_id: z.string().default(''), parts: z.array(Part) }),
  output: z.object({}),
  permission: canAtPath('EDIT', (input: { artifact_path: string }) => input.artifact_path),
  async handler({ input, ...services }) {
    const parts = input.parts.map(({ part_number, etag }) => ({ number: part_number ?? 0, etag: etag ?? '' }));
    await finishUpload(services, await targetOf(services, input.artifact_path, input.path), input.upload_id, parts);
    return {};
  },
});

const abortUpload = endpoint({
  op: 'artifact.abort_multipart_upload',
  summary: 'Give an upload in parts up',
  method: 'POST',
  path: '/mlflow-artifacts/mpu/abort/*artifact_path',
  effect: 'write',
  audited: 'after',
  input: z.object({ artifact_path: z.string(), path: requiredText, upload_id: z.string().default('') }),
  output: z.object({}),
  permission: canAtPath('EDIT', (input: { artifact_path: string }) => input.artifact_path),
  async handler({ input, ...services }) {
    await abandonUpload(services, await targetOf(services, input.artifact_path, input.path), input.upload_id);
    return {};
  },
});

const uploadPart = streamEndpoint({
  op: 'artifact.upload_part',
  summary: 'Send a part of an upload, to the signed address that its beginning gave',
  method: 'PUT',
  path: '/mlflow-artifacts/mpu/parts/:upload_id/:part_number',
  effect: 'write',
  audited: 'never',
  input: z.object({ upload_id: z.string(), part_number: int64, ...Signature }),
  permission: 'public',
  async handler({ db, blobs, input, req, res }) {
    const { secret, ...upload } = await getUploadForPart(db, input.upload_id);
    checkSignature(secret, partPath(input.upload_id, input.part_number), input);
    const { parts } = blobs;
    if (parts.direct) throw invalidParameter('The parts of this upload go to the artifact store itself.');
    const part = { number: input.part_number, count: upload.part_count };
    res.setHeader('ETag', await receivePart(req, (length) => parts.writePart(toPartsUpload(upload), { ...part, length }, req)));
    res.end();
  },
});

const signedPath = (sha256: string, name: string) => `/api/2.0/mlflow-artifacts/signed/${sha256}/${encodeURIComponent(name)}`;

const presignDownload = endpoint({
  op: 'artifact.presign_download',
  summary: 'An address to download a file from in parts, without a login, for a while',
  method: 'GET',
  path: '/mlflow-artifacts/presigned/*artifact_path',
  effect: 'read',
  audited: 'shared',
  input: z.object({ artifact_path: z.string() }),
  output: z.object({ url: z.string(), headers: z.record(z.string(), z.string()), file_size: z.int() }),
  permission: canAtPath('READ', (input: { artifact_path: string }) => input.artifact_path),
  async handler({ input, ...services }) {
    const { db, blobs, scope, links, consumers } = services;
    const path = await pathInWorkspace({ db, scope }, parseArtifactPath(input.artifact_path));
    const { key, sha256, size } = await getArtifact(db, scope.id, path);
    consumers.downloaded(services, path);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const seconds = links.downloadSeconds;
    const url = blobs.signedUrl
      ? await blobs.signedUrl(key, { name, seconds })
      : signUrl(await getSigningKey(db), links, signedPath(sha256, name), seconds);
    return { url, headers: {}, file_size: size };
  },
});

const downloadSigned = streamEndpoint({
  op: 'artifact.download_signed',
  summary: 'Get a file from a signed address',
  method: 'GET',
  path: '/mlflow-artifacts/signed/:sha256/:name',
  effect: 'read',
  input: z.object({ sha256: z.string(), name: z.string(), ...Signature }),
  permission: 'public',
  async handler({ input, req, res, log, ...services }) {
    const { secret, ...file } = await getSignedBlob(services.db, input.sha256);
    checkSignature(secret, signedPath(input.sha256, input.name), input);
    await sendFile(services, file, input.name, { req, res, log });
  },
});

export const multipartEndpoints = [createUpload, completeUpload, abortUpload, uploadPart, presignDownload, downloadSigned];
