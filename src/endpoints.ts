import { artifactEndpoints } from './artifacts/routes.ts';
import type { Services } from './endpoint.ts';
import type { AnyEndpoint } from './platform/http/mount.ts';
import { modelVersionEndpoints } from './registry/model-versions/routes.ts';
import { registeredModelEndpoints } from './registry/registered-models/routes.ts';
import { serverInfoEndpoints } from './server-info/routes.ts';
import { runArtifactEndpoints } from './tracking/run-artifacts/routes.ts';

/** Every endpoint there is. */
export const endpoints: AnyEndpoint<Services>[] = [
  ...serverInfoEndpoints,
  ...artifactEndpoints,
  ...runArtifactEndpoints,
  ...registeredModelEndpoints,
  ...modelVersionEndpoints,
];
