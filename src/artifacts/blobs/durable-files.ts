import fs from 'node:fs/promises';
import path from 'node:path';
import { MlflowError } from '../../platform/errors.ts';

/** After this the file is at its new place even if the machine loses power. */
export async function moveDurably(from: string, to: string): Promise<void> {
  const folder = path.dirname(to);
  const made = await fs.mkdir(folder, { recursive: true });
  await fs.rename(from, to);
  await syncFolder(folder);
  if (made) await syncFolder(path.dirname(folder));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function nullIfMissing(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}

/** What the caller is told when a write failed: a full disk, quota or file size limit in words, anything else as it is. */
export function toStoreError(error: unknown): unknown {
  if (!['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException).code ?? '')) return error;
  return new MlflowError('IO_ERROR', 'The artifact store is full: nothing was stored. Free some space and upload again.');
}
