import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { doesNotExist } from '../../platform/errors.ts';
import { SCOPE_PATHS, scopeInPath, scopeOfPath } from '../asset-scope.ts';
import { versionNumber } from '../model-versions/entity.ts';
import { canOnVersionInPath } from '../permissions.ts';
import { modelName } from '../registered-models/entity.ts';
import { getProvenance } from './store.ts';

const provenanceEndpointBelow = (scopePath: (typeof SCOPE_PATHS)[number]) =>
  endpoint({
    op: 'model_version.get_provenance',
    summary: 'Where a version came from, as it was when it was promoted, with the SHA-256 of that account',
    method: 'GET',
    apiVersion: '1.0',
    path: `${scopePath}/models/:name/versions/:version/provenance`,
    effect: 'read',
    input: z.object({ ...scopeInPath, name: modelName, version: versionNumber }),
    output: z.object({
      promotion_id: z.string(),
      /** Of `snapshot` as JSON with sorted keys and without spaces (RFC 8785), in UTF-8. */
      sha256: z.string(),
      snapshot: z.record(z.string(), z.unknown()),
      /** The source under its names of today; absent when it was removed. */
      live_source: z
        .object({ kind: z.enum(['workspace', 'registry']), scope: z.string(), name: z.string(), version: z.string() })
        .optional(),
    }),
    permission: canOnVersionInPath('READ'),
    async handler({ input: { name, version, ...path }, ...services }) {
      const { id: scope } = await scopeOfPath(services, path);
      const provenance = await getProvenance(services.db, { scope, name, version });
      if (!provenance) throw doesNotExist(`Version ${version} of ${name} was not promoted: its run and tags say where it came from.`);
      const { promotion_id, sha256, snapshot, live_source: source } = provenance;
      return {
        promotion_id,
        sha256,
        snapshot: JSON.parse(snapshot),
        ...(source && { live_source: { kind: source.kind, scope: source.scope, name: source.name, version: String(source.version) } }),
      };
    },
  });

export const provenanceEndpoints = SCOPE_PATHS.map(provenanceEndpointBelow);
