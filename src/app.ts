import type { RequestListener } from 'node:http';
import type { Logger } from 'pino';
import { type LinkSettings, linksFor } from './artifacts/signed-urls.ts';
import type { Services } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { serveEndpoints } from './platform/http/mount.ts';
import type { SecuritySettings } from './platform/http/security.ts';
import { addressModel } from './registry/address-model.ts';
import { announcer } from './registry/webhooks/announce.ts';
import { addressScope, refuseTracking, takeBasePath, UNNAMED } from './scopes/addressing.ts';

/** The whole server as a request listener, not listening yet. */
export function createApp({
  db,
  blobs,
  webhooks,
  consumers,
  links,
  locations,
  adoption,
  log,
  security,
}: Omit<Services, 'scope' | 'address' | 'links' | 'client'> & {
  links: LinkSettings;
  log: Logger;
  security: SecuritySettings;
}): RequestListener {
  return serveEndpoints<Services>(endpoints, {
    log,
    security,
    announcer,
    takeBasePath,
    readdress: addressModel,
    services: async (req, endpoint) => {
      const address = endpoint.scoped === false ? UNNAMED : await addressScope(db, req);
      refuseTracking(address, endpoint);
      const client = req.headers['user-agent'] ?? '';
      return { db, blobs, webhooks, locations, adoption, links: linksFor(links, req), consumers, client, address, scope: address.scope };
    },
  });
}
