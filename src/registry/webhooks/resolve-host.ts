import dns from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const RESOLVES_WITHIN_MS = 5_000;
const AT_ONCE = 2;

let running = 0;
const waiting: (() => void)[] = [];

/**
 * The addresses of a host name. Rejects with the system's error, or ETIMEOUT after 5 s. Only two names are looked up at once: each takes one of
 * Node's four threads, which file accesses need too, and a DNS server that does not answer would take all.
 */
export async function resolveHost(hostname: string): Promise<{ address: string; family: number }[]> {
  const late = new AbortController();
  const found = lookUp(hostname).finally(() => late.abort());
  const timeout = sleep(RESOLVES_WITHIN_MS, undefined, { signal: late.signal, ref: false }).then(() => {
    throw Object.assign(new Error(`${hostname} was not resolved in time`), { code: 'ETIMEOUT' });
  });
  timeout.catch(() => {});
  return Promise.race([found, timeout]);
}

async function lookUp(hostname: string): Promise<{ address: string; family: number }[]> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    return await dns.lookup(hostname, { all: true });
  } finally {
    running--;
    waiting.shift()?.();
  }
}
