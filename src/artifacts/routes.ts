import { z } from 'zod';
import { endpoint, streamEndpoint } from '../endpoint.ts';
import { invalidParameter } from '../platform/errors.ts';
import { parseArtifactPath } from './artifact-path.ts';
import { FileInfo } from './entity.ts';
import { canAtPath } from './permissions.ts';
import { receiveArtifact } from './receive-artifact.ts';
import { sendArtifact } from './send-artifact.ts';
import { deleteArtifacts, listArtifacts } from './store.ts';
import { pathInWorkspace } from './workspace-path.ts';

const uploadArtifact = streamEndpoint({
  op: 'artifact.upload',
  summary: 'Store a file',
  method: 'PUT',
  path: '/mlflow-artifacts/artifacts/*path',
  effect: 'write',
  input: z.object({ path: z.string() }),
  permission: canAtPath('EDIT', (input: { path: string }) => input.path),
  async handler({ input, req, res, ...services }) {
    if (input.path.endsWith('/')) throw invalidParameter("Artifact path must include a filename (cannot end with '/').");
    await receiveArtifact(services, await pathInWorkspace(services, parseArtifactPath(input.path)), req);
    res.end();
  },
});

const downloadArtifact = streamEndpoint({
  op: 'artifact.download',
  summary: 'Get a file, or a part of it',
  method: 'GET',
  path: '/mlflow-artifacts/artifacts/*path',
  effect: 'read',
  audited: 'shared',
  input: z.object({ path: z.string() }),
  permission: canAtPath('READ', (input: { path: string }) => input.path),
  async handler({ input, req, res, log, ...services }) {
    await sendArtifact(services, await pathInWorkspace(services, parseArtifactPath(input.path)), { req, res, log });
  },
});

const listFolder = endpoint({
  op: 'artifact.list',
  summary: 'List a folder',
  method: 'GET',
  path: '/mlflow-artifacts/artifacts',
  effect: 'read',
  input: z.object({ path: z.string().default('') }),
  output: z.object({ files: z.array(FileInfo).optional() }),
  permission: canAtPath('READ', (input: { path: string }) => input.path),
  async handler({ db, scope, input }) {
    const files = await listArtifacts(db, scope.id, await pathInWorkspace({ db, scope }, parseArtifactPath(input.path)));
    return files.length > 0 ? { files } : {};
  },
});

const deleteArtifact = endpoint({
  op: 'artifact.delete',
  summary: 'Delete a file, or a folder with all in it',
  method: 'DELETE',
  path: '/mlflow-artifacts/artifacts/*path',
  effect: 'write',
  input: z.object({ path: z.string() }),
  output: z.object({}),
  permission: canAtPath('MANAGE', (input: { path: string }) => input.path),
  async handler({ db, scope, input }) {
    await deleteArtifacts(db, scope.id, await pathInWorkspace({ db, scope }, parseArtifactPath(input.path)));
    return {};
  },
});

export const artifactEndpoints = [uploadArtifact, downloadArtifact, listFolder, deleteArtifact];
