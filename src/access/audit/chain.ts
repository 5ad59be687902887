import { createHash } from 'node:crypto';
import { type Db, run, statement, transaction } from '../../platform/db/database.ts';
import { canonicalEvent, type EventRow } from './event.ts';
import { EVENT_COLUMNS } from './store.ts';

const AT_ONCE = 1000;

/** The last place of the chain; before the first one it is 0, with a hash of zeros. */
export type Head = { sequence: number; hash: Buffer };

const START: Head = { sequence: 0, hash: Buffer.alloc(32) };

/** The SHA-256 over the 32 bytes of the hash before and the event in UTF-8. */
export const hashOf = (before: Buffer, event: EventRow): Buffer =>
  createHash('sha256').update(before).update(canonicalEvent(event)).digest();

const HEAD = statement('audit_head', 'select sequence, hash from audit_chain order by sequence desc limit 1');

export async function getHead(db: Db): Promise<Head> {
  const [head] = await run<Head>(db, HEAD);
  return head ?? START;
}

// Also for the servers of other versions: one at a time.
const LOCK = statement('lock_audit_chain', "select pg_try_advisory_xact_lock(hashtext('model-commons audit')) as locked");
const UNSEALED = statement(
  'unsealed_audit_events',
  `select ${EVENT_COLUMNS} from audit_unsealed u join audit_events e on e.event_id = u.event_id order by u.event_id limit ${AT_ONCE}`,
);
const APPEND = statement(
  'append_to_audit_chain',
  `with sealed as (delete from audit_unsealed where event_id = any (:ids::bigint[]))
   insert into audit_chain (sequence, event_id, hash)
   select :sequence::bigint + link.place, link.event_id, link.hash from unnest(:ids::bigint[], :hashes::bytea[]) with ordinality as link (event_id, hash, place)`,
);
const WAITS = statement('has_unsealed_audit_events', 'select from audit_unsealed limit 1');

/**
 * Appends the events that are committed and not in the chain yet, and gives how many. Does nothing while another server does it. Writers do not wait for
 * this, nor it for them: what commits later is appended later.
 */
export async function seal(db: Db): Promise<number> {
  if ((await run(db, WAITS)).length === 0) return 0;
  let sealed = 0;
  while (true) {
    const appended = await transaction(db, appendUnsealed);
    sealed += appended;
    if (appended < AT_ONCE) return sealed;
  }
}

async function appendUnsealed(tx: Db): Promise<number> {
  const [lock] = await run<{ locked: boolean }>(tx, LOCK);
  if (!lock?.locked) return 0;
  const events = await run<EventRow>(tx, UNSEALED);
  if (events.length === 0) return 0;
  const { sequence, hash } = await getHead(tx);
  let last = hash;
  const hashes = events.map((event) => {
    last = hashOf(last, event);
    return last;
  });
  await run(tx, APPEND, { ids: events.map(({ event_id }) => event_id), hashes, sequence });
  return events.length;
}
