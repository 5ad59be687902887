import type { RequestListener } from 'node:http';
import type { Logger } from 'pino';
import type { Services } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { serveEndpoints } from './platform/http/mount.ts';
import { addressScope } from './scopes/addressing.ts';

/** The whole server as a request listener, not listening yet. */
export function createApp({ db, blobs, log }: Omit<Services, 'scope'> & { log: Logger }): RequestListener {
  return serveEndpoints<Services>(endpoints, {
    log,
    services: async (req) => ({ db, blobs, scope: await addressScope(db, req) }),
  });
}
