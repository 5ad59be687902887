import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Python = { path: string; version: string };

const CANDIDATES = ['python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3', 'python'];

// The pinned packages have wheels for these, and for no newer Python (see requirements/).
const [OLDEST_MINOR, NEWEST_MINOR] = [10, 13];

/** The version of a Python such as `3.11.7`, or null when it does not run. (A name on the PATH may be a shim of nothing.) */
async function versionOf(path: string): Promise<string | null> {
  try {
    const { stdout } = await run(path, ['-c', 'import platform; print(platform.python_version())']);
    return stdout.trim();
  } catch {
    return null;
  }
}

/** The Python of the PYTHON variable, else the first fit one on the PATH. Throws when there is none. */
export async function findPython(): Promise<Python> {
  for (const path of process.env.PYTHON ? [process.env.PYTHON] : CANDIDATES) {
    const version = await versionOf(path);
    const [major, minor] = (version ?? '').split('.').map(Number);
    if (version && major === 3 && minor !== undefined && minor >= OLDEST_MINOR && minor <= NEWEST_MINOR) return { path, version };
  }
  throw new Error(`compat needs Python 3.${OLDEST_MINOR} to 3.${NEWEST_MINOR}: install it or set PYTHON=/path/to/python3`);
}

/**
 * The python of an environment with the packages of `requirements/<name>.txt`, made once per user and Python version.
 * An environment cannot be moved (its scripts hold its path), so it is built where it stays, in a folder of its own, and
 * published by a symbolic link when all is installed. So an interrupted build is never used, and of two at once one wins.
 */
export async function ensureVenv(name: string, python: Python): Promise<string> {
  const requirements = join(import.meta.dirname, '..', 'requirements', `${name}.txt`);
  const hash = createHash('sha256')
    .update(await readFile(requirements))
    .update([python.version, process.platform, process.arch].join())
    .digest('hex');
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'model-commons', 'venvs');
  const venv = join(cache, `${name}-${hash.slice(0, 12)}`);
  const venvPython = join(venv, 'bin', 'python');
  if ((await versionOf(venvPython)) === python.version) return venvPython;

  await rm(venv, { force: true }); // a link to an environment whose Python was removed
  await removeAbandonedBuilds(cache, `${name}-${hash.slice(0, 12)}.`);
  const build = `${venv}.${process.pid}-${Date.now()}`;
  const start = Date.now();
  console.log(`compat: installing ${name} for Python ${python.version} (once; takes a minute or two) into ${venv}`);
  try {
    await run(python.path, ['-m', 'venv', build]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', '-r', requirements];
    await run(join(build, 'bin', 'python'), pip, { maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    await rm(build, { recursive: true, force: true });
    throw new Error(`compat could not install ${name} for Python ${python.version} (${python.path})`, { cause: error });
  }
  try {
    await symlink(build, venv);
  } catch (error) {
    await rm(build, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // else another process was first
  }
  console.log(`compat: installed ${name} in ${Math.round((Date.now() - start) / 1000)} s`);
  return venvPython;
}

async function removeAbandonedBuilds(cache: string, prefix: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  for (const entry of await readdir(cache)) {
    if (!entry.startsWith(prefix)) continue;
    const build = join(cache, entry);
    const age = Date.now() - (await stat(build)).mtimeMs;
    if (age > 3_600_000) await rm(build, { recursive: true, force: true });
  }
}
