/** A value that one writer sets again and again: what a reader may find is the last acknowledged value, or the one that was under way. */
export type Register = { acknowledged?: string; underWay?: string };

/** What the writers of one cycle tried, and what the server acknowledged. */
export type Ledger = {
  /** Names of the cycle's models and artifacts start with it. */
  prefix: string;
  /** Models that many write to. */
  shared: string[];
  /** Model name -> whether its creation was acknowledged. */
  models: Map<string, boolean>;
  /** Source of a version (no two are alike) -> its model, and its number once acknowledged. */
  versions: Map<string, { model: string; number?: number }>;
  /** `alias <model> <alias>`, `tag <model> <version> <key>`, `artifact <path>` -> value; of an artifact its SHA-256. */
  registers: Map<string, Register>;
  /** Aliases that all writers move: `<model> <alias>` -> versions tried. */
  contested: Map<string, Set<string>>;
  /** Answers that should not be: neither 200 nor, while PostgreSQL is down, 503. */
  wrongAnswers: string[];
};

export function openLedger(prefix: string): Ledger {
  return {
    prefix,
    shared: [0, 1, 2, 3].map((i) => `${prefix}-shared-${i}`),
    models: new Map(),
    versions: new Map(),
    registers: new Map(),
    contested: new Map(),
    wrongAnswers: [],
  };
}

/** How many writes the server acknowledged. */
export function acknowledgedWrites({ models, versions, registers }: Ledger): number {
  const count = <T>(items: Iterable<T>, wanted: (item: T) => boolean) => [...items].filter(wanted).length;
  return (
    count(models.values(), (acknowledged) => acknowledged) +
    count(versions.values(), ({ number }) => number !== undefined) +
    count(registers.values(), ({ acknowledged }) => acknowledged !== undefined)
  );
}

/** Random numbers in [0, 1) that a seed repeats (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
