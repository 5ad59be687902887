import { auditEndpoints } from './access/audit/routes.ts';
import { olderGrantEndpoints } from './access/grants/older-routes.ts';
import { principalGrantEndpoints } from './access/grants/principal-routes.ts';
import { grantEndpoints } from './access/grants/routes.ts';
import { groupEndpoints } from './access/groups/routes.ts';
import { roleEndpoints } from './access/roles/routes.ts';
import { sessionEndpoints } from './access/sessions/routes.ts';
import { tokenEndpoints } from './access/tokens/routes.ts';
import { userEndpoints } from './access/users/routes.ts';
import { multipartEndpoints } from './artifacts/multipart-routes.ts';
import { artifactEndpoints } from './artifacts/routes.ts';
import type { Services } from './endpoint.ts';
import { MlflowError } from './platform/errors.ts';
import type { AnyEndpoint } from './platform/http/mount.ts';
import { aliasEndpoints } from './registry/aliases/routes.ts';
import { assetEndpoints } from './registry/assets/routes.ts';
import { consumerEndpoints } from './registry/consumers/routes.ts';
import { lineageEndpoints } from './registry/lineage/routes.ts';
import { compareEndpoints } from './registry/model-versions/compare-routes.ts';
import { manifestEndpoints } from './registry/model-versions/manifest-routes.ts';
import { modelVersionEndpoints } from './registry/model-versions/routes.ts';
import { mountEndpoints } from './registry/mounts/routes.ts';
import { promotionEndpoints } from './registry/promotions/routes.ts';
import { provenanceEndpoints } from './registry/provenance/routes.ts';
import { registeredModelEndpoints } from './registry/registered-models/routes.ts';
import { webhookDeliveryEndpoints } from './registry/webhooks/delivery-routes.ts';
import { webhookEndpoints } from './registry/webhooks/routes.ts';
import { registryEndpoints } from './scopes/registries/routes.ts';
import { workspaceEndpoints } from './scopes/workspaces/routes.ts';
import { serverInfoEndpoints } from './server-info/routes.ts';
import { experimentEndpoints } from './tracking/experiments/routes.ts';
import { loggedModelEndpoints } from './tracking/logged-models/routes.ts';
import { presignedEndpoints } from './tracking/run-artifacts/presigned-routes.ts';
import { runArtifactEndpoints } from './tracking/run-artifacts/routes.ts';
import { runEndpoints } from './tracking/runs/routes.ts';

const inWorkspace = (endpoints: AnyEndpoint<Services>[]): AnyEndpoint<Services>[] =>
  endpoints.map((endpoint) => ({ ...endpoint, inWorkspace: true }));

/** What there is only while login is on: without it everybody may do everything, and who made an account then would have it later. */
const withLogin = (endpoints: AnyEndpoint<Services>[]): AnyEndpoint<Services>[] =>
  endpoints.map((endpoint) => {
    const handler = endpoint.handler as (context: Services) => Promise<never>;
    return {
      ...endpoint,
      async handler(context: Services) {
        if (context.access === null)
          throw new MlflowError('ENDPOINT_NOT_FOUND', `'${endpoint.op}' needs users, and this server has none: start it with AUTH=on.`);
        return handler(context);
      },
    };
  });
/** Those below the path of a scope: what they call a model there may be a mount. */
const ofNamedModel = (endpoints: AnyEndpoint<Services>[]): AnyEndpoint<Services>[] =>
  endpoints.map((endpoint) => ({ ...endpoint, model: 'name' }));

/** Every endpoint there is. */
export const endpoints: AnyEndpoint<Services>[] = [
  ...serverInfoEndpoints,
  ...sessionEndpoints,
  ...withLogin([
    ...userEndpoints,
    ...roleEndpoints,
    ...grantEndpoints,
    ...olderGrantEndpoints,
    ...principalGrantEndpoints,
    ...groupEndpoints,
    ...tokenEndpoints,
  ]),
  ...workspaceEndpoints,
  ...registryEndpoints,
  ...inWorkspace([
    ...artifactEndpoints,
    ...multipartEndpoints,
    ...experimentEndpoints,
    ...runEndpoints,
    ...runArtifactEndpoints,
    ...presignedEndpoints,
    ...loggedModelEndpoints,
  ]),
  ...registeredModelEndpoints,
  ...modelVersionEndpoints,
  ...ofNamedModel([
    ...manifestEndpoints,
    ...assetEndpoints,
    ...aliasEndpoints,
    ...provenanceEndpoints,
    ...consumerEndpoints,
    ...lineageEndpoints,
    ...compareEndpoints,
  ]),
  ...promotionEndpoints,
  ...mountEndpoints,
  ...webhookEndpoints,
  ...webhookDeliveryEndpoints,
  ...auditEndpoints,
];
