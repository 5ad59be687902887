import { z } from 'zod';
import { endpoint, type Services } from '../../endpoint.ts';
import { doesNotExist } from '../../platform/errors.ts';
import { checkedBy, requiredText } from '../../platform/fields.ts';
import { getScopeNamed } from '../named-scope.ts';
import { canGrant } from './can-grant.ts';
import { checkGrantable, checkPattern, checkPermission, Grant, type Principal, principal } from './entity.ts';
import { findGrant, findModelType, type Granted, listGrants, removeGrant, setGrant } from './store.ts';

/** What is granted on: a whole workspace or registry, or one model of it. */
const PLACES = [
  { op: 'workspace_grant', kind: 'workspace', path: '/workspaces/:scope/grants', what: 'a workspace' },
  { op: 'workspace_model_grant', kind: 'workspace', path: '/workspaces/:scope/models/:name/grants', what: 'a model of a workspace' },
  { op: 'registry_grant', kind: 'registry', path: '/registries/:scope/grants', what: 'a registry' },
  { op: 'registry_model_grant', kind: 'registry', path: '/registries/:scope/models/:name/grants', what: 'a model of a registry' },
] as const;

const place = { scope: z.string(), name: requiredText.optional() };
const onePrincipal = { ...place, principal };

const level = z.string().pipe(
  checkedBy((permission) => {
    checkPermission(permission);
    checkGrantable('*', permission);
  }),
);

const OneGrant = z.object({ principal: z.string(), permission: z.string() });
const toGrant = ({ kind, name }: Principal, permission: string) => ({ principal: `${kind}:${name}`, permission });

const nothingGranted = ({ kind, name }: Principal) =>
  doesNotExist(
    `Nothing is granted to '${kind}:${name}' itself here. What it may do by roles and groups is listed by users/permissions/list.`,
  );

function endpointsAt({ op, kind, path, what }: (typeof PLACES)[number]) {
  async function on(context: Services & { input: { scope: string; name?: string | undefined } }): Promise<Granted> {
    const { scope: scopeName, name } = context.input;
    const scope = await getScopeNamed(context, scopeName, kind);
    if (name === undefined) return { scope, types: [kind], pattern: '*' };
    checkPattern('registered_model', name);
    return { scope, types: [(await findModelType(context.db, scope, name)) ?? 'registered_model'], pattern: name };
  }
  const permission = canGrant(async (context: Parameters<typeof on>[0]) => {
    const { scope, types, pattern } = await on(context);
    return { scope, type: types[0] ?? '', pattern };
  });
  const shared = { apiVersion: '1.0', scoped: false, permission } as const;

  return [
    endpoint({
      ...shared,
      op: `${op}.list`,
      summary: `List what is granted on ${what}${path.includes(':name') ? '' : ', and in it'}`,
      method: 'GET',
      path,
      effect: 'read',
      input: z.object(place),
      output: z.object({ grants: z.array(Grant) }),
      async handler(context) {
        const granted = await on(context);
        return { grants: await listGrants(context.db, granted.scope, context.input.name === undefined ? null : granted) };
      },
    }),
    endpoint({
      ...shared,
      op: `${op}.get`,
      summary: `Get what is granted on ${what} to user:<name>, group:<name> or role:<name>`,
      method: 'GET',
      path: `${path}/:principal`,
      effect: 'read',
      input: z.object(onePrincipal),
      output: OneGrant,
      async handler(context) {
        const { principal } = context.input;
        const granted = await findGrant(context.db, await on(context), principal);
        if (granted === null) throw nothingGranted(principal);
        return toGrant(principal, granted);
      },
    }),
    endpoint({
      ...shared,
      op: `${op}.set`,
      summary: `Grant a level on ${what} to user:<name>, group:<name> or role:<name>`,
      method: 'PUT',
      path: `${path}/:principal`,
      effect: 'write',
      input: z.object({ ...onePrincipal, permission: level }),
      output: OneGrant,
      async handler(context) {
        const { principal, permission } = context.input;
        await setGrant(context.db, await on(context), principal, permission);
        return toGrant(principal, permission);
      },
    }),
    endpoint({
      ...shared,
      op: `${op}.delete`,
      summary: `Take back what is granted on ${what} to user:<name>, group:<name> or role:<name>`,
      method: 'DELETE',
      path: `${path}/:principal`,
      effect: 'write',
      input: z.object(onePrincipal),
      output: z.object({}),
      async handler(context) {
        const { principal } = context.input;
        if (!(await removeGrant(context.db, await on(context), principal))) throw nothingGranted(principal);
        return {};
      },
    }),
  ];
}

export const principalGrantEndpoints = PLACES.flatMap(endpointsAt);
