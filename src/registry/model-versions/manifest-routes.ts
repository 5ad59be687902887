import { z } from 'zod';
import { endpoint, type Services, streamEndpoint } from '../../endpoint.ts';
import { SCOPE_PATHS, scopeInPath, scopeOfPath } from '../asset-scope.ts';
import { canOnVersionInPath } from '../permissions.ts';
import { modelName } from '../registered-models/entity.ts';
import { adoptVersion } from './adopt-version.ts';
import { versionNumber } from './entity.ts';
import { getManifest, Manifest } from './manifest.ts';
import type { VersionKey } from './store.ts';
import { verifyVersion } from './verify-version.ts';

const versionInPath = z.object({ ...scopeInPath, name: modelName, version: versionNumber });

async function keyOf(services: Services, { name, version, ...path }: z.output<typeof versionInPath>): Promise<VersionKey> {
  return { scope: (await scopeOfPath(services, path)).id, name, version };
}

const manifestEndpointsBelow = (scopePath: (typeof SCOPE_PATHS)[number]) => [
  endpoint({
    op: 'model_version.get_manifest',
    summary: 'The files of a version with their sizes and SHA-256, and the digest over all',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version/manifest`,
    effect: 'read',
    audited: 'shared',
    input: versionInPath,
    output: Manifest,
    permission: canOnVersionInPath('READ'),
    async handler({ input, ...services }) {
      return getManifest(services.db, await keyOf(services, input));
    },
  }),
  streamEndpoint({
    op: 'model_version.verify',
    summary: 'Read all files of a version again and compare them with its digest; tells its progress in lines of JSON',
    method: 'POST',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version\\:verify`,
    effect: 'read',
    input: versionInPath,
    permission: canOnVersionInPath('READ'),
    async handler({ input, res, ...services }) {
      await verifyVersion(services, await keyOf(services, input), res);
    },
  }),
  streamEndpoint({
    op: 'model_version.adopt',
    summary: 'Copy the files of a version that lie in S3 into the artifact store and freeze it; tells its progress in lines of JSON',
    method: 'POST',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version\\:adopt`,
    effect: 'write',
    input: versionInPath,
    permission: canOnVersionInPath('EDIT'),
    async handler({ input, res, log, ...services }) {
      await adoptVersion(services, await keyOf(services, input), res, log);
    },
  }),
];

export const manifestEndpoints = SCOPE_PATHS.flatMap(manifestEndpointsBelow);
