import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { SCOPE_PATHS, scopeInPath, scopeOfPath } from '../asset-scope.ts';
import { canOnVersionInPath } from '../permissions.ts';
import { modelName } from '../registered-models/entity.ts';
import { compareVersions, VersionComparison } from './compare-versions.ts';
import { versionNumber } from './entity.ts';

const compareEndpointBelow = (scopePath: (typeof SCOPE_PATHS)[number]) =>
  endpoint({
    op: 'model_version.compare',
    summary: 'What is different between two versions of a model: signature, requirements, params, metrics, data and files',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions\\:compare`,
    effect: 'read',
    input: z.object({ ...scopeInPath, name: modelName, left: versionNumber, right: versionNumber }),
    output: VersionComparison,
    permission: canOnVersionInPath('READ'),
    async handler({ input: { name, left, right, ...path }, ...services }) {
      return compareVersions(services, await scopeOfPath(services, path), name, { left, right });
    },
  });

export const compareEndpoints = SCOPE_PATHS.map(compareEndpointBelow);
