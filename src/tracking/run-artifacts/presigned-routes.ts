import { z } from 'zod';
import { parseArtifactPath } from '../../artifacts/artifact-path.ts';
import { endpoint } from '../../endpoint.ts';
import { invalidParameter, MlflowError } from '../../platform/errors.ts';
import { int64, requiredText } from '../../platform/fields.ts';
import { getLoggedModelLocation } from '../logged-models/store.ts';
import { canOnRun, canOnRunOrLoggedModel } from '../permissions.ts';
import { getRunArtifactRoot } from './get-root.ts';

const DEFAULT_EXPIRATION_S = 900;
const MAX_EXPIRATION_S = 604_800;
const PROXIED = /^(https?|mlflow-artifacts):/;

const Nothing = z.object({});

/** What the stock server says of artifacts that it keeps itself, and of a store that signs no addresses (mlflow/server/handlers.py). */
function refuse(kind: 'upload' | 'download', uri: string): never {
  const scheme = PROXIED.exec(uri)?.[1];
  if (!scheme) throw new MlflowError('NOT_IMPLEMENTED', `Presigned ${kind} is not supported for the current artifact repository`);
  const [runs, a] = kind === 'download' ? ['runs with ', 'a run with a'] : ['', 'a'];
  throw invalidParameter(
    `Presigned ${kind} is not supported for ${runs}proxied artifact storage (artifact URI scheme: ${scheme}). ` +
      `This endpoint requires ${a} direct cloud storage artifact URI.`,
  );
}

const presignUpload = endpoint({
  op: 'run.presign_upload',
  summary: 'Where to upload a file of a run or logged model without this server in between: not supported',
  method: 'POST',
  path: '/mlflow/artifacts/presigned-upload-url',
  effect: 'read',
  input: z.object({
    run_id: z.string().default(''),
    model_id: z.string().default(''),
    path: requiredText,
    expiration: int64.optional(),
  }),
  output: Nothing,
  permission: canOnRunOrLoggedModel('EDIT'),
  async handler({ input, ...services }) {
    if ((input.run_id === '') === (input.model_id === '')) throw invalidParameter('Exactly one of run_id and model_id must be provided.');
    parseArtifactPath(input.path);
    if (input.run_id) return refuse('upload', await getRunArtifactRoot(services, input.run_id));
    const model = await getLoggedModelLocation(services.db, { scope: services.scope.id, modelId: input.model_id });
    return refuse('upload', model.artifact_uri);
  },
});

const presignDownload = endpoint({
  op: 'run.presign_download',
  summary: 'Where to download a file of a run without this server in between: not supported',
  method: 'POST',
  path: '/mlflow/artifacts/presigned-download-url',
  effect: 'read',
  input: z.object({ run_id: requiredText, path: requiredText, expiration: int64.default(DEFAULT_EXPIRATION_S) }),
  output: Nothing,
  permission: canOnRun('READ'),
  async handler({ input, ...services }) {
    parseArtifactPath(input.path);
    if (input.expiration < 1 || input.expiration > MAX_EXPIRATION_S) {
      throw invalidParameter(`expiration must be between 1 and ${MAX_EXPIRATION_S} seconds (got ${input.expiration}).`);
    }
    return refuse('download', await getRunArtifactRoot(services, input.run_id));
  },
});

export const presignedEndpoints = [presignUpload, presignDownload];
