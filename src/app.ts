import type { RequestListener } from 'node:http';
import type { Logger } from 'pino';
import { type LinkSettings, linksFor } from './artifacts/signed-urls.ts';
import type { Services } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { serveEndpoints } from './platform/http/mount.ts';
import type { SecuritySettings } from './platform/http/security.ts';
import { announcer } from './registry/webhooks/announce.ts';
import { addressScope } from './scopes/addressing.ts';
import { DEFAULT_SCOPE } from './scopes/entity.ts';

/** The whole server as a request listener, not listening yet. */
export function createApp({
  db,
  blobs,
  webhooks,
  links,
  locations,
  adoption,
  log,
  security,
}: Omit<Services, 'scope' | 'links'> & { links: LinkSettings; log: Logger; security: SecuritySettings }): RequestListener {
  return serveEndpoints<Services>(endpoints, {
    log,
    security,
    announcer,
    services: async (req, { scoped }) => ({
      db,
      blobs,
      webhooks,
      locations,
      adoption,
      links: linksFor(links, req),
      scope: scoped === false ? DEFAULT_SCOPE : await addressScope(db, req),
    }),
  });
}
