import { oursOnSharedPostgres, type Recipe, type Server, type Site, startServer } from '../compat/servers/servers.ts';
import { type LookUps, measureLookUps } from './aliases.ts';
import { makeFixture, resolvesAliases } from './fixture.ts';
import { atLeast, type Gate } from './report.ts';
import { call, callEach, sendJson } from './requests.ts';
import { median } from './statistics.ts';
import type { LoadOptions } from './throughput.ts';

const PREFIX = 'login-';
const PASSWORD = 'correct horse battery';
const READER = 'bench-reader';
const LEAST_KEPT = 0.85;

const withLogin: Recipe = {
  label: 'ours, login',
  launch(site, port) {
    const launch = oursOnSharedPostgres.launch(site, port);
    return { ...launch, env: { ...launch.env, AUTH: 'on', ADMIN_PASSWORD: PASSWORD } };
  },
};

const basic = (username: string) => `Basic ${Buffer.from(`${username}:${PASSWORD}`).toString('base64')}`;

/** A request with an Authorization header. */
const signed = (request: Buffer, authorization: string): Buffer =>
  Buffer.from(request.toString().replace('\r\n', `\r\nAuthorization: ${authorization}\r\n`));

/** Looks aliases up on a server with AUTH off, and on one with it on by token and by password of a user who may read models, no more; one database. */
export async function measureLogin(site: Site, options: LoadOptions): Promise<LookUps> {
  const open = await startServer({ ...oursOnSharedPostgres, label: 'ours, no login' }, site);
  await makeFixture(open, PREFIX);
  const guarded = await startServer(withLogin, site);
  const token = await makeReader(guarded);
  const asking = (authorization: string) => {
    const next = resolvesAliases(guarded, PREFIX);
    const known = new Map<Buffer, Buffer>();
    return () => {
      const request = next();
      const made = known.get(request) ?? signed(request, authorization);
      known.set(request, made);
      return made;
    };
  };
  const lookUps = await measureLookUps(
    [
      { way: 'AUTH off', server: open, next: resolvesAliases(open, PREFIX) },
      { way: 'by token', server: guarded, next: asking(`Bearer ${token}`) },
      { way: 'by password', server: guarded, next: asking(basic(READER)) },
    ],
    options,
  );
  for (const server of [open, guarded]) await server.running.stop();
  return lookUps;
}

async function makeReader(server: Server): Promise<string> {
  const asAdmin = (path: string, body: unknown) => signed(sendJson('POST', server, path, body), basic('admin'));
  await callEach(server, [
    asAdmin('/api/2.0/mlflow/users/create', { username: READER, password: PASSWORD }),
    asAdmin('/api/3.0/mlflow/users/permissions/grant', {
      username: READER,
      resource_type: 'registered_model',
      resource_id: '*',
      permission: 'READ',
    }),
  ]);
  const { token } = await call(server, asAdmin('/api/1.0/tokens', { name: 'bench', username: READER }));
  return String(token);
}

export const gatesOfLogin = (lookUps: LookUps): Gate[] =>
  lookUps.slice(1).map(({ way, perSecond }) => {
    const kept = perSecond.map((each, slice) => each / (lookUps[0]?.perSecond[slice] ?? Number.NaN));
    return atLeast(`alias with AUTH=on ${way}, of the throughput with AUTH off`, median(kept), LEAST_KEPT, 'x');
  });
