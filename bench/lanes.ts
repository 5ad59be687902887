import path from 'node:path';
import { oursOnSharedPostgres, type Recipe, type Server, type Site, startServer, stock } from '../compat/servers/servers.ts';

/** What a lane is compared as: ours is over all others. */
export type Role = 'ours' | 'stock' | 'express' | 'bare' | 'baseline' | 'more processes';

/** A server that is measured, and the database it works on. */
export type Runner = { server: Server; role: Role; database: string };

const floor = (label: string, kind: 'express' | 'bare'): Recipe => ({
  label,
  launch: ({ databases }, port) => ({
    command: process.execPath,
    args: ['--import', 'tsx', path.join(import.meta.dirname, 'floor.ts'), kind, String(port), databases.ours],
    cwd: path.join(import.meta.dirname, '..'),
  }),
});

/** Ours with `WORKERS`. */
export const oursWithProcesses = (label: string, count: number): Recipe => ({
  label,
  launch(site, port) {
    const launch = oursOnSharedPostgres.launch(site, port);
    return { ...launch, env: { ...launch.env, WORKERS: String(count) } };
  },
});

export const nameOf = (databaseUrl: string) => new URL(databaseUrl).pathname.slice(1);

async function startAll(site: Site, wanted: { recipe: Recipe; role: Role; database: string }[]): Promise<Runner[]> {
  const runners: Runner[] = [];
  // One after the other: on an empty database each would migrate.
  for (const { recipe, role, database } of wanted) {
    runners.push({ server: await startServer(recipe, site), role, database: nameOf(database) });
  }
  return runners;
}

/** Ours, the stock server with 4 workers and with one, and with `floors` the two floors, whose schema is in our database. */
export const startLanes = (site: Site, { floors }: { floors: boolean }): Promise<Runner[]> => {
  const { ours, stock: stockDatabase } = site.databases;
  return startAll(site, [
    { recipe: { ...oursOnSharedPostgres, label: 'ours' }, role: 'ours', database: ours },
    { recipe: stock('stock 4 workers', { jobs: false }), role: 'stock', database: stockDatabase },
    { recipe: stock('stock 1 worker', { workers: 1, jobs: false }), role: 'stock', database: stockDatabase },
    ...(floors
      ? ([
          { recipe: floor('Express + pg', 'express'), role: 'express', database: ours },
          { recipe: floor('bare node:http + pg', 'bare'), role: 'bare', database: ours },
        ] as const)
      : []),
  ]);
};

/** Ours as it is and as `baseline` starts it, which has the database that is the stock server's elsewhere. */
export const startBesideBaseline = (site: Site, baseline: Recipe): Promise<Runner[]> =>
  startAll(site, [
    { recipe: { ...oursOnSharedPostgres, label: 'ours' }, role: 'ours', database: site.databases.ours },
    { recipe: baseline, role: 'baseline', database: site.databases.stock },
  ]);

/** Ours as one process and as each of these numbers, all on one database. */
export const startProcesses = (site: Site, counts: number[]): Promise<Runner[]> =>
  startAll(
    site,
    counts.map((count, index) => ({
      recipe: oursWithProcesses(`ours, ${count} process${count === 1 ? '' : 'es'}`, count),
      role: index === 0 ? 'ours' : 'more processes',
      database: site.databases.ours,
    })),
  );
