import { createReadStream, type Dirent } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { ImportSource, SourceFile } from './import-artifacts.ts';

/** The files of a folder on this machine and of the folders in it. Symbolic links are not followed, and only plain files are given. */
export const openFolderSource = (folder: string): ImportSource => ({ files: (onSkipped) => filesIn(folder, '', onSkipped) });

async function* filesIn(folder: string, at: string, onSkipped: (path: string, reason: string) => void): AsyncGenerator<SourceFile> {
  for await (const entry of await fs.opendir(path.join(folder, at))) {
    const below = path.posix.join(at, entry.name);
    const file = path.join(folder, below);
    const refusal = refusalOf(entry);
    if (refusal) onSkipped(below, refusal);
    else if (entry.isDirectory()) yield* filesIn(folder, below, onSkipped);
    else {
      const { size } = await fs.lstat(file);
      yield { path: below, size, file, open: async () => createReadStream(file, { highWaterMark: 1024 * 1024 }) };
    }
  }
}

function refusalOf(entry: Dirent): string | null {
  if (entry.name.includes('\ufffd')) return 'its name is not UTF-8';
  if (entry.isSymbolicLink()) return 'it is a symbolic link';
  return entry.isFile() || entry.isDirectory() ? null : 'it is no plain file';
}
