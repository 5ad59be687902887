import { fileURLToPath } from 'node:url';
import type { AzureSettings } from './azure.ts';
import type { BlobStore } from './blob-store.ts';
import { openLocalStore } from './local.ts';
import type { S3Settings } from './s3.ts';
import { partsNotSupported } from './store-errors.ts';

export type StoreSettings = {
  /** Whether clients reach the store themselves, by addresses that are signed for them. */
  directAccess: boolean;
  s3: S3Settings;
  azure: AzureSettings;
};

/**
 * Opens the store that an ARTIFACTS_URL names. Drivers other than the local one are loaded only when they are used.
 * Rejects with a phrase that says what the user can mend.
 */
export async function openBlobStore(url: string, settings: StoreSettings): Promise<BlobStore> {
  const store = await openDriver(url, settings);
  return settings.directAccess || !store.parts.direct ? store : withoutDirectAccess(store);
}

async function openDriver(url: string, { s3, azure }: StoreSettings): Promise<BlobStore> {
  switch (new URL(url).protocol) {
    case 's3:':
      return (await import('./s3.ts')).openS3Store(url, s3);
    case 'wasbs:':
      return (await import('./azure.ts')).openAzureStore(url, azure);
    case 'gs:':
      return (await import('./gcs.ts')).openGcsStore(url);
    default:
      return openLocalStore(fileURLToPath(url));
  }
}

/** Downloads go through this server then, and so do uploads, which clients send whole. */
function withoutDirectAccess({ signedUrl: _, ...store }: BlobStore): BlobStore {
  return { ...store, parts: { ...store.parts, begin: () => Promise.reject(partsNotSupported()) } };
}
