import type { Role } from './lanes.ts';
import { median } from './statistics.ts';
import type { Lane, Round, Throughput } from './throughput.ts';

type Figure = 'perSecond' | 'p50' | 'p99' | 'cpuMs' | 'postgresMs' | 'bytes';

/** The median over the rounds. */
export const medianOf = (lane: Lane | undefined, figure: Figure): number => median((lane?.rounds ?? []).map((round) => round[figure]));

/** A ratio for each round and its median. NaN when nothing can be said. */
export type Ratio = { ratio: number; least: number; most: number };
const NOTHING: Ratio = { ratio: Number.NaN, least: Number.NaN, most: Number.NaN };

const isSound = (round: Round | undefined) => round !== undefined && Object.keys(round.failures).length === 0;

/** Our throughput over another lane's, in each round, whose slices follow each other; without the rounds in which the other one failed. */
export function overLane({ lanes: [ours], failures }: Throughput, other: Lane | undefined): Ratio {
  const ratios = (other?.rounds ?? []).flatMap((round, index) =>
    isSound(round) ? [(ours?.rounds[index]?.perSecond ?? Number.NaN) / round.perSecond] : [],
  );
  if (failures.length > 0 || ratios.length === 0) return NOTHING;
  return { ratio: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

export const overRole = (result: Throughput, role: Role): Ratio =>
  overLane(
    result,
    result.lanes.find((lane) => lane.role === role),
  );

/** Over the stock server, with 4 workers or with one, that ours is the fewer times as fast as. */
export function overBetterStock(result: Throughput): Ratio {
  const ratios = result.lanes.filter(({ role }) => role === 'stock').map((lane) => overLane(result, lane));
  return ratios.filter(({ ratio }) => !Number.isNaN(ratio)).sort((a, b) => a.ratio - b.ratio)[0] ?? NOTHING;
}

/** Our p99 over the stock server's, the lower of the two, of the rounds in which it did not fail. */
export function p99OverStock({ lanes, failures }: Throughput): number {
  const stock = lanes.filter(({ role }) => role === 'stock').map(({ rounds }) => median(rounds.filter(isSound).map(({ p99 }) => p99)));
  const known = stock.filter((p99) => !Number.isNaN(p99));
  return failures.length > 0 || known.length === 0 ? Number.NaN : medianOf(lanes[0], 'p99') / Math.min(...known);
}
