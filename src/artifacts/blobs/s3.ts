import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CreateBucketCommand, DeleteObjectCommand, GetObjectCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { BlobStore } from './blob-store.ts';
import { hashingStream } from './hashing.ts';

/**
 * Keeps blobs as objects `<prefix>/blobs/<key>` of a bucket, which is made when it is missing. Credentials and region come from the SDK's standard
 * chain. An `endpoint` means an S3-compatible store, asked with path-style addresses.
 */
export async function openS3Store(url: string, endpoint: string | undefined): Promise<BlobStore> {
  const [, Bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(url) ?? [];
  const client = new S3Client({ ...(endpoint && { endpoint, forcePathStyle: true }) });
  const keyOf = (key: string) => [prefix, 'blobs', key].filter(Boolean).join('/');
  await ensureBucket(client, Bucket);

  return {
    async write(body) {
      const key = randomUUID();
      const { stream, result } = hashingStream();
      const upload = new Upload({ client, params: { Bucket, Key: keyOf(key), Body: stream } });
      try {
        // lib-storage reads `stream`; the pipeline ends it, or breaks it off when the client goes away.
        await Promise.all([pipeline(body, stream), upload.done()]);
      } catch (error) {
        await upload.abort().catch(() => {});
        throw error;
      }
      return { key, ...result() };
    },
    async read(key, range) {
      const Range = range && `bytes=${range.start}-${range.end}`;
      const reply = await client.send(new GetObjectCommand({ Bucket, Key: keyOf(key), ...(Range && { Range }) }));
      return reply.Body as Readable;
    },
    async remove(key) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: keyOf(key) }));
    },
  };
}

async function ensureBucket(client: S3Client, Bucket: string): Promise<void> {
  try {
    await client.send(new HeadBucketCommand({ Bucket }));
  } catch (error) {
    if ((error as { name?: string }).name !== 'NotFound')
      throw new Error(`ARTIFACTS_URL: the bucket ${Bucket} cannot be used: ${(error as Error).message}`);
    await client.send(new CreateBucketCommand({ Bucket }));
  }
}
