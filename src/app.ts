import type { RequestListener } from 'node:http';
import type { Logger } from 'pino';
import type { Services } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { serveEndpoints } from './platform/http/mount.ts';
import type { SecuritySettings } from './platform/http/security.ts';
import { addressScope } from './scopes/addressing.ts';

/** The whole server as a request listener, not listening yet. */
export function createApp({
  db,
  blobs,
  log,
  security,
}: Omit<Services, 'scope'> & { log: Logger; security: SecuritySettings }): RequestListener {
  return serveEndpoints<Services>(endpoints, {
    log,
    security,
    services: async (req) => ({ db, blobs, scope: await addressScope(db, req) }),
  });
}
