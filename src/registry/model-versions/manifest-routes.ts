import { z } from 'zod';
import { endpoint, type Services, streamEndpoint } from '../../endpoint.ts';
import { checkWorkspaceName, DEFAULT_SCOPE } from '../../scopes/entity.ts';
import { getWorkspaceScope } from '../../scopes/store.ts';
import { adoptVersion } from './adopt-version.ts';
import { versionNumber } from './entity.ts';
import { getManifest, Manifest } from './manifest.ts';
import type { VersionKey } from './store.ts';
import { verifyVersion } from './verify-version.ts';

const VERSION_PATH = '/workspaces/:workspace/models/:name/versions/:version';
const versionInPath = z.object({ workspace: z.string(), name: z.string(), version: versionNumber });

async function keyOf({ db }: Services, { workspace, name, version }: z.output<typeof versionInPath>): Promise<VersionKey> {
  checkWorkspaceName(workspace);
  const scope = workspace === DEFAULT_SCOPE.name ? DEFAULT_SCOPE : await getWorkspaceScope(db, workspace);
  return { scope: scope.id, name, version };
}

const manifest = endpoint({
  op: 'model_version.get_manifest',
  summary: 'The files of a version with their sizes and SHA-256, and the digest over all',
  method: 'GET',
  apiVersion: '1.0',
  path: `${VERSION_PATH}/manifest`,
  effect: 'read',
  input: versionInPath,
  output: Manifest,
  async handler({ input, ...services }) {
    return getManifest(services.db, await keyOf(services, input));
  },
});

const verify = streamEndpoint({
  op: 'model_version.verify',
  summary: 'Read all files of a version again and compare them with its digest; tells its progress in lines of JSON',
  method: 'POST',
  apiVersion: '1.0',
  path: `${VERSION_PATH}\\:verify`,
  effect: 'read',
  input: versionInPath,
  async handler({ input, res, ...services }) {
    await verifyVersion(services, await keyOf(services, input), res);
  },
});

const adopt = streamEndpoint({
  op: 'model_version.adopt',
  summary: 'Copy the files of a version that lie in S3 into the artifact store and freeze it; tells its progress in lines of JSON',
  method: 'POST',
  apiVersion: '1.0',
  path: `${VERSION_PATH}\\:adopt`,
  effect: 'write',
  input: versionInPath,
  async handler({ input, res, log, ...services }) {
    await adoptVersion(services, await keyOf(services, input), res, log);
  },
});

export const manifestEndpoints = [manifest, verify, adopt];
