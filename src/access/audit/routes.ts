import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { endpoint, streamEndpoint } from '../../endpoint.ts';
import { searchLimit } from '../../platform/search/limit.ts';
import type { Caller } from '../caller.ts';
import { mayDoAll } from '../can.ts';
import { levelOnScope } from '../grants.ts';
import { AuditEvent, type ChainedRow, toAuditEvent } from './event.ts';
import { EXPORTS } from './export.ts';
import { readEventFilter } from './search.ts';
import { listEvents, readEvents } from './store.ts';

const DEFAULT_RESULTS = 100;
const MAX_RESULTS = 1000;

/** Of which scopes a caller may read the audit: those it manages; null for all of it. */
function auditedScopes(caller: Caller): number[] | null {
  if (mayDoAll(caller)) return null;
  const ids = new Set([...caller.grants.keys(), ...(caller.only ?? [])]);
  return [...ids].filter((id) => levelOnScope(caller, { id }) === 'MANAGE');
}

const list = endpoint({
  op: 'audit.list',
  summary: 'Find events of the audit, the newest first',
  method: 'GET',
  apiVersion: '1.0',
  path: '/audit-events',
  effect: 'read',
  scoped: false,
  input: z.object({
    filter: z.string().optional(),
    max_results: searchLimit(MAX_RESULTS).default(DEFAULT_RESULTS),
    page_token: z.string().optional(),
  }),
  output: z.object({ audit_events: z.array(AuditEvent), next_page_token: z.string().optional() }),
  permission: 'authenticated',
  async handler({ db, caller, input: { filter, max_results: limit, page_token: pageToken } }) {
    const { rows, nextPageToken } = await listEvents(db, readEventFilter(filter), auditedScopes(caller), { limit, pageToken });
    return { audit_events: rows.map(toAuditEvent), ...(nextPageToken && { next_page_token: nextPageToken }) };
  },
});

const exportAll = streamEndpoint({
  op: 'audit.export',
  summary: 'All events of the audit that a filter finds, the oldest first, as lines of JSON or as CSV',
  method: 'GET',
  apiVersion: '1.0',
  path: '/audit-events\\:export',
  effect: 'read',
  scoped: false,
  input: z.object({
    filter: z.string().optional(),
    format: z.enum(['ndjson', 'csv'], "format must be 'ndjson' or 'csv'.").default('ndjson'),
  }),
  permission: 'authenticated',
  async handler({ db, caller, input: { filter, format }, res }) {
    const { type, head, line } = EXPORTS[format];
    const pages = readEvents(db, readEventFilter(filter), auditedScopes(caller));
    const first = await pages.next();
    res.writeHead(200, { 'Content-Type': type, 'Content-Disposition': `attachment; filename="audit-events.${format}"` });
    await write(res, head);
    for (let page = first; !page.done; page = await pages.next()) await write(res, page.value.map((row: ChainedRow) => line(row)).join(''));
    res.end();
  },
});

/** Waits for a slow reader, so that little is kept. Rejects when it is gone. */
async function write(res: ServerResponse, text: string): Promise<void> {
  if (res.destroyed) throw Object.assign(new Error('the reader is gone'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
  if (text === '' || res.write(text)) return;
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  await once(res, 'drain', { signal: gone.signal }).catch(() => {});
}

export const auditEndpoints = [list, exportAll];
