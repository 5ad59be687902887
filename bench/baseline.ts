import { execFile } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { oursOnSharedPostgres, type Recipe } from '../compat/servers/servers.ts';

const run = promisify(execFile);
const ROOT = path.join(import.meta.dirname, '..');

/** Builds a commit of this repository below `folder`, with the packages that are installed now; gives the way to start it. */
export async function buildBaseline(commit: string, folder: string): Promise<Recipe> {
  const home = path.join(folder, 'baseline');
  const archive = path.join(folder, 'baseline.tar');
  await mkdir(home);
  await run('git', ['archive', `--output=${archive}`, commit], { cwd: ROOT });
  await run('tar', ['-xf', archive, '-C', home]);
  await symlink(path.join(ROOT, 'node_modules'), path.join(home, 'node_modules'));
  await run(path.join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json'], { cwd: home });
  return {
    label: `ours at ${commit}`,
    launch(site, port) {
      const launch = oursOnSharedPostgres.launch(site, port);
      const env = { ...launch.env, DATABASE_URL: site.databases.stock, DATA_DIR: path.join(folder, 'baseline-data') };
      return { ...launch, args: [path.join(home, 'dist', 'cli.js'), 'serve'], cwd: home, env };
    },
  };
}
