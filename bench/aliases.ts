import { cpuSecondsOf } from '../compat/servers/processes.ts';
import type { Server } from '../compat/servers/servers.ts';
import { isChampion } from './fixture.ts';
import { applyLoad } from './load.ts';
import { format } from './report.ts';
import { median, percentile } from './statistics.ts';
import type { LoadOptions } from './throughput.ts';

const WARM_UP_SECONDS = 1;
// Short slices, many of them: what disturbs one lane then disturbs its neighbours too.
const SLICES_PER_ROUND = 8;

/** A way to look up the version of an alias. */
export type Way = { way: string; server: Server; next: () => Buffer };

/** Slices of load, and the server's CPU milliseconds for each reply over all of them (PostgreSQL's not included). */
export type LookUps = { way: string; perSecond: number[]; p50: number[]; cpuMs: number }[];

/** Looks aliases up in each of these ways, in alternation. Throws at the first wrong reply. */
export async function measureLookUps(ways: Way[], { rounds, seconds, connections }: LoadOptions): Promise<LookUps> {
  const lanes = ways.map((way) => ({ ...way, perSecond: [] as number[], p50: [] as number[], cpuSeconds: 0, replies: 0 }));
  const check = ({ body }: { body: Buffer }) => {
    if (!isChampion(JSON.parse(body.toString()))) throw new Error(`a wrong reply: ${body.toString().slice(0, 200)}`);
  };
  for (const { server, next } of lanes) await applyLoad({ port: server.port, check, connections, next, seconds: WARM_UP_SECONDS });
  for (let slice = 0; slice < rounds * SLICES_PER_ROUND; slice++) {
    for (const lane of slice % 2 === 0 ? lanes : lanes.toReversed()) {
      const { server, next } = lane;
      const cpuBefore = cpuSecondsOf(server.running.pid);
      const { failures, ...measured } = await applyLoad({
        port: server.port,
        check,
        connections,
        next,
        seconds: seconds / SLICES_PER_ROUND,
      });
      lane.cpuSeconds += cpuSecondsOf(server.running.pid) - cpuBefore;
      lane.replies += measured.replies;
      const [failure] = Object.keys(failures);
      if (failure !== undefined) throw new Error(`${lane.way}: ${failure}`);
      lane.perSecond.push(measured.perSecond);
      lane.p50.push(measured.p50);
    }
  }
  return lanes.map(({ way, perSecond, p50, cpuSeconds, replies }) => ({ way, perSecond, p50, cpuMs: (cpuSeconds * 1000) / replies }));
}

/** The time of each way over that of the first one, slice by slice. */
export const timesOverFirst = (lookUps: LookUps): { way: string; times: number[] }[] =>
  lookUps.slice(1).map(({ way, perSecond }) => ({
    way,
    times: perSecond.map((each, slice) => (lookUps[0]?.perSecond[slice] ?? Number.NaN) / each),
  }));

/** Rows for print: way, req/s, p50, CPU ms per request, the same over the first way's, and time over the first way's with the quarters of its slices. */
export function tableOfLookUps(lookUps: LookUps): string[][] {
  const times = timesOverFirst(lookUps);
  return lookUps.map(({ way, perSecond, p50, cpuMs }) => {
    const over = times.find((other) => other.way === way)?.times ?? [];
    const [low, high] = [percentile(over, 0.25), percentile(over, 0.75)];
    return [
      ...[way, format(median(perSecond)), format(median(p50)), format(cpuMs)],
      ...(over.length === 0
        ? ['', '']
        : [`${format(cpuMs / (lookUps[0]?.cpuMs ?? Number.NaN))}x`, `${format(median(over))}x (${format(low)}..${format(high)})`]),
    ];
  });
}
