import type { IncomingMessage, RequestListener } from 'node:http';
import type { Logger } from 'pino';
import { authorize } from './access/authorize.ts';
import { ANYBODY, type Caller, SCRAPER, STRANGER } from './access/caller.ts';
import { sessionOf } from './access/sessions/cookies.ts';
import { type LinkSettings, linksFor } from './artifacts/signed-urls.ts';
import { followerOf, refusalsTo } from './audit.ts';
import { changer } from './change.ts';
import type { Services } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import type { Replicas } from './platform/db/replicas.ts';
import { MlflowError } from './platform/errors.ts';
import { serveEndpoints } from './platform/http/mount.ts';
import type { SecuritySettings } from './platform/http/security.ts';
import type { Watch } from './platform/observe/watch.ts';
import { addressModel, teachDottedName } from './registry/address-model.ts';
import { addressScope, refuseTracking, takeBasePath, UNNAMED } from './scopes/addressing.ts';
import { emptied } from './scopes/entity.ts';

type Shared = 'db' | 'blobs' | 'webhooks' | 'consumers' | 'locations' | 'adoption' | 'access' | 'audit' | 'metricsText';

export type AppSettings = Pick<Services, Shared> & {
  /** Null while all reads use `db`. */
  replicas: Replicas | null;
  links: LinkSettings;
  watch: Watch;
  log: Logger;
  security: SecuritySettings;
};

/** The whole server as a request listener, not listening yet. */
export function createApp({
  db,
  replicas,
  blobs,
  webhooks,
  consumers,
  locations,
  adoption,
  access,
  audit,
  metricsText,
  watch,
  links,
  log,
  security,
}: AppSettings): RequestListener {
  const authentication = access?.authentication ?? null;
  const onceKept: Services['onceKept'] = async (work) => work(db);
  const onceUndone: Services['onceUndone'] = (work) => work(db);
  const users = new WeakMap<IncomingMessage, string>();
  return serveEndpoints<Services>(endpoints, {
    log,
    watch: watch.requests,
    userOf: (req) => users.get(req),
    security: access === null ? security : { ...security, ownPagesOnly: true },
    changer,
    follower: followerOf(audit),
    failed: audit && authentication && refusalsTo({ db, audit, log, recognise: (req) => authentication.authenticate(req) }),
    takeBasePath,
    readdress: addressModel,
    explain: teachDottedName,
    settled: replicas?.settled,
    services: async (req, endpoint) => {
      const source = replicas !== null && endpoint.effect === 'read' && !endpoint.onPrimary ? replicas.reader() : db;
      const watched = watch.database(source, endpoint.op, req);
      const servicesFor = async (caller: Caller): Promise<Services> => {
        const address = endpoint.scoped === false ? UNNAMED : await addressScope({ db: watched, caller }, req);
        refuseTracking(address, endpoint);
        // Written out: to spread an object into one with more keys takes longer than all the rest here.
        const services: Services = {
          db: watched,
          blobs: watch.store(blobs, 'blobs', req),
          webhooks,
          consumers,
          locations,
          adoption,
          access,
          audit,
          metricsText,
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
      if (access === null || authentication === null) return servicesFor(ANYBODY);
      if (endpoint.permission === 'public') return servicesFor(STRANGER);
      if (endpoint.op === 'server.metrics' && access.isScraper(req)) return servicesFor(SCRAPER);
      const caller = await authentication.authenticate(req);
      users.set(req, caller.username);
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
