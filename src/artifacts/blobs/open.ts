import { fileURLToPath } from 'node:url';
import type { BlobStore } from './blob-store.ts';
import { openLocalStore } from './local.ts';

/** Opens the store that an ARTIFACTS_URL names. Drivers other than the local one are loaded only when they are used. */
export async function openBlobStore(url: string, s3Endpoint: string | undefined): Promise<BlobStore> {
  if (url.startsWith('s3://')) {
    const { openS3Store } = await import('./s3.ts');
    return openS3Store(url, s3Endpoint);
  }
  return openLocalStore(fileURLToPath(url));
}
