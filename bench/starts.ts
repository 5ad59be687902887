import { setTimeout as sleep } from 'node:timers/promises';
import { type Memory, memoryOf } from '../compat/servers/processes.ts';
import {
  oursAsShipped,
  oursByNpmStart,
  oursOnSharedPostgres,
  type Recipe,
  type Site,
  startServer,
  stock,
} from '../compat/servers/servers.ts';
import { atLeast, atMost, type Gate } from './report.ts';
import { median } from './statistics.ts';

const IDLE_MS = 5_000;
const SOONER_GATE = 5;
const MEMORY_GATE_MIB = 150;

const stockAsShipped = stock('stock', { jobs: true });
const stockOneWorker = stock('stock, 1 worker', { workers: 1, jobs: true });

export type Starts = {
  label: string;
  /** On an empty folder or database; undefined where another row's start has filled it. */
  firstStartMs: number | undefined;
  startMs: number[];
  /** Idle for 5 s after the server was ready. */
  memory: Memory[];
};

/** Starts and stops each server `rounds` times in alternation, one at a time, once its database is there. */
export async function measureStarts(site: Site, rounds: number, what: { startup: boolean; memory: boolean }): Promise<Starts[]> {
  const measured: { recipe: Recipe; starts: Starts }[] = [];
  for (const recipe of [oursAsShipped, oursOnSharedPostgres, stockAsShipped, stockOneWorker, oursByNpmStart]) {
    if (recipe === oursByNpmStart && !what.memory) continue;
    const fillsDatabase = recipe === oursAsShipped || recipe === oursOnSharedPostgres || recipe === stockAsShipped;
    const firstStartMs = fillsDatabase ? await startOnce(recipe, site) : undefined;
    measured.push({ recipe, starts: { label: recipe.label, firstStartMs, startMs: [], memory: [] } });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { recipe, starts } of round % 2 === 0 ? measured : measured.toReversed()) {
      const server = await startServer(recipe, site);
      starts.startMs.push(server.readyAfterMs);
      if (what.memory) {
        await sleep(IDLE_MS);
        starts.memory.push(memoryOf(server.running.pid));
      }
      await server.running.stop();
    }
    console.log(`  starts: round ${round + 1} of ${rounds}`);
  }
  return measured.map(({ starts }) => starts);
}

async function startOnce(recipe: Recipe, site: Site): Promise<number> {
  const server = await startServer(recipe, site);
  await server.running.stop();
  return server.readyAfterMs;
}

const MIB = 1024 * 1024;
const medianStart = (starts: Starts | undefined): number => median(starts?.startMs ?? []);
const medianMib = (starts: Starts | undefined, field: 'rss' | 'pss'): number =>
  median((starts?.memory ?? []).map((memory) => memory[field])) / MIB;

export function gatesOfStarts(all: Starts[], what: { startup: boolean; memory: boolean }): Gate[] {
  const of = (recipe: Recipe) => all.find(({ label }) => label === recipe.label);
  const sooner = (recipe: Recipe) => medianStart(of(stockAsShipped)) / medianStart(of(recipe));
  return [
    ...(what.startup
      ? [
          atLeast('start-up, both as shipped', sooner(oursAsShipped), SOONER_GATE, 'x sooner'),
          atLeast('start-up, both on the same PostgreSQL', sooner(oursOnSharedPostgres), SOONER_GATE, 'x sooner'),
        ]
      : []),
    ...(what.memory
      ? [
          atMost('idle RSS of node dist/cli.js serve', medianMib(of(oursAsShipped), 'rss'), MEMORY_GATE_MIB, ' MiB'),
          atMost('idle RSS of npm start, npm included', medianMib(of(oursByNpmStart), 'rss'), MEMORY_GATE_MIB, ' MiB'),
        ]
      : []),
  ];
}

/** Rows for print: label, first start, start, its range, ratio to the stock server's; then processes, RSS, PSS, and the same ratio. */
export function rowsOfStarts(all: Starts[]): string[][] {
  const stockStarts = all.find(({ label }) => label === stockAsShipped.label);
  const seconds = (ms: number | undefined) => (ms === undefined ? '' : (ms / 1000).toFixed(2));
  return all.map((starts) => [
    starts.label,
    seconds(starts.firstStartMs),
    seconds(medianStart(starts)),
    `${seconds(Math.min(...starts.startMs))}..${seconds(Math.max(...starts.startMs))}`,
    starts === stockStarts ? '' : `${(medianStart(stockStarts) / medianStart(starts)).toFixed(1)}x`,
    ...(starts.memory.length === 0
      ? []
      : [
          String(median(starts.memory.map(({ processes }) => processes))),
          medianMib(starts, 'rss').toFixed(0),
          medianMib(starts, 'pss').toFixed(0),
          starts === stockStarts ? '' : `${(medianMib(stockStarts, 'rss') / medianMib(starts, 'rss')).toFixed(1)}x`,
        ]),
  ]);
}
