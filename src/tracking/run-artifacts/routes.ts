import { z } from 'zod';
import { joinPath, ownPathOf, parseArtifactPath } from '../../artifacts/artifact-path.ts';
import { FileInfo } from '../../artifacts/entity.ts';
import { receiveArtifact } from '../../artifacts/receive-artifact.ts';
import { sendArtifact } from '../../artifacts/send-artifact.ts';
import { listArtifactsBelow } from '../../artifacts/store.ts';
import { endpoint, streamEndpoint } from '../../endpoint.ts';
import { invalidParameter, missingValue } from '../../platform/errors.ts';
import { canOnRun } from '../permissions.ts';
import { getRunArtifactRoot } from './get-root.ts';

const MAX_UPLOAD_BYTES = 10 * 1024 * 1024;

/** `run_uuid` is the older name of `run_id`. */
const runIdentity = { run_id: z.string().optional(), run_uuid: z.string().optional() };

const list = endpoint({
  op: 'run.list_artifacts',
  summary: "List a folder of a run's artifacts",
  method: 'GET',
  path: '/mlflow/artifacts/list',
  effect: 'read',
  input: z.object({ ...runIdentity, path: z.string().default(''), page_token: z.string().optional() }),
  output: z.object({ root_uri: z.string(), files: z.array(FileInfo).optional() }),
  permission: canOnRun('READ'),
  async handler({ input, ...services }) {
    const runId = input.run_id || input.run_uuid;
    if (!runId) throw missingValue('run_id');
    const folder = parseArtifactPath(input.path);
    const root = await getRunArtifactRoot(services, runId);
    const files = await listArtifactsBelow(services.db, services.scope.id, ownPathOf(root), folder);
    return { root_uri: root, ...(files.length > 0 && { files }) };
  },
});

const get = streamEndpoint({
  op: 'run.get_artifact',
  summary: 'Get a file of a run, as the browser UI asks for it',
  method: 'GET',
  path: '/get-artifact',
  apiVersion: 'none',
  effect: 'read',
  input: z.object({ ...runIdentity, path: z.string().min(1) }),
  permission: canOnRun('READ'),
  async handler({ input, req, res, log, ...services }) {
    const path = parseArtifactPath(input.path);
    // The stock server does not look whether there is one: it finds none called None.
    const root = await getRunArtifactRoot(services, input.run_id || input.run_uuid || 'None');
    await sendArtifact(services, joinPath(ownPathOf(root), path), { req, res, log });
  },
});

const upload = streamEndpoint({
  op: 'run.upload_artifact',
  summary: 'Store a small file in a run, as the browser UI sends it',
  method: 'POST',
  path: '/ajax-api/2.0/mlflow/upload-artifact',
  apiVersion: 'none',
  effect: 'write',
  input: z.object({ run_uuid: z.string().default(''), path: z.string().default('') }),
  permission: canOnRun('EDIT'),
  async handler({ input, req, res, ...services }) {
    if (!input.run_uuid) throw invalidParameter('Request must specify run_uuid.');
    if (!input.path) throw invalidParameter('Request must specify path.');
    const path = parseArtifactPath(input.path);
    // A length that is declared is also the most that Node reads; one that is not cannot be checked before the bytes are in.
    const length = Number(req.headers['content-length'] ?? Number.NaN);
    if (Number.isNaN(length) || length === 0) throw invalidParameter('Request must specify data.');
    if (length > MAX_UPLOAD_BYTES) throw invalidParameter('Artifact size is too large. Max size is 10MB.');
    await receiveArtifact(services, joinPath(ownPathOf(await getRunArtifactRoot(services, input.run_uuid)), path), req);
    res.setHeader('Content-Type', 'application/json');
    res.end();
  },
});

export const runArtifactEndpoints = [list, get, upload];
