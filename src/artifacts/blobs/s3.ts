import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  paginateListObjectsV2,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { invalidParameter } from '../../platform/errors.ts';
import { contentDispositionOf } from '../content-headers.ts';
import type { BlobStore } from './blob-store.ts';
import { checksumsOf } from './checksums.ts';
import { answerOf, checkNumbers, partsRefused, problemOfConnection } from './store-errors.ts';
import { readResuming, STORE_TIMEOUTS, type StoreTimeouts, sendMeasured } from './transfers.ts';

export type S3Settings = {
  /** Address of an S3-compatible store; undefined is AWS itself. */
  endpoint: string | undefined;
  /** How the bucket is named in an address; `auto` is `path` with an endpoint, else `virtual`. */
  addressing: 'path' | 'virtual' | 'auto';
  ignoreTls: boolean;
  /** A file of certificates in PEM to trust instead of the usual ones. */
  caFile: string | undefined;
  /** For when the SDK finds none. */
  region: string | undefined;
  /** Further parameters of PutObject and CreateMultipartUpload, such as ServerSideEncryption. */
  uploadArguments: Record<string, string>;
};

const LISTING = 1000;
// S3 takes 10,000 parts, so this times 10,000 is the most that can be sent without its length being known.
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 2;
// A download holds a socket as long as its client takes.
const SOCKETS = 1000;
const REPLY_MS = 600_000;

/**
 * Keeps blobs as objects `<prefix>/blobs/<key>` of a bucket; one that is missing is made if the store is not AWS itself. Credentials and region come
 * from the SDK's standard chain. The SDK tries a failed request three times. Rejects with a phrase that says what the user can mend.
 */
export async function openS3Store(url: string, settings: S3Settings, timeouts: StoreTimeouts = STORE_TIMEOUTS): Promise<BlobStore> {
  const [, Bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(url) ?? [];
  const config = await clientConfig(settings, timeouts);
  const client = new S3Client(config);
  // A checksum of bytes that are not known yet must not be signed.
  const signer = new S3Client({ ...config, requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' });
  const folder = prefix === '' ? 'blobs/' : `${prefix}/blobs/`;
  const at = (key: string) => ({ Bucket, Key: folder + key });
  await ensureBucket(client, Bucket, settings.endpoint).catch((error: Error) => {
    throw new Error(problemOf(error, Bucket, settings.endpoint), { cause: error });
  });

  const read: BlobStore['read'] = (key, range) =>
    readResuming(
      async (start, end) => {
        const part = start > 0 || end !== undefined ? { Range: `bytes=${start}-${end ?? ''}` } : {};
        return (await answerOf(client.send(new GetObjectCommand({ ...at(key), ...part })), isMissing)).Body as Readable;
      },
      range,
      { idleMs: timeouts.requestMs, isMissing },
    );
  const sizeOf: BlobStore['sizeOf'] = async (key) => {
    try {
      return (await answerOf(client.send(new HeadObjectCommand(at(key))), isMissing)).ContentLength ?? 0;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };

  return {
    read,
    sizeOf,
    async write(body) {
      const key = randomUUID();
      const checksums = await sendMeasured(body, async (Body) => {
        const params = { ...settings.uploadArguments, ...at(key), Body };
        // On a failure it removes what it sent of a large body.
        await new Upload({ client, params, partSize: PART_BYTES, queueSize: PARTS_AT_ONCE }).done().catch(sayTooLarge);
      });
      return { key, ...checksums };
    },
    async remove(key) {
      await answerOf(client.send(new DeleteObjectCommand(at(key))));
    },
    async *list() {
      const pages = paginateListObjectsV2({ client, pageSize: LISTING }, { Bucket, Prefix: folder });
      for (let page = await answerOf(pages.next()); !page.done; page = await answerOf(pages.next())) {
        for (const { Key = '', Size = 0, LastModified } of page.value.Contents ?? []) {
          yield { key: Key.slice(folder.length), size: Size, modified: LastModified?.getTime() ?? Date.now() };
        }
      }
    },
    async removeLeftovers(before, open) {
      let next: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {};
      while (next) {
        const asked = client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: folder, ...next }));
        const page: ListMultipartUploadsCommandOutput = await answerOf(asked);
        for (const { Key = '', UploadId, Initiated } of page.Uploads ?? []) {
          if (!UploadId || !Initiated || Initiated.getTime() >= before || open.has(Key.slice(folder.length))) continue;
          await answerOf(client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })), isGivenUp).catch(unlessGivenUp);
        }
        next = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined;
      }
    },
    async signedUrl(key, { name, seconds }) {
      const command = new GetObjectCommand({ ...at(key), ResponseContentDisposition: contentDispositionOf(name) });
      return answerOf(getSignedUrl(signer, command, { expiresIn: seconds }));
    },
    parts: {
      direct: true,
      async begin() {
        const key = randomUUID();
        const command = new CreateMultipartUploadCommand({ ...settings.uploadArguments, ...at(key) });
        const { UploadId = '' } = await answerOf(client.send(command));
        return { key, uploadId: UploadId };
      },
      async partUrl({ key, uploadId }, number, seconds) {
        const command = new UploadPartCommand({ ...at(key), UploadId: uploadId, PartNumber: number });
        return { url: await answerOf(getSignedUrl(signer, command, { expiresIn: seconds })), headers: {} };
      },
      async finish({ key, uploadId }, count, parts) {
        // When it was put together before and the reading broke off, only the reading is left.
        if ((await sizeOf(key)) === null) {
          const Parts = checkNumbers(parts, count).map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
          const command = new CompleteMultipartUploadCommand({ ...at(key), UploadId: uploadId, MultipartUpload: { Parts } });
          try {
            await answerOf(client.send(command), isRefused);
          } catch (error) {
            if (!isRefused(error)) throw error;
            // Another request may just have put it together.
            if (!isGivenUp(error) || (await sizeOf(key)) === null) throw partsRefused(isGivenUp(error));
          }
        }
        return { key, ...(await checksumsOf(await read(key))) };
      },
      async abandon({ key, uploadId }) {
        await answerOf(client.send(new AbortMultipartUploadCommand({ ...at(key), UploadId: uploadId })), isGivenUp).catch(unlessGivenUp);
      },
    },
  };
}

const named =
  (...names: string[]) =>
  (error: unknown) =>
    names.includes((error as Error).name);
const isMissing = named('NoSuchKey', 'NotFound');
const isGivenUp = named('NoSuchUpload');
const isRefused = named('InvalidPart', 'InvalidPartOrder', 'EntityTooSmall', 'NoSuchUpload');

function unlessGivenUp(error: unknown): void {
  if (!isGivenUp(error)) throw error;
}

function sayTooLarge(error: Error): never {
  if (error.message.startsWith('Exceeded')) throw invalidParameter('The file is too large to be sent whole: send it in parts.');
  throw error;
}

/** Settings of the client. Without any region an S3-compatible store gets the one that most of them expect. */
export async function clientConfig(settings: S3Settings, { connectMs, requestMs }: StoreTimeouts): Promise<S3ClientConfig> {
  const { endpoint, addressing, ignoreTls, caFile, region } = settings;
  const config: S3ClientConfig = {
    ...(endpoint && { endpoint }),
    forcePathStyle: addressing === 'path' || (addressing === 'auto' && endpoint !== undefined),
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: requestMs,
      throwOnRequestTimeout: true,
      // For the rest of a reply, of which a slow client may be the reader.
      socketTimeout: REPLY_MS,
      httpAgent: { maxSockets: SOCKETS },
      httpsAgent: { maxSockets: SOCKETS, rejectUnauthorized: !ignoreTls, ...(caFile && { ca: readCertificates(caFile) }) },
    },
  };
  const fallback = region ?? (endpoint && 'us-east-1');
  const found = await new S3Client(config).config.region().catch(() => undefined);
  return found || !fallback ? config : { ...config, region: fallback };
}

function readCertificates(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`AWS_CA_BUNDLE: the file ${file} cannot be read`, { cause: error });
  }
}

async function ensureBucket(client: S3Client, Bucket: string, endpoint: string | undefined): Promise<void> {
  try {
    await client.send(new HeadBucketCommand({ Bucket }));
  } catch (error) {
    // At AWS a name that is not there is a typing error rather than a wish.
    if (!isMissing(error) || endpoint === undefined) throw error;
    await client.send(new CreateBucketCommand({ Bucket }));
  }
}

function problemOf(error: Error, bucket: string, endpoint: string | undefined): string {
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  if (error.name === 'CredentialsProviderError')
    return 'no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role';
  if (error.message.startsWith('Region is missing')) return 'no region is known: set AWS_REGION';
  if (status === 301 || status === 400)
    return `the bucket ${bucket} is in another region, or its name or the request is wrong: set AWS_REGION`;
  if (status === 401 || status === 403) return `the store refuses these credentials for the bucket ${bucket}`;
  if (status === 404) return `there is no bucket ${bucket}`;
  return problemOfConnection(error, endpoint ?? 'the store');
}
