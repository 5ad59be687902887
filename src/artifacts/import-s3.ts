import type { Readable } from 'node:stream';
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { clientConfig, type S3Settings } from './blobs/s3.ts';
import { STORE_TIMEOUTS } from './blobs/transfers.ts';
import type { ImportSource } from './import-artifacts.ts';

/** The objects below `s3://bucket/prefix`, reached as an artifact store there would be. */
export async function openS3Source(url: string, settings: S3Settings): Promise<ImportSource> {
  const [, Bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/*$/.exec(url) ?? [];
  const client = new S3Client(await clientConfig(settings, STORE_TIMEOUTS));
  const folder = prefix === '' ? '' : `${prefix}/`;
  return {
    async *files() {
      for await (const page of paginateListObjectsV2({ client }, { Bucket, Prefix: folder })) {
        for (const { Key = '', Size = 0 } of page.Contents ?? []) {
          // Consoles make such objects to show an empty folder.
          if (Key.endsWith('/')) continue;
          const open = async () => (await client.send(new GetObjectCommand({ Bucket, Key }))).Body as Readable;
          yield { path: Key.slice(folder.length), size: Size, file: null, open };
        }
      }
    },
  };
}
