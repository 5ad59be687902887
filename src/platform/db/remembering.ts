import { type Db, identityOf, isPool, primaryOf } from './database.ts';

const KNOWN_FOR_MS = 1000;
const MOST_KNOWN = 10_000;

/**
 * Makes a look-up, of what never changes as long as it is there, remember for a second what it found: that it was removed may go unnoticed for so long. What
 * is not there is asked for each time, and what a transaction finds, which may yet be undone, is not remembered.
 */
export function remembering<Key extends (string | number)[], Found extends string | number>(
  lookUp: (db: Db, ...key: Key) => Promise<Found | null>,
): (db: Db, ...key: Key) => Promise<Found | null> {
  const knownOf = new WeakMap<Db, Map<string, { found: Found; until: number }>>();
  return async (db, ...key) => {
    const identity = identityOf(db);
    const known = knownOf.get(identity) ?? new Map<string, { found: Found; until: number }>();
    knownOf.set(identity, known);
    const place = key.join('\0');
    const before = known.get(place);
    if (before && performance.now() < before.until) return before.found;
    const found = await lookUp(db, ...key);
    if (found === null || !isPool(primaryOf(db))) return found;
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(place, { found, until: performance.now() + KNOWN_FOR_MS });
    return found;
  };
}
