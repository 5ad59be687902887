import type { IncomingMessage } from 'node:http';
import type { Db } from '../../platform/db/database.ts';
import { callerOf } from '../authenticate.ts';
import { STRANGER } from '../caller.ts';
import { findCallerById } from '../callers-store.ts';
import type { Audit } from './open.ts';
import { keptName, originOf } from './origin.ts';

const NOTHING = { scope: '', scope_id: null, version: '', input: null, before: null, after: null };

/** Tells the audit of who began a browser session. */
export async function recordSignIn({ db, audit }: { db: Db; audit: Audit | null }, req: IncomingMessage, user: number): Promise<void> {
  const row = audit && (await findCallerById(db, user));
  if (!row) return;
  const subject = { ...NOTHING, resource_type: 'session', resource: row.username };
  await audit.record(db, { ...originOf(req, callerOf(row, 'session')), ...subject, op: 'session.begin', outcome: 'SUCCESS', count: 1 });
}

/** Tells the audit which name was tried with a wrong password or token; of an empty one there is nothing to tell. */
export function countFailedLogin(audit: Audit | null, req: IncomingMessage, op: string, tried: string): void {
  const actor = keptName(tried);
  if (actor === '') return;
  audit?.count({
    ...originOf(req, STRANGER),
    ...NOTHING,
    actor,
    via: 'none',
    op,
    outcome: 'UNAUTHENTICATED',
    resource_type: 'session',
    resource: '',
  });
}
