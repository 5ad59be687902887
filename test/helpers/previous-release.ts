import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

const git = async (...arguments_: string[]) => (await exec('git', arguments_, { cwd: REPOSITORY, maxBuffer: 2 ** 26 })).stdout;

const migrationsOf = (names: string[]) => names.map((name) => path.basename(name)).filter((name) => name.endsWith('.js'));

/** What stands in for the previous release: the newest commit that lacks a migration of the working tree, and has no other. */
export type Release = { commit: string; migrations: string[] };

/** Null when the history is not there: no repository, or a shallow one. */
export async function findPreviousRelease(): Promise<Release | null> {
  const now = new Set(migrationsOf(await fs.readdir(path.join(REPOSITORY, 'migrations'))));
  const history = await git('rev-list', 'HEAD').catch(() => '');
  for (const commit of history.split('\n').filter(Boolean)) {
    const listed = await git('ls-tree', '--name-only', commit, 'migrations/').catch(() => '');
    const migrations = migrationsOf(listed.split('\n'));
    if (migrations.length < now.size && migrations.every((name) => now.has(name)))
      return migrations.length > 0 ? { commit, migrations } : null;
  }
  return null;
}

/** A folder with the sources of a commit, with the packages of the working tree. */
export async function checkOut(commit: string): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-release-'));
  const archive = path.join(folder, 'sources.tar');
  await git('archive', `--output=${archive}`, commit, 'src', 'migrations', 'package.json', 'tsconfig.json');
  await exec('tar', ['-xf', archive, '-C', folder]);
  await fs.symlink(path.join(REPOSITORY, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}
