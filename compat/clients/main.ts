import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { startServer } from '../server.ts';
import { atEnd, cleanUp, cleanUpOnSignals } from '../servers/clean-up.ts';
import { ensureVenv, findPython } from '../servers/venv.ts';
import { CLIENTS, type Client, ENVIRONMENTS, type Installed, type Site } from './clients.ts';
import { type Row, render, statementsIn, writeToReadme } from './table.ts';

// npm run test:clients [-- [--allow-missing] [part of a name or version ...]]: runs these clients of clients.ts, or all, against our server and
// prints the table of README.md.
const AT_ONCE = 2;
const { values, positionals: wanted } = parseArgs({
  options: { 'allow-missing': { type: 'boolean', default: false } },
  allowPositionals: true,
});

cleanUpOnSignals();
try {
  process.exitCode = await main();
} finally {
  await cleanUp();
}

/** The exit code. A client that lacks something on this machine counts as failed unless --allow-missing is given. */
async function main(): Promise<number> {
  const start = Date.now();
  const folder = await mkdtemp(join(tmpdir(), 'model-commons-clients-'));
  await chmod(folder, 0o755); // PostgreSQL runs as another user when this one is root
  atEnd(() => rm(folder, { recursive: true, force: true }));

  const python = await findPython();
  const pythons = Object.fromEntries(await inTurns(ENVIRONMENTS, async (name) => [name, await ensureVenv(name, python)] as const));
  const server = await startServer();
  atEnd(() => server.stop());
  const account = { username: 'admin', password: 'correct horse battery' };
  const guarded = await startServer({ AUTH: 'on', ADMIN_USERNAME: account.username, ADMIN_PASSWORD: account.password });
  atEnd(() => guarded.stop());
  const signedIn = {
    MLFLOW_TRACKING_URI: guarded.url,
    MLFLOW_TRACKING_USERNAME: account.username,
    MLFLOW_TRACKING_PASSWORD: account.password,
  };
  const site = { pythons: pythons as Installed, trackingUri: server.url, signedIn, folder };

  const labels = await Promise.all(CLIENTS.map(async ({ name, version }) => `${name} ${await version()}`));
  const chosen = CLIENTS.filter((_, index) => wanted.length === 0 || wanted.some((word) => labels[index]?.includes(word)));
  const rows = await inTurns(chosen, (client) => runRow(client, site));
  console.log(`\n${render(rows)}\n`);
  const count = (result: Row['result']) => rows.filter((row) => row.result === result).length;
  const missing = count('not run');
  console.log(
    `clients: ${count('passes')} passed, ${count('fails')} failed, ${missing} not run, in ${Math.round((Date.now() - start) / 1000)} s`,
  );
  if (missing === 0 && wanted.length === 0 && !process.env.COMPAT_URL) await writeToReadme(rows);
  return count('fails') > 0 || (missing > 0 && !values['allow-missing']) || rows.length === 0 ? 1 : 0;
}

async function runRow(client: Client, site: Site): Promise<Row> {
  const [name, version] = [client.name, await client.version()];
  for (const { command, label } of client.needs ?? []) {
    if (!(await runs(command))) {
      console.log(`clients: ${name} ${version}: not run, it needs ${label}`);
      return { name, version, did: [], result: 'not run', note: `needs ${label}` };
    }
  }
  const start = Date.now();
  try {
    const did = statementsIn(await client.run(site));
    if (did.length === 0) throw new Error('it stated nothing');
    console.log(`clients: ${name} ${version}: passes, in ${Math.round((Date.now() - start) / 1000)} s`);
    return { name, version, did, result: 'passes' };
  } catch (error) {
    const text = (error as Error).message.trim();
    console.error(`clients: ${name} ${version}: fails\n${text}\n`);
    return { name, version, did: statementsIn(text), result: 'fails', note: whyIn(text.split('\n')) };
  }
}

/** The line that says most of why something failed. */
function whyIn(lines: string[]): string {
  return lines.findLast((line) => /error|exception/i.test(line)) ?? lines.at(-1) ?? '';
}

function runs([command, ...args]: [string, ...string[]]): Promise<boolean> {
  return promisify(execFile)(command, args).then(
    () => true,
    () => false,
  );
}

/** Like Promise.all over `items.map(work)`, a few at once. */
async function inTurns<In, Out>(items: readonly In[], work: (item: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = [];
  const queue = items.entries();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const [index, item] of queue) results[index] = await work(item);
    }),
  );
  return results;
}
