import type { RequestListener } from 'node:http';
import type { Logger } from 'pino';
import { authorize } from './access/authorize.ts';
import { ANYBODY, type Caller, STRANGER } from './access/caller.ts';
import { sessionOf } from './access/sessions/cookies.ts';
import { type LinkSettings, linksFor } from './artifacts/signed-urls.ts';
import { followerOf, refusalsTo } from './audit.ts';
import { changer } from './change.ts';
import type { Services } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { MlflowError } from './platform/errors.ts';
import { serveEndpoints } from './platform/http/mount.ts';
import type { SecuritySettings } from './platform/http/security.ts';
import { addressModel, teachDottedName } from './registry/address-model.ts';
import { addressScope, refuseTracking, takeBasePath, UNNAMED } from './scopes/addressing.ts';
import { emptied } from './scopes/entity.ts';

export type AppSettings = Pick<Services, 'db' | 'blobs' | 'webhooks' | 'consumers' | 'locations' | 'adoption' | 'access' | 'audit'> & {
  links: LinkSettings;
  log: Logger;
  security: SecuritySettings;
};

/** The whole server as a request listener, not listening yet. */
export function createApp({
  db,
  blobs,
  webhooks,
  consumers,
  locations,
  adoption,
  access,
  audit,
  links,
  log,
  security,
}: AppSettings): RequestListener {
  const authentication = access?.authentication ?? null;
  const onceKept: Services['onceKept'] = async (work) => work(db);
  const onceUndone: Services['onceUndone'] = (work) => work(db);
  return serveEndpoints<Services>(endpoints, {
    log,
    security: access === null ? security : { ...security, ownPagesOnly: true },
    changer,
    follower: followerOf(audit),
    failed: audit && authentication && refusalsTo({ db, audit, log, recognise: (req) => authentication.authenticate(req) }),
    takeBasePath,
    readdress: addressModel,
    explain: teachDottedName,
    services: async (req, endpoint) => {
      const servicesFor = async (caller: Caller): Promise<Services> => {
        const address = endpoint.scoped === false ? UNNAMED : await addressScope({ db, caller }, req);
        refuseTracking(address, endpoint);
        // Written out: to spread an object into one with more keys takes longer than all the rest here.
        const services: Services = {
          db,
          blobs,
          webhooks,
          consumers,
          locations,
          adoption,
          access,
          audit,
          links: linksFor(links, req),
          client: req.headers['user-agent'] ?? '',
          caller,
          onceKept,
          onceUndone,
          address,
          scope: address.scope,
        };
        const session = caller.via === 'session' ? sessionOf(req) : null;
        return session === null ? services : { ...services, session };
      };
      if (authentication === null) return servicesFor(ANYBODY);
      if (endpoint.permission === 'public') return servicesFor(STRANGER);
      const caller = await authentication.authenticate(req);
      return servicesFor(caller).catch(async (error: unknown) => {
        refusedOrThrow(error);
        return servicesFor(await authentication.authenticate(req, 'fresh'));
      });
    },
    login: authentication && {
      recognise: (req) => authentication.authenticate(req),
      authorize: async (req, endpoint, { input, ...services }) => {
        const verdictFor = (caller: Caller) => authorize(endpoint.permission, { ...services, caller, input });
        const verdict = await verdictFor(services.caller).catch(refusedOrThrow);
        if (verdict === 'granted') return services;
        // Rights may be a second old, and a maker's own are newer than that: nobody is refused by those of before.
        const caller = await authentication.authenticate(req, 'fresh');
        return (await verdictFor(caller)) === 'granted'
          ? { ...services, caller }
          : { ...services, caller, hidden: true, scope: emptied(services.scope) };
      },
    },
  });
}

/** For what a caller is refused, or is not to know of; any other error is thrown again. */
function refusedOrThrow(error: unknown): 'refused' {
  if (error instanceof MlflowError && (error.code === 'PERMISSION_DENIED' || error.code === 'RESOURCE_DOES_NOT_EXIST')) return 'refused';
  throw error;
}
