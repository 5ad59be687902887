import type { Knex } from 'knex';
import { type Db, run, runBuilt, sqlBuilder, statement } from '../../platform/db/database.ts';
import { fetchPage } from '../../platform/search/page.ts';
import { type ChainedRow, EVENT_FIELDS, type NewEvent } from './event.ts';
import { type EventFilter, whereEvents } from './search.ts';

/** The columns of an EventRow, of `audit_events e`. */
export const EVENT_COLUMNS = EVENT_FIELDS.map((name) =>
  ['input', 'before', 'after'].includes(name) ? `e.${name}::text as ${name}` : `e.${name}`,
).join(', ');

const INSERT = statement(
  'insert_audit_event',
  `with event as (
     insert into audit_events (actor, actor_id, via, token_id, on_behalf_of, op, outcome, scope, scope_id, resource_type, resource, version, count,
       input, before, after, client, request_id)
     values (:actor, :actor_id, :via, :token_id, :on_behalf_of, :op, :outcome, :scope, :scope_id, :resource_type, :resource, :version, :count,
       :input, :before, :after, :client, :request_id)
     returning event_id)
   insert into audit_unsealed (event_id) select event_id from event`,
);

/** Writes an event, which gets into the chain later (chain.ts). */
export async function insertEvent(db: Db, event: NewEvent): Promise<void> {
  await run(db, INSERT, event);
}

/** Events with their places in the chain; `scopes` are the ids of those that may be seen, null for all. */
function eventsOf(filter: EventFilter, scopes: number[] | null): Knex.QueryBuilder {
  const query = sqlBuilder('audit_events as e')
    .leftJoin('audit_chain as c', 'c.event_id', 'e.event_id')
    .select(sqlBuilder.raw(`${EVENT_COLUMNS}, c.sequence, encode(c.hash, 'hex') as hash`));
  if (scopes !== null) query.whereRaw('e.scope_id = any (?)', [scopes]);
  whereEvents(query, filter);
  return query;
}

/** One page of events, the newest first. */
export function listEvents(
  db: Db,
  filter: EventFilter,
  scopes: number[] | null,
  page: { limit: number; pageToken: string | undefined },
): Promise<{ rows: ChainedRow[]; nextPageToken: string | null }> {
  return fetchPage<ChainedRow>(db, eventsOf(filter, scopes), {
    ...page,
    sorts: [{ sql: 'e.event_id', descending: true }],
    fingerprint: ['audit_events', filter, scopes],
  });
}

const LAST = statement('last_audit_event', 'select coalesce(max(event_id), 0) as last from audit_events');
const AT_ONCE = 500;

/** All events there are when it is called, the oldest first, some hundreds at a time. */
export async function* readEvents(db: Db, filter: EventFilter, scopes: number[] | null): AsyncGenerator<ChainedRow[]> {
  const [newest] = await run<{ last: number }>(db, LAST);
  let after = 0;
  while (true) {
    const query = eventsOf(filter, scopes)
      .whereRaw('e.event_id > ? and e.event_id <= ?', [after, newest?.last ?? 0])
      .orderBy('e.event_id')
      .limit(AT_ONCE);
    const rows = await runBuilt<ChainedRow>(db, query);
    if (rows.length > 0) yield rows;
    if (rows.length < AT_ONCE) return;
    after = rows.at(-1)?.event_id ?? 0;
  }
}

const FIND_MODELS = statement(
  'audited_models',
  `select m.id::text as id, m.name, m.scope_id, s.name as scope, s.kind = 'registry' as is_shared from registered_models m join scopes s on s.id = m.scope_id where m.id = any (:ids::bigint[])`,
);

type FoundModel = { name: string; scope: string; scope_id: number; is_shared: boolean };

/** The names that models have now, by their ids. */
export async function findModels(db: Db, ids: string[]): Promise<Map<string, FoundModel>> {
  const rows = await run<FoundModel & { id: string }>(db, FIND_MODELS, { ids });
  return new Map(rows.map(({ id, ...model }) => [id, model]));
}
