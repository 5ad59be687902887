import type { Readable } from 'node:stream';
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { clientConfig, type S3Settings } from './blobs/s3.ts';
import { readResuming, STORE_TIMEOUTS } from './blobs/transfers.ts';
import type { ImportSource } from './import-artifacts.ts';

/** The objects below `s3://bucket/prefix`, reached as an artifact store there would be. */
export async function openS3Source(url: string, settings: S3Settings): Promise<ImportSource> {
  const [, Bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/*$/.exec(url) ?? [];
  const client = new S3Client(await clientConfig(settings, STORE_TIMEOUTS));
  const folder = prefix === '' ? '' : `${prefix}/`;
  // A file that is written to between two requests would be read half from each.
  const openFile = (Key: string, IfMatch: string | undefined) =>
    readResuming(
      async (start) => {
        const range = start > 0 ? { Range: `bytes=${start}-` } : {};
        return (await client.send(new GetObjectCommand({ Bucket, Key, ...(IfMatch && { IfMatch }), ...range }))).Body as Readable;
      },
      undefined,
      { idleMs: STORE_TIMEOUTS.requestMs, isMissing: isGoneOrChanged },
    );
  return {
    async *files() {
      for await (const page of paginateListObjectsV2({ client }, { Bucket, Prefix: folder })) {
        for (const { Key = '', Size = 0, ETag } of page.Contents ?? []) {
          // Consoles make such objects to show an empty folder.
          if (Key.endsWith('/')) continue;
          yield { path: Key.slice(folder.length), size: Size, file: null, open: () => openFile(Key, ETag) };
        }
      }
    },
    close: () => client.destroy(),
  };
}

const isGoneOrChanged = (error: unknown) => ['NoSuchKey', 'PreconditionFailed'].includes((error as Error).name);
