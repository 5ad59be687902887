import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import { AggregatorRegistry, type Registry } from 'prom-client';

const ANSWER_WITHIN_MS = 1000;

type Snapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What processes tell each other: a worker is asked for what it counted, and asks for what all have counted. */
type Message = { metrics: 'count' } | { metrics: 'counted'; snapshot: Snapshot } | { metrics: 'all' } | { metrics: 'sum'; text: string };

const isMessage = (message: unknown): message is Message => typeof message === 'object' && message !== null && 'metrics' in message;

/** In a worker: gives its counts when asked, and makes what asks the parent for those of all workers, in the text format of Prometheus. */
export function shareMetrics(registry: Registry): () => Promise<string> {
  const waiting: ((text: string) => void)[] = [];
  const tell = (message: Message) => process.send?.(message, undefined, undefined, () => {});
  process.on('message', async (message: unknown) => {
    if (!isMessage(message)) return;
    if (message.metrics === 'count') tell({ metrics: 'counted', snapshot: await registry.getMetricsAsJSON() });
    if (message.metrics === 'sum') waiting.shift()?.(message.text);
  });
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      tell({ metrics: 'all' });
    });
}

/**
 * In the parent: answers workers that ask for the counts of all. Of a worker that does not answer within a second the last ones known count, and so do
 * those of one that has ended: a sum that falls would be taken for a restart.
 */
export function sumMetrics(): void {
  const latest = new Map<number, Snapshot>();
  let ended = Promise.resolve<Snapshot>([]);

  // One that has just gone is no error.
  const tell = (worker: Worker, message: Message) => worker.send(message, () => {});

  const ask = (worker: Worker): Promise<void> =>
    new Promise((resolve) => {
      const take = (message: unknown) => {
        if (!isMessage(message) || message.metrics !== 'counted') return;
        worker.off('message', take);
        latest.set(worker.id, message.snapshot);
        resolve();
      };
      worker.on('message', take);
      tell(worker, { metrics: 'count' });
    });

  cluster.on('message', async (worker, message: unknown) => {
    if (!isMessage(message) || message.metrics !== 'all') return;
    const workers = Object.values(cluster.workers ?? {}).filter((one) => one?.isConnected() === true);
    await Promise.race([Promise.all(workers.map((one) => one && ask(one))), sleep(ANSWER_WITHIN_MS)]);
    tell(worker, { metrics: 'sum', text: await AggregatorRegistry.aggregate([await ended, ...latest.values()]).metrics() });
  });

  cluster.on('exit', (worker) => {
    const counted = latest.get(worker.id)?.filter(({ type }) => String(type) !== 'gauge') ?? [];
    latest.delete(worker.id);
    ended = ended.then((sum) => AggregatorRegistry.aggregate([sum, counted]).getMetricsAsJSON());
  });
}
