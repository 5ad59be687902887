// While one waits for the disk, the next is at its lock already.
const AT_ONCE = 2;
const MAX_WAIT_MS = 1000;

type Line = { running: number; waiting: Set<() => void> };
const lines = new Map<string, Line>();

/**
 * Lets this process do what waits for one lock of the database a few at a time, in the order it came. Many that wait there cost PostgreSQL more than the work
 * itself, and overtake each other. Nothing relies on it: after a second each goes on to wait at the lock. Not for work in a transaction, which holds a connection.
 */
export async function inTurn<Result>(lock: string, work: () => Promise<Result>): Promise<Result> {
  const line = lines.get(lock) ?? { running: 0, waiting: new Set() };
  lines.set(lock, line);
  if (line.running >= AT_ONCE) await turnIn(line);
  else line.running++;
  try {
    return await work();
  } finally {
    const [next] = line.waiting;
    if (next) next();
    else if (--line.running === 0) lines.delete(lock);
  }
}

/** Waits until one that is done hands its place over, or takes one more. */
const turnIn = (line: Line): Promise<void> =>
  new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      line.waiting.delete(go);
      resolve();
    };
    const timer = setTimeout(() => {
      line.running++;
      go();
    }, MAX_WAIT_MS);
    line.waiting.add(go);
  });
