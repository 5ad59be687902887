import type { Logger } from 'pino';
import { placeOf } from '../../artifacts/artifact-path.ts';
import type { Db } from '../../platform/db/database.ts';
import type { Address } from '../../scopes/addressing.ts';
import type { Scope } from '../../scopes/entity.ts';
import { addConsumption, type Consumption } from './store.ts';

const FLUSH_EVERY_MS = 3000;
const MOST_KEPT = 10_000;
const MOST_ALIASES = 100;
const LONGEST_CLIENT = 200;
const OF_REGISTRY = /^registries\//;

type CountedModel = Pick<Consumption, 'model_id' | 'scope_id' | 'name'>;

/** Who asks: the workspace of `address`, and what the client says it is (User-Agent); and the scope of the version that it gets. */
type Asking = { client: string; caller: { username: string }; address: Address; scope: Scope };

/** Told of each version that is handed out; those of registries are counted. It takes no time and never fails. */
export type Consumers = {
  /** `alias`: by which the version was asked for. */
  resolved(by: Asking, version: { name: string; version: number }, alias?: string): void;
  /** A file at an artifact path was handed out. */
  downloaded(by: Asking, path: string): void;
  /** Writes what is left and ends. */
  stop(): Promise<void>;
};

/**
 * Starts to record who resolves and downloads the versions of registries (docs/decisions/0009): counted in memory, added to the database every
 * `flushEveryMs`. At most 10,000 counters are kept in between: what does not fit, because of many consumers or a database that does not answer, is
 * dropped, and the log says how much.
 */
export function openConsumers(db: Db, log: Logger, flushEveryMs = FLUSH_EVERY_MS): Consumers {
  let counters = new Map<string, Consumption>();
  let dropped = 0;

  const keep = (key: string, counter: Consumption): boolean => {
    if (counters.size >= MOST_KEPT) return false;
    counters.set(key, counter);
    return true;
  };

  /** The counter of who asks for a version; null when there is no place for another one. */
  const counterOf = (
    { client: userAgent, address, caller }: Asking,
    of: string,
    model: CountedModel,
    version: number,
  ): Consumption | null => {
    const workspace = address.consumer.name;
    const client = userAgent.slice(0, LONGEST_CLIENT);
    const key = `${of}\0${version}\0${workspace}\0${caller.username}\0${client}`;
    const now = Date.now();
    const known = counters.get(key);
    if (known) {
      known.last_time = now;
      return known;
    }
    const times = { first_time: now, last_time: now };
    const counter = {
      ...model,
      version,
      workspace,
      user_name: caller.username,
      client,
      aliases: [],
      ...times,
      resolve_count: 0,
      download_count: 0,
    };
    if (keep(key, counter)) return counter;
    dropped++;
    return null;
  };

  const giveBack = (key: string, counted: Consumption): void => {
    const known = counters.get(key);
    if (known) {
      known.first_time = counted.first_time;
      known.resolve_count += counted.resolve_count;
      known.download_count += counted.download_count;
      known.aliases = [...new Set([...known.aliases, ...counted.aliases])];
    } else if (!keep(key, counted)) {
      dropped += counted.resolve_count + counted.download_count;
    }
  };

  const write = async (): Promise<void> => {
    if (dropped > 0) log.warn({ dropped }, 'too many consumers of shared models at once: some requests were not counted');
    dropped = 0;
    if (counters.size === 0) return;
    const taken = counters;
    counters = new Map();
    try {
      await addConsumption(db, [...taken.values()]);
    } catch (error) {
      log.warn({ err: error }, 'could not write who uses shared models; trying again');
      for (const [key, counted] of taken) giveBack(key, counted);
    }
  };

  let writing: Promise<void> | undefined;
  const timer = setInterval(() => {
    writing ??= write().finally(() => {
      writing = undefined;
    });
  }, flushEveryMs);
  timer.unref();

  return {
    resolved(by, { name, version }, alias) {
      const { kind, id } = by.scope;
      if (kind !== 'registry') return;
      const counter = counterOf(by, `${id}\0${name}`, { model_id: null, scope_id: id, name }, version);
      if (!counter) return;
      counter.resolve_count++;
      if (alias !== undefined && counter.aliases.length < MOST_ALIASES && !counter.aliases.includes(alias)) counter.aliases.push(alias);
    },
    downloaded(by, path) {
      const place = OF_REGISTRY.test(path) ? placeOf(path) : null;
      if (place?.kind !== 'version') return;
      const counter = counterOf(by, place.modelId, { model_id: place.modelId, scope_id: null, name: null }, place.version);
      if (counter) counter.download_count++;
    },
    async stop() {
      clearInterval(timer);
      await writing;
      await write();
    },
  };
}
