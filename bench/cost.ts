import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Memory, memoryOf } from '../compat/servers/processes.ts';
import { oursOnSharedPostgres, type Recipe, type Server, type Site, startServer, stock } from '../compat/servers/servers.ts';
import { ensureFixture, modelNames, oneOf, resolvesAliases, versionNumbers } from './fixture.ts';
import { nameOf, oursWithProcesses } from './lanes.ts';
import { applyLoad } from './load.ts';
import { format } from './report.ts';
import { API, post } from './requests.ts';

const IDLE_MS = 5_000;
const LOAD_SECONDS = 5;
const CONNECTIONS = [16, 64];
const MIB = 1024 * 1024;

/** What a server holds: memory of its processes without PostgreSQL's, and database connections, idle and under load. */
export type Cost = {
  label: string;
  idle: Memory & { databaseConnections: number };
  /** After 5 s at 16 connections and 5 s at 64; the connections are the most that were open. */
  loaded: Memory & { databaseConnections: { connections: number; most: number }[] };
};

/** Starts each server alone, on the database it shares with nobody then, and loads it with alias look-ups and moves. */
export async function measureCost(site: Site): Promise<Cost[]> {
  const { ours, stock: stockDatabase } = site.databases;
  const all: { recipe: Recipe; database: string }[] = [
    { recipe: { ...oursOnSharedPostgres, label: 'ours' }, database: nameOf(ours) },
    { recipe: oursWithProcesses('ours, 4 processes', 4), database: nameOf(ours) },
    { recipe: stock('stock', { jobs: true }), database: nameOf(stockDatabase) },
    { recipe: stock('stock, 1 worker', { workers: 1, jobs: true }), database: nameOf(stockDatabase) },
  ];
  const client = new pg.Client({ connectionString: ours });
  await client.connect();
  const costs: Cost[] = [];
  for (const { recipe, database } of all) {
    const server = await startServer(recipe, site);
    const open = () => openConnections(client, database);
    await sleep(IDLE_MS);
    const idle = { ...memoryOf(server.running.pid), databaseConnections: await open() };
    await ensureFixture(server, database);
    const databaseConnections = [];
    for (const connections of CONNECTIONS)
      databaseConnections.push({ connections, most: await mostWhileLoaded(server, connections, open) });
    costs.push({ label: recipe.label, idle, loaded: { ...memoryOf(server.running.pid), databaseConnections } });
    await server.running.stop();
    console.log(`  cost of ${recipe.label} measured`);
  }
  await client.end();
  return costs;
}

async function mostWhileLoaded(server: Server, connections: number, open: () => Promise<number>): Promise<number> {
  const resolves = resolvesAliases(server);
  let asked = 0;
  const moves = () =>
    post(server, `${API}/registered-models/alias`, { name: oneOf(modelNames), alias: 'challenger', version: oneOf(versionNumbers) });
  const next = () => (asked++ % 2 === 0 ? resolves() : moves());
  const load = applyLoad({ port: server.port, next, check: () => {}, connections, seconds: LOAD_SECONDS });
  let most = 0;
  let isOver = false;
  const watching = (async () => {
    for (; !isOver; await sleep(100)) most = Math.max(most, await open());
  })();
  const { failures } = await load;
  isOver = true;
  await watching;
  const [failure] = Object.keys(failures);
  if (failure !== undefined) throw new Error(`cost of ${server.label}: ${failure}`);
  return most;
}

async function openConnections(client: pg.Client, database: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int from pg_stat_activity where datname = $1 and backend_type = 'client backend' and pid <> pg_backend_pid()`,
    [database],
  );
  return rows[0]?.count ?? 0;
}

export const COST_COLUMNS = [
  'server',
  'processes',
  'RSS idle MiB',
  'RSS loaded MiB',
  'PSS loaded MiB',
  'DB connections idle',
  'at 16',
  'at 64',
];

export const rowsOfCost = (costs: Cost[]): string[][] =>
  costs.map(({ label, idle, loaded }) => [
    label,
    String(loaded.processes),
    ...[idle.rss, loaded.rss, loaded.pss].map((bytes) => format(bytes / MIB)),
    String(idle.databaseConnections),
    ...loaded.databaseConnections.map(({ most }) => String(most)),
  ]);
