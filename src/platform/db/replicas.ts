import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import { type Db, isUnavailable, openPool, type Reader, run, type Statement, statement } from './database.ts';
import type { Pooler } from './pooler.ts';

/** Reads use a replica while it is known to have all that the primary had so long ago (ms), or less. */
const FRESH_MS = 1000;
/** So long (ms) after a write no server reads any more from a replica that lacks it. More than FRESH_MS, since clocks differ in pace. */
const FORSAKEN_MS = FRESH_MS + 100;
const LOOK_EVERY_MS = 200;
const ASK_AGAIN_MS = 2;
const ANSWER_WITHIN_MS = 1000;
/** A statement that takes longer on a replica is asked of the primary. */
const SLOW_MS = 2000;
/** One that was not used from the start is reported then. */
const REPORT_AFTER_MS = 3000;

type Named = { change: string; admitted: boolean | null };

/** Where the primary was: all that was committed before `at` (ms, of this process's own clock) is in the WAL before `lsn`. */
type Position = { at: number; lsn: number; replicas: Map<string, Named> };

const POSITION = statement(
  'primary_position',
  `with wal as materialized (
     -- What was committed without waiting for the disk is after what is flushed.
     select case current_setting('synchronous_commit') when 'off' then pg_current_wal_insert_lsn() else pg_current_wal_flush_lsn() end as lsn)
   select (lsn - '0/0')::float8 as lsn, coalesce((
     select json_agg(json_build_object('name', name, 'change', change, 'admitted', admitted_on = left(pg_walfile_name(lsn), 8)))
     from read_replicas), '[]') as replicas
   from wal`,
);

const REPLAYED = statement(
  'replica_position',
  `select pg_is_in_recovery() as is_standby, (pg_last_wal_replay_lsn() - '0/0')::float8 as lsn,
     (select change from read_replicas where name = :name) as change`,
);

const REGISTER = statement('register_replica', 'insert into read_replicas (name) values (:name) on conflict do nothing');

const ADMIT = statement(
  'admit_replica',
  `update read_replicas set admitted_on = left(pg_walfile_name(pg_current_wal_lsn()), 8), change = gen_random_uuid(), changed_at = now()
   where name = :name and change = :change and changed_at < now() - interval '5 s'`,
);

const SUSPEND = statement(
  'suspend_replica',
  'update read_replicas set admitted_on = null, change = gen_random_uuid(), changed_at = now() where name = :name and change = :change',
);

type Answer = { is_standby: boolean; lsn: number | null; change: string | null };

type Replica = {
  name: string;
  reads: pg.Pool;
  /** A connection of its own, so that reads do not keep it from being asked. */
  questions: pg.Pool;
  asked: Promise<void> | null;
  answer: Answer | Error | null;
  /** It has all that was committed before then. */
  freshAt: number;
  /** Writes that wait for it; each goes by itself when it waits no more. */
  waiting: Set<() => void>;
  isPumped: boolean;
  /** What was last logged of it. */
  reported: string;
};

export type Replicas = {
  /** Where a request may read: a replica that has every write that was answered before this call, as long as that answers, or else the primary. */
  reader(): Db;
  /** Resolves when no server reads any more from a replica that lacks what was committed before this call: after ms, or at most FORSAKEN_MS. */
  settled(): Promise<void>;
  stop(): Promise<void>;
};

/** How a replica is named in the database and in logs, without its password. */
const nameOf = (url: string): string => {
  const { host, pathname } = new URL(url);
  return host + pathname;
};

/**
 * Watches the replicas at `urls` of the database `db`, which is at `primaryUrl`. One that cannot be used is logged, and used once it can. Why what is read is
 * never older than an answered write: docs/decisions/0012-read-replicas.md.
 */
export function openReplicas(
  db: pg.Pool,
  { primaryUrl, urls, pooler, poolSize }: { primaryUrl: string; urls: string[]; pooler: Pooler; poolSize: number },
  log: Logger,
): Replicas {
  const opened = performance.now();
  const openQuietPool = (url: string, size: number, queryMs: number): pg.Pool =>
    openPool(url, size, pooler, { connectionTimeoutMillis: ANSWER_WITHIN_MS, query_timeout: queryMs }).on('error', () => {});
  const primary = openQuietPool(primaryUrl, 1, ANSWER_WITHIN_MS);
  const replicas = urls.map(
    (url): Replica => ({
      name: nameOf(url),
      reads: openQuietPool(url, poolSize, SLOW_MS),
      questions: openQuietPool(url, 1, ANSWER_WITHIN_MS),
      asked: null,
      answer: null,
      freshAt: Number.NEGATIVE_INFINITY,
      waiting: new Set(),
      isPumped: false,
      reported: '',
    }),
  );
  /** Those that are young enough to count, newest first. */
  let positions: Position[] = [];
  /** The replicas that may not be read from, and since when this server knows. */
  const suspended = new Map<string, { change: string; since: number }>();

  const askPrimary = takingTurns(async (): Promise<Position> => {
    const at = performance.now();
    const [row] = await run<{ lsn: number; replicas: (Named & { name: string })[] }>(primary, POSITION);
    if (!row) throw new Error('the primary has no position');
    const position = { at, lsn: row.lsn, replicas: new Map(row.replicas.map(({ name, ...named }) => [name, named])) };
    const now = performance.now();
    for (const [name, { change, admitted }] of position.replicas) {
      if (admitted) suspended.delete(name);
      else if (suspended.get(name)?.change !== change) suspended.set(name, { change, since: now });
    }
    return position;
  });

  const ask = (replica: Replica): Promise<void> => {
    replica.asked ??= run<Answer>(replica.questions, REPLAYED, { name: replica.name })
      .then(
        ([answer]) => {
          replica.answer = answer ?? null;
          // Writes did not wait for it while it was suspended: what it had by then is not enough.
          const known = positions.find((position) => position.replicas.get(replica.name)?.admitted && isReplayed(replica, position));
          if (known) replica.freshAt = Math.max(replica.freshAt, known.at);
          if (!answer?.is_standby) replica.freshAt = Number.NEGATIVE_INFINITY;
        },
        (error: Error) => {
          replica.answer = error;
          replica.freshAt = Number.NEGATIVE_INFINITY;
        },
      )
      .finally(() => {
        replica.asked = null;
      });
    return replica.asked;
  };

  const isUsable = ({ name, freshAt }: Replica): boolean =>
    performance.now() - freshAt < FRESH_MS && positions[0]?.replicas.get(name)?.admitted === true;

  const change = (statement: Statement, bindings: Record<string, unknown>): Promise<void> =>
    run(db, statement, bindings).then(
      () => {},
      (error: unknown) => log.debug({ err: error }, 'the state of a replica could not be written'),
    );

  const report = (replica: Replica): void => {
    const { name, answer, reported } = replica;
    const state = stateOf(replica, isUsable(replica));
    if (state === reported || (state !== USED && reported === '' && performance.now() - opened < REPORT_AFTER_MS)) return;
    replica.reported = state;
    log[state === USED ? 'info' : 'warn']({ replica: name, ...(answer instanceof Error && { err: answer }) }, state);
  };

  const look = async (): Promise<void> => {
    for (const replica of replicas) report(replica);
    const position = await askPrimary();
    positions = [position, ...positions.filter(({ at }) => position.at - at < FRESH_MS)];
    for (const replica of replicas) void ask(replica).then(() => admit(replica));
  };

  const admit = async (replica: Replica): Promise<void> => {
    const { name } = replica;
    const named = positions[0]?.replicas.get(name);
    if (!named) return change(REGISTER, { name });
    if (!named.admitted && positions.some((position) => isReplayed(replica, position)))
      return change(ADMIT, { name, change: named.change });
  };

  /** Asks a replica again and again while a write waits for it. */
  const pump = async (replica: Replica): Promise<void> => {
    if (replica.isPumped) return;
    replica.isPumped = true;
    while (replica.waiting.size > 0) {
      await ask(replica);
      for (const goIfReplayed of replica.waiting) goIfReplayed();
      if (replica.waiting.size > 0) await sleep(ASK_AGAIN_MS);
    }
    replica.isPumped = false;
  };

  /** Resolves to true once a replica has replayed a position, or to false at the deadline. */
  const replayed = (replica: Replica, position: Position, deadline: number): Promise<boolean> =>
    new Promise((resolve) => {
      const end = (isIn: boolean) => {
        clearTimeout(timer);
        replica.waiting.delete(goIfReplayed);
        resolve(isIn);
      };
      const goIfReplayed = () => {
        if (isReplayed(replica, position)) end(true);
      };
      const timer = setTimeout(() => end(false), deadline - performance.now());
      replica.waiting.add(goIfReplayed);
      goIfReplayed();
      void pump(replica);
    });

  const timer = setInterval(
    () => void look().catch((error: unknown) => log.debug({ err: error }, 'the primary was not asked')),
    LOOK_EVERY_MS,
  );
  let turn = 0;

  return {
    reader() {
      const usable = replicas.filter(isUsable);
      const replica = usable[turn++ % usable.length];
      return replica ? readerOf(replica, db) : db;
    },
    async settled() {
      const deadline = performance.now() + FORSAKEN_MS;
      const rest = () => sleep(Math.max(0, deadline - performance.now()));
      const position = await Promise.race([askPrimary().catch(() => null), rest().then(() => null)]);
      if (position === null) return rest();
      const mayBeRead = [...position.replicas].filter(
        ([name, { admitted }]) => admitted || performance.now() - (suspended.get(name)?.since ?? 0) < FORSAKEN_MS,
      );
      await Promise.all(
        mayBeRead.map(async ([name, named]) => {
          const replica = replicas.find((known) => known.name === name);
          const isIn = replica ? await replayed(replica, position, deadline) : await rest();
          if (isIn || !named.admitted) return;
          log.warn({ replica: name }, 'a write waited for a replica: no server reads from it until it keeps up again');
          void change(SUSPEND, { name, change: named.change });
        }),
      );
    },
    async stop() {
      clearInterval(timer);
      await Promise.all([primary, ...replicas.flatMap(({ reads, questions }) => [reads, questions])].map((pool) => pool.end()));
    },
  };
}

const USED = 'reads use this replica';

/** What to log of a replica. */
function stateOf({ answer }: Replica, isUsable: boolean): string {
  if (isUsable) return USED;
  if (answer instanceof Error) return 'a replica does not answer: reads go elsewhere';
  return answer?.is_standby === false
    ? 'this is a primary, and no replica: reads go elsewhere'
    : 'a replica is behind its primary: reads go elsewhere';
}

/** True when a replica follows this primary, which its copy of what is written about it shows, and has all that the primary had then. */
function isReplayed({ name, answer }: Replica, { lsn, replicas }: Position): boolean {
  if (answer === null || answer instanceof Error || !answer.is_standby || answer.lsn === null) return false;
  return answer.change === replicas.get(name)?.change && answer.lsn >= lsn;
}

/** Reads of one request: of the replica, until it fails, whatever the reason is: then of the primary, which knows more and not less. */
function readerOf(replica: Replica, primary: pg.Pool): Reader {
  let source: pg.Pool = replica.reads;
  const query = async (config: pg.QueryConfig) => {
    const asked = source;
    try {
      return await asked.query(config);
    } catch (error) {
      if (asked === primary) throw error;
      if (isUnavailable(error)) replica.freshAt = Number.NEGATIVE_INFINITY;
      source = primary;
      return primary.query(config);
    }
  };
  return { query, primary } as unknown as Reader;
}

/** Runs `work` once at a time. Each call gets what a run finds that began after the call; those that come during one share the next. */
function takingTurns<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  let next: Promise<T> | null = null;
  const begin = (): Promise<T> => {
    next = null;
    running = work().finally(() => {
      running = null;
    });
    return running;
  };
  return () => {
    if (next !== null) return next;
    if (running === null) return begin();
    next = running.then(begin, begin);
    return next;
  };
}
