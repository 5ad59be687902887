import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  type BlobClient,
  BlobSASPermissions,
  type BlobSASSignatureValues,
  BlobServiceClient,
  generateBlobSASQueryParameters,
  RestError,
  StorageSharedKeyCredential,
  type UserDelegationKey,
} from '@azure/storage-blob';
import { contentDispositionOf } from '../content-headers.ts';
import type { BlobStore } from './blob-store.ts';
import { checksumsOf } from './checksums.ts';
import { answerOf, checkNumbers, partsNotSupported, partsRefused, problemOfConnection } from './store-errors.ts';
import { blocksOf, readResuming, STORE_TIMEOUTS, type StoreTimeouts, sendMeasured } from './transfers.ts';

/** The names that MLflow's own driver has for them; with neither the SDK's DefaultAzureCredential looks for some. */
export type AzureSettings = { connectionString: string | undefined; accessKey: string | undefined };

// Azure takes 50,000 blocks, so this times 50,000 is the most that can be sent without its length being known.
const BLOCK_BYTES = 8 * 1024 * 1024;
const LISTING = 1000;
const TRIES = 3;
const HOUR_MS = 3_600_000;
// A signed address starts to hold earlier than now, for clocks that are behind.
const CLOCK_SKEW_MS = 300_000;

/**
 * Keeps blobs as block blobs `<prefix>/blobs/<key>` of a container that exists. Parts are staged blocks; Azure itself removes blocks that were never
 * committed after a week. Rejects with a phrase that says what the user can mend.
 */
export async function openAzureStore(
  url: string,
  credentials: AzureSettings,
  timeouts: StoreTimeouts = STORE_TIMEOUTS,
): Promise<BlobStore> {
  const [, containerName = '', account = '', suffix = '', prefix = ''] = /^wasbs:\/\/([^@]+)@([^./]+)\.([^/]+)\/?(.*?)\/?$/.exec(url) ?? [];
  const service = await openService(`https://${account}.${suffix}`, account, credentials);
  const container = service.getContainerClient(containerName);
  const folder = prefix === '' ? 'blobs/' : `${prefix}/blobs/`;
  const blobAt = (key: string) => container.getBlockBlobClient(folder + key);
  // The SDK knows no limit of its own.
  const within = <T>(ask: (abortSignal: AbortSignal) => Promise<T>) => withinMs(timeouts.requestMs * TRIES, ask);
  const sign = await within((abortSignal) => openSigner(service, containerName, abortSignal)).catch((error: unknown) => {
    throw new Error(problemOf(error, containerName, account), { cause: error });
  });

  const read: BlobStore['read'] = (key, range) =>
    readResuming(
      async (start, end) => {
        const count = end === undefined ? undefined : end - start + 1;
        const asked = within((abortSignal) => blobAt(key).download(start, count, { abortSignal, maxRetryRequests: 0 }));
        return (await answerOf(asked, isMissing)).readableStreamBody as Readable;
      },
      range,
      { idleMs: timeouts.requestMs, isMissing },
    );
  const sizeOf: BlobStore['sizeOf'] = async (key) => {
    try {
      const asked = within((abortSignal) => blobAt(key).getProperties({ abortSignal }));
      return (await answerOf(asked, isMissing)).contentLength ?? 0;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };
  const urlFor = async (blob: BlobClient, seconds: number, values: Partial<BlobSASSignatureValues>) =>
    sign?.(blob, { startsOn: new Date(Date.now() - CLOCK_SKEW_MS), expiresOn: new Date(Date.now() + seconds * 1000), ...values });

  return {
    read,
    sizeOf,
    async write(body) {
      const key = randomUUID();
      const blob = blobAt(key);
      const checksums = await sendMeasured(body, async (stream) => {
        const ids: string[] = [];
        let staged: Promise<unknown> = Promise.resolve();
        for await (const { block, isLast } of blocksOf(stream, BLOCK_BYTES)) {
          await staged;
          if (isLast && ids.length === 0) {
            await within((abortSignal) => blob.upload(block, block.length, { abortSignal }));
            return;
          }
          const id = blockId(ids.length);
          ids.push(id);
          // One is on its way while the next one comes in.
          staged = within((abortSignal) => blob.stageBlock(id, block, block.length, { abortSignal }));
          staged.catch(() => {});
        }
        await staged;
        await within((abortSignal) => blob.commitBlockList(ids, { abortSignal }));
      });
      return { key, ...checksums };
    },
    async remove(key) {
      await answerOf(within((abortSignal) => blobAt(key).deleteIfExists({ abortSignal })));
    },
    async *list() {
      let continuationToken: string | undefined;
      do {
        const from = { maxPageSize: LISTING, ...(continuationToken && { continuationToken }) };
        const asked = within((abortSignal) => container.listBlobsFlat({ prefix: folder, abortSignal }).byPage(from).next());
        const page = (await answerOf(asked)).value;
        for (const { name, properties } of page.segment.blobItems) {
          yield { key: name.slice(folder.length), size: properties.contentLength ?? 0, modified: properties.lastModified.getTime() };
        }
        continuationToken = page.continuationToken;
      } while (continuationToken);
    },
    // Nothing shows before it is committed, and Azure removes what was not.
    async removeLeftovers() {},
    ...(sign && {
      async signedUrl(key: string, { name, seconds }: { name: string; seconds: number }) {
        const values = { permissions: BlobSASPermissions.parse('r'), contentDisposition: contentDispositionOf(name) };
        return String(await answerOf(urlFor(blobAt(key), seconds, values)));
      },
    }),
    parts: {
      direct: true,
      async begin() {
        if (!sign) throw partsNotSupported();
        const key = randomUUID();
        return { key, uploadId: key };
      },
      async partUrl({ key }, number, seconds) {
        const signed = await answerOf(urlFor(blobAt(key), seconds, { permissions: BlobSASPermissions.parse('w') }));
        if (!signed) throw partsNotSupported();
        return { url: `${signed}&comp=block&blockid=${encodeURIComponent(blockId(number))}`, headers: {} };
      },
      async finish({ key }, count, parts) {
        // When it was put together before and the reading broke off, only the reading is left.
        if ((await sizeOf(key)) === null) {
          // A block has no ETag, so a number is all there is to compare.
          const ids = checkNumbers(parts, count).map(({ number }) => blockId(number));
          const asked = within((abortSignal) => blobAt(key).commitBlockList(ids, { abortSignal }));
          await answerOf(asked, isRefused).catch((error: unknown) => {
            throw isRefused(error) ? partsRefused(false) : error;
          });
        }
        return { key, ...(await checksumsOf(await read(key))) };
      },
      async abandon({ key }) {
        const blob = blobAt(key);
        // Blocks cannot be removed, but those left out of a list are: so an empty blob is made, and removed. One that is finished stays.
        const asked = within((abortSignal) => blob.commitBlockList([], { abortSignal, conditions: { ifNoneMatch: '*' } }));
        const made = await answerOf(asked, isThere).catch((error: unknown) => {
          if (!isThere(error)) throw error;
          return null;
        });
        if (made) await answerOf(within((abortSignal) => blob.deleteIfExists({ abortSignal })));
      },
    },
  };
}

/** All ids of a blob must be of one length. */
const blockId = (number: number) => Buffer.from(String(number).padStart(6, '0')).toString('base64');

const hasStatus =
  (...statuses: number[]) =>
  (error: unknown) =>
    error instanceof RestError && statuses.includes(error.statusCode ?? 0);
const isMissing = hasStatus(404);
const isRefused = hasStatus(400, 404);
const isThere = hasStatus(409, 412);

async function withinMs<T>(ms: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), ms);
  try {
    return await ask(controller.signal);
  } finally {
    // What is being read by now may take longer.
    clearTimeout(timer);
  }
}

async function openService(url: string, account: string, { connectionString, accessKey }: AzureSettings): Promise<BlobServiceClient> {
  const options = { retryOptions: { maxTries: TRIES, retryDelayInMs: 500, maxRetryDelayInMs: 4_000 } };
  if (connectionString) return BlobServiceClient.fromConnectionString(connectionString, options);
  if (accessKey) return new BlobServiceClient(url, new StorageSharedKeyCredential(account, accessKey), options);
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new BlobServiceClient(url, new DefaultAzureCredential(), options);
}

type Sign = (blob: BlobClient, values: Partial<BlobSASSignatureValues>) => Promise<string>;

/**
 * Looks whether the container can be used, then how addresses can be signed: with the account's key, or a key of the user who is signed in if he may
 * have one, else not at all: null.
 */
async function openSigner(service: BlobServiceClient, containerName: string, abortSignal: AbortSignal): Promise<Sign | null> {
  await service.getContainerClient(containerName).listBlobsFlat({ abortSignal }).byPage({ maxPageSize: 1 }).next();
  const { credential } = service;
  const signWith = (
    blob: BlobClient,
    values: Partial<BlobSASSignatureValues>,
    ...key: [StorageSharedKeyCredential] | [UserDelegationKey, string]
  ) => {
    const signed = { ...values, containerName, blobName: blob.name };
    const sas = key.length === 1 ? generateBlobSASQueryParameters(signed, ...key) : generateBlobSASQueryParameters(signed, ...key);
    return `${blob.url}?${sas}`;
  };
  if (credential instanceof StorageSharedKeyCredential) return async (blob, values) => signWith(blob, values, credential);
  const ask = () => service.getUserDelegationKey(new Date(Date.now() - CLOCK_SKEW_MS), new Date(Date.now() + 24 * HOUR_MS));
  try {
    let key = await ask();
    return async (blob, values) => {
      if (key.signedExpiresOn.getTime() - Date.now() < 12 * HOUR_MS) key = await ask();
      return signWith(blob, values, key, service.accountName);
    };
  } catch (error) {
    if (hasStatus(400, 401, 403, 501)(error)) return null;
    throw error;
  }
}

function problemOf(error: unknown, container: string, account: string): string {
  if (/Credential|Authentication/.test((error as Error).name))
    return 'no Azure credentials were found: set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCESS_KEY, or what DefaultAzureCredential looks for';
  if (isMissing(error)) return `there is no container ${container}`;
  if (hasStatus(401, 403)(error)) return `the account ${account} refuses these credentials for the container ${container}`;
  return problemOfConnection(error, `the account ${account}`);
}
