import { randomUUID } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { type ApiError, type Bucket, IdempotencyStrategy, Storage } from '@google-cloud/storage';
import { contentDispositionOf } from '../content-headers.ts';
import type { BlobStore, UploadedPart } from './blob-store.ts';
import { checksumsOf } from './checksums.ts';
import { answerOf, checkNumbers, partsNotSupported, partsRefused, problemOfConnection } from './store-errors.ts';
import { blocksOf, readResuming, STORE_TIMEOUTS, type StoreTimeouts, sendMeasured } from './transfers.ts';

const LISTING = 1000;
// What is smaller goes in one request; larger ones in chunks of it, which must be a multiple of 256 KiB.
const BLOCK_BYTES = 8 * 1024 * 1024;
const RETRIES = 2;

/**
 * Keeps blobs as objects `<prefix>/blobs/<key>` of a bucket that exists. Credentials are the application default ones. Parts are a multipart upload of
 * the XML API, as mlflow/store/artifact/gcs_artifact_repo.py has it. Rejects with a phrase that says what the user can mend.
 */
export async function openGcsStore(url: string, { requestMs }: StoreTimeouts = STORE_TIMEOUTS): Promise<BlobStore> {
  const [, bucketName = '', prefix = ''] = /^gs:\/\/([^/]+)\/?(.*?)\/?$/.exec(url) ?? [];
  const storage = new Storage({
    timeout: requestMs,
    retryOptions: {
      maxRetries: RETRIES,
      maxRetryDelay: 4,
      totalTimeout: (requestMs * (RETRIES + 1)) / 1000,
      idempotencyStrategy: IdempotencyStrategy.RetryAlways,
    },
  });
  const bucket = storage.bucket(bucketName);
  const folder = prefix === '' ? 'blobs/' : `${prefix}/blobs/`;
  const fileAt = (key: string) => bucket.file(folder + key);
  await bucket.getFiles({ prefix: folder, maxResults: 1, autoPaginate: false }).catch((error: Error) => {
    throw new Error(problemOf(error, bucketName), { cause: error });
  });
  const signs = await canSign(bucket);

  const read: BlobStore['read'] = (key, range) =>
    readResuming(
      async (start, end) =>
        fileAt(key).createReadStream({ start, ...(end !== undefined && { end }), validation: false, decompress: false }),
      range,
      { idleMs: requestMs, isMissing },
    );
  const sizeOf: BlobStore['sizeOf'] = async (key) => {
    try {
      return Number((await answerOf(fileAt(key).getMetadata(), isMissing))[0].size);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };
  /** Asks the XML API, which alone knows uploads in parts. */
  const askXml = (method: 'GET' | 'POST' | 'DELETE', key: string, query: Record<string, string>, body?: string) =>
    new Promise<string>((resolve, reject) => {
      const uri = `${storage.apiEndpoint}/${bucketName}${key && `/${encodeURIComponent(folder + key).replaceAll('%2F', '/')}`}`;
      const headers = { 'Content-Type': body ? 'application/xml' : 'application/octet-stream' };
      storage.request(
        { method, uri: `${uri}?${new URLSearchParams(query)}`, headers, ...(method === 'POST' && { body: body ?? '' }) },
        (error, answer) => {
          if (error) reject(error);
          else resolve(String(answer ?? ''));
        },
      );
    });

  return {
    read,
    sizeOf,
    async write(body) {
      const key = randomUUID();
      const checksums = await sendMeasured(body, async (stream) => {
        const blocks = blocksOf(stream, BLOCK_BYTES);
        const { value: first } = await blocks.next();
        if (first.isLast) {
          await fileAt(key).save(first.block, { resumable: false, validation: 'crc32c' });
          return;
        }
        const bytes = async function* () {
          yield first.block;
          for await (const { block } of blocks) yield block;
        };
        await pipeline(bytes(), fileAt(key).createWriteStream({ resumable: true, chunkSize: BLOCK_BYTES, validation: 'crc32c' }));
      });
      return { key, ...checksums };
    },
    async remove(key) {
      await answerOf(fileAt(key).delete({ ignoreNotFound: true }));
    },
    async *list() {
      let pageToken: string | undefined;
      do {
        const query = { prefix: folder, maxResults: LISTING, autoPaginate: false, ...(pageToken && { pageToken }) };
        const [files, next] = await answerOf(bucket.getFiles(query));
        for (const { name, metadata } of files) {
          yield { key: name.slice(folder.length), size: Number(metadata.size), modified: Date.parse(metadata.updated ?? '') };
        }
        pageToken = (next as { pageToken?: string } | null)?.pageToken;
      } while (pageToken);
    },
    async removeLeftovers(before, open) {
      let markers: Record<string, string> | undefined = {};
      while (markers) {
        const page: string = await answerOf(askXml('GET', '', { uploads: '', prefix: folder, ...markers }));
        for (const [, upload = ''] of page.matchAll(/<Upload>(.*?)<\/Upload>/gs)) {
          const key = textOf(upload, 'Key').slice(folder.length);
          if (Date.parse(textOf(upload, 'Initiated')) >= before || open.has(key)) continue;
          await answerOf(askXml('DELETE', key, { uploadId: textOf(upload, 'UploadId') }), isMissing).catch(unlessMissing);
        }
        const more = textOf(page, 'IsTruncated') === 'true';
        markers = more
          ? { 'key-marker': textOf(page, 'NextKeyMarker'), 'upload-id-marker': textOf(page, 'NextUploadIdMarker') }
          : undefined;
      }
    },
    ...(signs && {
      async signedUrl(key: string, { name, seconds }: { name: string; seconds: number }) {
        const values = { action: 'read', responseDisposition: contentDispositionOf(name), ...forSeconds(seconds) } as const;
        return (await answerOf(fileAt(key).getSignedUrl(values)))[0];
      },
    }),
    parts: {
      direct: true,
      async begin() {
        if (!signs) throw partsNotSupported();
        const key = randomUUID();
        return { key, uploadId: textOf(await answerOf(askXml('POST', key, { uploads: '' })), 'UploadId') };
      },
      async partUrl({ key, uploadId }, number, seconds) {
        const queryParams = { partNumber: String(number), uploadId };
        const [signed] = await answerOf(fileAt(key).getSignedUrl({ action: 'write', queryParams, ...forSeconds(seconds) }));
        return { url: signed, headers: {} };
      },
      async finish({ key, uploadId }, count, parts) {
        // When it was put together before and the reading broke off, only the reading is left.
        if ((await sizeOf(key)) === null) {
          try {
            await answerOf(askXml('POST', key, { uploadId }, listOfParts(checkNumbers(parts, count))), isRefused);
          } catch (error) {
            if (!isRefused(error)) throw error;
            // Another request may just have put it together.
            if (!isMissing(error) || (await sizeOf(key)) === null) throw partsRefused(isMissing(error));
          }
        }
        return { key, ...(await checksumsOf(await read(key))) };
      },
      async abandon({ key, uploadId }) {
        await answerOf(askXml('DELETE', key, { uploadId }), isMissing).catch(unlessMissing);
      },
    },
  };
}

const hasStatus =
  (...statuses: number[]) =>
  (error: unknown) =>
    statuses.includes((error as ApiError).code ?? 0);
const isMissing = hasStatus(404);
const isRefused = hasStatus(400, 404);

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

const forSeconds = (seconds: number) => ({ version: 'v4', expires: Date.now() + seconds * 1000 }) as const;

/** Service accounts with a key sign by themselves, others by a call that needs a permission, users not at all. */
async function canSign(bucket: Bucket): Promise<boolean> {
  return bucket
    .file('any')
    .getSignedUrl({ action: 'read', ...forSeconds(60) })
    .then(
      () => true,
      () => false,
    );
}

/** What is in the first element of a name; of the XML API's answers, which have no nested ones of the same name. */
function textOf(xml: string, element: string): string {
  const [, text = ''] = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml) ?? [];
  return text.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

function listOfParts(parts: UploadedPart[]): string {
  const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const items = parts.map(({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`);
  return `<CompleteMultipartUpload>${items.join('')}</CompleteMultipartUpload>`;
}

function problemOf(error: Error, bucket: string): string {
  if (error.message.includes('default credentials') || error.message.includes('credential'))
    return 'no Google credentials were found: set GOOGLE_APPLICATION_CREDENTIALS, or run where application default ones are';
  if (isMissing(error)) return `there is no bucket ${bucket}`;
  if (hasStatus(401, 403)(error)) return `Google Cloud Storage refuses these credentials for the bucket ${bucket}`;
  return problemOfConnection(error, 'Google Cloud Storage');
}
