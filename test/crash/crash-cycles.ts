import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { destroyDataDir, killQuietly, makeDataDir, postmasterOf, type ServerProcess, startServer } from '../helpers/process.ts';
import { audit } from './audit.ts';
import { download } from './client.ts';
import { acknowledgedWrites, type Ledger, openLedger, seededRandom } from './ledger.ts';
import { createSharedModels, writeUntilGone } from './writers.ts';

const WRITERS = 16;
const LONGEST_LIFE_MS = 2000;

export type CrashOptions = { cycles: number; seed: number; log: (line: string) => void };

/** What came of it: `problems` is empty when nothing was lost, doubled or half there. */
export type CrashReport = { acknowledged: number; slowestStartMs: number; problems: string[] };

/** What a cycle kills: the server, its PostgreSQL, or both at the same moment. */
type Victim = 'server' | 'server and PostgreSQL' | 'PostgreSQL';

const victimOf = (cycle: number): Victim => (cycle % 4 === 0 ? 'server and PostgreSQL' : cycle % 8 === 6 ? 'PostgreSQL' : 'server');

/**
 * Lets 16 writers write, kills with SIGKILL at a random moment within two seconds, starts again and audits what the cycle wrote, over and over on one data
 * folder; at the end all cycles are audited once more. Choices follow from the seed, timing does not.
 */
export async function runCrashCycles({ cycles, seed, log }: CrashOptions): Promise<CrashReport> {
  const random = seededRandom(seed);
  const dataDir = await makeDataDir();
  const report: CrashReport = { acknowledged: 0, slowestStartMs: 0, problems: [] };
  const ledgers: Ledger[] = [];
  let server: ServerProcess | undefined;
  const stopPostgres = () => {
    const postmaster = postmasterOf(dataDir);
    if (postmaster !== undefined) killQuietly(postmaster, 'SIGQUIT');
  };
  process.once('exit', stopPostgres);
  try {
    server = await startServer(dataDir);
    for (let cycle = 1; cycle <= cycles; cycle++) {
      const ledger = openLedger(`c${cycle}`);
      ledgers.push(ledger);
      const victim = victimOf(cycle);
      const lifeMs = Math.floor(random() * LONGEST_LIFE_MS);
      await writeAndKill(server, dataDir, ledger, { victim, lifeMs, seed: Math.floor(random() * 2 ** 31) });
      const began = Date.now();
      if (victim === 'PostgreSQL') await untilAvailable(server.url);
      else server = await startServer(dataDir);
      const startMs = Date.now() - began;
      const problems = [...(await audit(server.url, ledger)), ...(await auditLeftovers(server.url, dataDir))];
      report.acknowledged += acknowledgedWrites(ledger);
      report.slowestStartMs = Math.max(report.slowestStartMs, startMs);
      report.problems.push(...problems.map((problem) => `cycle ${cycle}: ${problem}`));
      log(
        `cycle ${cycle}: killed ${victim} after ${lifeMs} ms, ${acknowledgedWrites(ledger)} acknowledged, ready again in ${startMs} ms, audited in ` +
          `${Date.now() - began - startMs} ms, ${problems.length} problems${problems.length > 0 ? `: ${problems.slice(0, 5).join('; ')}` : ''}`,
      );
    }
    for (const ledger of ledgers) {
      report.problems.push(...(await audit(server.url, ledger)).map((problem) => `in the end, ${ledger.prefix}: ${problem}`));
    }
    return report;
  } finally {
    process.off('exit', stopPostgres);
    server?.killGroup('SIGKILL');
    await destroyDataDir(dataDir);
  }
}

type Death = { victim: Victim; lifeMs: number; seed: number };

async function writeAndKill(server: ServerProcess, dataDir: string, ledger: Ledger, { victim, lifeMs, seed }: Death): Promise<void> {
  await createSharedModels(server.url, ledger);
  const writers = Array.from({ length: WRITERS }, (_, i) => writeUntilGone(server.url, ledger, i, seed + i));
  await sleep(lifeMs);
  const postmaster = postmasterOf(dataDir);
  if (victim !== 'server' && postmaster !== undefined) killQuietly(postmaster, 'SIGKILL');
  if (victim !== 'PostgreSQL') {
    server.kill('SIGKILL');
    await server.exited;
  }
  await Promise.all(writers);
}

/** Waits until a server whose PostgreSQL was killed can reach it again. */
async function untilAvailable(url: string): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 20) {
    const reply = await fetch(`${url}/api/2.0/mlflow/registered-models/search?max_results=1`);
    await reply.arrayBuffer();
    if (reply.status === 200) return;
    if (reply.status !== 503) throw new Error(`Without PostgreSQL a search answered ${reply.status}.`);
    await sleep(20);
  }
  throw new Error('The server did not get its PostgreSQL back within 30 s.');
}

/** What an interrupted upload left on the disk must not be visible. */
async function auditLeftovers(url: string, dataDir: string): Promise<string[]> {
  const leftovers = await fs.readdir(path.join(dataDir, 'artifacts', 'uploads'));
  const problems: string[] = [];
  for (const name of leftovers.slice(-20)) {
    for (const place of [`uploads/${name}`, name]) {
      if ((await download(url, place)) !== null) problems.push(`the leftover ${place} is visible`);
    }
  }
  return problems;
}
