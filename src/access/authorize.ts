import type { Permission } from '../platform/permission.ts';
import type { Caller } from './caller.ts';
import { permissionDenied } from './can.ts';

/** Whether a caller may go on; `hidden` as in `Need`. Throws PERMISSION_DENIED. */
export async function authorize<Context extends { caller: Caller }>(
  permission: Permission<Context>,
  context: Context,
): Promise<'granted' | 'hidden'> {
  const { caller } = context;
  if (permission === 'public' || permission === 'authenticated') return 'granted';
  if (permission !== 'admin') return permission.check(context);
  if (!caller.isAdmin) throw permissionDenied(`Permission denied: only administrators may do this, and '${caller.username}' is none.`);
  return 'granted';
}
