import { mayDoAll } from '../../access/can.ts';
import { allows, levelOn } from '../../access/grants.ts';
import type { Services } from '../../endpoint.ts';
import type { Level } from '../../platform/permission.ts';
import { findScope } from '../../scopes/store.ts';
import { scopeToRead } from '../../tracking/permissions.ts';
import { versionResource } from '../permissions.ts';
import type { LiveVersion } from './store.ts';

type Asking = Pick<Services, 'db' | 'caller'>;

async function has(asking: Asking, level: Level, { scope, name }: Pick<LiveVersion, 'scope' | 'name'>): Promise<boolean> {
  if (mayDoAll(asking.caller)) return true;
  const found = await findScope(asking.db, scope);
  return found !== null && allows(levelOn(asking.caller, await versionResource(asking, found, name)), level);
}

/** A version as it is now, if the caller may read it: else what was kept of it is all there is. */
export async function ifReadable(asking: Asking, version: LiveVersion | null): Promise<LiveVersion | null> {
  return version !== null && (await has(asking, 'READ', version)) ? version : null;
}

/** Those of these versions that the caller may read. */
export async function readableOf<Version extends LiveVersion>(asking: Asking, versions: Version[]): Promise<Version[]> {
  const readable = await Promise.all(versions.map((version) => has(asking, 'READ', version)));
  return versions.filter((_, i) => readable[i]);
}

/** Those of these versions that the caller may change: who may, may know who uses them. */
export async function editableOf(asking: Asking, versions: LiveVersion[]): Promise<LiveVersion[]> {
  const editable = await Promise.all(versions.map((version) => has(asking, 'EDIT', version)));
  return versions.filter((_, i) => editable[i]);
}

/** Whether the caller may read a run of a workspace. */
export async function mayReadRun(asking: Asking, workspace: string, runId: string): Promise<boolean> {
  if (mayDoAll(asking.caller)) return true;
  const scope = await findScope(asking.db, workspace);
  return scope !== null && (await scopeToRead(asking, scope, { runId })).id === scope.id;
}
