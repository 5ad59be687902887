import type pg from 'pg';
import { type Db, run, statement } from '../../platform/db/database.ts';
import { getHead, type Head, hashOf } from './chain.ts';
import type { EventRow } from './event.ts';
import { EVENT_COLUMNS } from './store.ts';

const AT_ONCE = 1000;

type Link = { [Field in keyof EventRow]: EventRow[Field] | null } & { sequence: number; sealed_id: number; hash: Buffer };

const LINKS = statement(
  'audit_chain_links',
  `select c.sequence, c.event_id as sealed_id, c.hash, ${EVENT_COLUMNS} from audit_chain c left join audit_events e on e.event_id = c.event_id
   where c.sequence > :after::bigint order by c.sequence limit ${AT_ONCE}`,
);

const STRAYS = statement(
  'stray_audit_events',
  `select e.event_id, false as is_missing from audit_events e
   where not exists (select from audit_chain c where c.event_id = e.event_id) and not exists (select from audit_unsealed u where u.event_id = e.event_id)
   union all
   select u.event_id, true from audit_unsealed u where not exists (select from audit_events e where e.event_id = u.event_id)
   order by event_id limit 1000`,
);

const WAITING = statement('count_unsealed_audit_events', 'select count(*) as count from audit_unsealed');

/** What `verifyChain` found: `damage` names each row that is not as it was written, the first in the chain first; `waiting` are not in the chain yet. */
export type Verdict = { links: number; waiting: number; damage: string[]; head: Head; knowsHash: boolean };

/**
 * Recomputes the whole chain, and looks for events that are not in it. `noted` is a hash that somebody wrote down (hex), which must be in it: else its end was
 * cut off and made again. Sees everything as it was when it began.
 */
export async function verifyChain(pool: pg.Pool, noted: string | null, onProgress: (links: number) => void = () => {}): Promise<Verdict> {
  const client = await pool.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    return await check(client, noted, onProgress);
  } finally {
    await client.query('rollback').catch(() => {});
    client.release();
  }
}

async function check(db: Db, noted: string | null, onProgress: (links: number) => void): Promise<Verdict> {
  const damage: string[] = [];
  let before: Head = { sequence: 0, hash: Buffer.alloc(32) };
  let [links, knowsHash] = [0, noted === null];
  while (true) {
    const page = await run<Link>(db, LINKS, { after: before.sequence });
    for (const link of page) {
      const { sequence, sealed_id: id, hash } = link;
      const gap = sequence - before.sequence - 1;
      if (gap > 0)
        damage.push(`${gap === 1 ? `sequence ${sequence - 1} was` : `sequences ${before.sequence + 1} to ${sequence - 1} were`} removed`);
      else if (link.event_id === null) damage.push(`sequence ${sequence}: event ${id} was removed`);
      else if (!hashOf(before.hash, link as EventRow).equals(hash))
        damage.push(
          `sequence ${sequence}: event ${id} (${link.op} by '${link.actor}', ${new Date(link.timestamp ?? 0).toISOString()}) was changed`,
        );
      knowsHash ||= hash.toString('hex') === noted;
      // What follows is held against what stands here, so that one doctored row is one finding.
      before = { sequence, hash };
    }
    links += page.length;
    onProgress(links);
    if (page.length < AT_ONCE) break;
  }
  for (const { event_id: id, is_missing: isMissing } of await run<{ event_id: number; is_missing: boolean }>(db, STRAYS))
    damage.push(
      isMissing
        ? `event ${id} was removed before it got into the chain`
        : `event ${id} is not in the chain: it was put there, or its place was removed`,
    );
  const [waiting] = await run<{ count: number }>(db, WAITING);
  return { links, waiting: waiting?.count ?? 0, damage, head: await getHead(db), knowsHash };
}
