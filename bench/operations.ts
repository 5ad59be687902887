import type { Reply } from './load.ts';
import { promotion } from './promotion.ts';
import { health, registryReads } from './registry-reads.ts';
import { registryWrites } from './registry-writes.ts';
import type { Target } from './requests.ts';
import { trackingOperations } from './tracking-operations.ts';

export type Prepared = {
  /** Makes the next request. */
  next(): Buffer;
  /** Looks, when the load is over, whether all is as `good` right replies promised; throws what is not. */
  verify?(good: number): Promise<void>;
};

export type Operation = {
  name: string;
  /** How many times the stock server's throughput ours must reach at 16 connections. */
  gate?: number;
  /** Replies a second that do instead. */
  enoughPerSecond?: number;
  /** What we would like to reach. */
  stretch?: number;
  /** The part of the bare floor's throughput that ours must reach. */
  share?: number;
  /** Whether the floors (floor.ts) answer it. */
  onFloor?: true;
  /** Makes what the operation needs on one server. */
  prepare(target: Target): Promise<Prepared>;
  /** Whether a reply's JSON is right. Left out: any 200 is. */
  isRight?(json: unknown): boolean;
};

/** Every operation that is measured, in the order of the report. Those that leave rows behind come last: the faster server would read among more of them. */
export const operations: Operation[] = [health, ...registryReads, ...trackingOperations, ...registryWrites, promotion];

/** Throws when a reply is not what the operation promises. */
export function checkReply({ isRight }: Operation, { body }: Reply): void {
  if (isRight && !isRight(JSON.parse(body.toString()))) throw new Error(`a wrong reply: ${body.toString().slice(0, 200)}`);
}
