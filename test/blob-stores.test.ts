import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';
import { BlobServiceClient } from '@azure/storage-blob';
import { Storage } from '@google-cloud/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobStore, ListedBlob, PartsUpload, UploadedPart } from '../src/artifacts/blobs/blob-store.ts';
import { openBlobStore } from '../src/artifacts/blobs/open.ts';
import { readConfig } from '../src/config.ts';
import { MlflowError } from '../src/platform/errors.ts';
import { type Emulator, freePort, INSTALL_MS, makeCertificate, startAzurite, startGcsEmulator, startMoto } from './helpers/emulators.ts';
import { startFaultProxy } from './helpers/fault-proxy.ts';
import { startGcsServer } from './helpers/gcs-server.ts';

const MIB = 1024 * 1024;
// The least that S3 and Google Cloud Storage accept, but for the last one.
const PART_BYTES = 5 * MIB;

const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-blobs-'));
const emulators: Pick<Emulator, 'stop'>[] = [];
afterAll(async () => {
  for (const { stop } of emulators) stop();
  await fs.rm(folder, { recursive: true, force: true });
});

const started = async <T extends Pick<Emulator, 'stop'>>(starting: Promise<T>): Promise<T> => {
  emulators.push(await starting);
  return starting;
};
const open = (url: string, env: Record<string, string> = {}): Promise<BlobStore> =>
  openBlobStore(url, readConfig([], { ARTIFACTS_URL: url, ...env }).artifactStores);

const expectations = { etags: true, leftovers: true, ages: true, equalParts: false };

/** What every driver promises (src/artifacts/blobs/blob-store.ts). `etags`: a part's ETag is compared; `leftovers`: it is for us to remove them, and `ages`: the store knows since when they are. */
function blobStoreSuite(name: string, openStore: () => Promise<BlobStore>, { etags, leftovers, ages, equalParts } = expectations): void {
  describe(`the ${name} store`, { timeout: 60_000 }, () => {
    let store: BlobStore;
    beforeAll(async () => {
      store = await openStore();
    }, INSTALL_MS);

    const bytesOf = async (key: string, range?: { start: number; end: number }) => buffer(await store.read(key, range));
    const keys = async () => (await listOf(store)).map(({ key }) => key);
    // A copy: a store may let go of what it was given.
    const put = async (bytes: Buffer) => (await store.write(Readable.from([Buffer.from(bytes)]))).key;

    /** Sends a part as the stock client does: a plain PUT with the headers it was told. */
    const sendPart = async (upload: PartsUpload, number: number, count: number, bytes: Buffer): Promise<UploadedPart> => {
      const { parts } = store;
      if (!parts.direct)
        return { number, etag: await parts.writePart(upload, { number, count, length: bytes.length }, Readable.from([bytes])) };
      const { url, headers } = await parts.partUrl(upload, number, 60);
      const reply = await fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) });
      expect([reply.status, await reply.text()]).toEqual([expect.toSatisfy((status) => status < 300), expect.anything()]);
      return { number, etag: reply.headers.get('ETag') ?? '' };
    };
    const threeParts = () => [randomBytes(PART_BYTES), randomBytes(PART_BYTES), randomBytes(1000)] as const;

    it.each([0, 1, 100_000, MIB, MIB + 1, 20 * MIB + 1])(
      'gives back %d bytes as they were, with their size and checksums',
      async (size) => {
        const bytes = randomBytes(size);
        const stored = await store.write(Readable.from(size > 0 ? chunksOf(bytes) : []));
        expect(stored).toMatchObject({ size, sha256: sha256Of(bytes) });
        expect(stored.pieceCrcs.equals(pieceCrcsOf(bytes))).toBe(true);
        expect(await store.sizeOf(stored.key)).toBe(size);
        if (size > 0) expect((await bytesOf(stored.key)).equals(bytes)).toBe(true);
      },
    );

    it('gives back a range, both ends included', async () => {
      const bytes = randomBytes(3 * MIB);
      const key = await put(bytes);
      for (const [start, end] of [
        [0, 0],
        [2, 4],
        [MIB - 1, 2 * MIB],
        [3 * MIB - 1, 3 * MIB - 1],
      ] as const) {
        expect((await bytesOf(key, { start, end })).equals(bytes.subarray(start, end + 1))).toBe(true);
      }
    });

    it.each([4, 9 * MIB])('keeps nothing of a stream that fails after %d bytes, and passes the error on', async (size) => {
      const before = await keys();
      const failing = Readable.from(
        (async function* () {
          yield* chunksOf(randomBytes(size));
          throw new Error('the client went away');
        })(),
      );
      await expect(store.write(failing)).rejects.toThrow('the client went away');
      expect(await keys()).toEqual(before);
    });

    it('forgets what is removed; removing it again is fine', async () => {
      const key = await put(Buffer.from('x'));
      await store.remove(key);
      await store.remove(key);
      // Its reader asks for the size then, and knows it is lost.
      const error = await store
        .read(key)
        .then(buffer)
        .catch((error: unknown) => error);
      expect(error).toBeInstanceOf(Error);
      expect(error).not.toBeInstanceOf(MlflowError);
      expect(await store.sizeOf(key)).toBeNull();
      expect(await keys()).not.toContain(key);
    });

    it('lists what there is with its size and age', async () => {
      const key = await put(Buffer.from('12345'));
      const found = (await listOf(store)).find((blob) => blob.key === key);
      expect(found?.size).toBe(5);
      expect(Math.abs((found?.modified ?? 0) - Date.now())).toBeLessThan(10_000);
    });

    it('takes several writes at once', async () => {
      const bodies = Array.from({ length: 8 }, (_, i) => Buffer.alloc(200_000, i));
      const written = await Promise.all(bodies.map((body) => put(body)));
      expect(new Set(written).size).toBe(8);
      const sent = await Promise.all(written.map((key) => bytesOf(key)));
      expect(sent.every((bytes, i) => bytes.equals(bodies[i] as Buffer))).toBe(true);
    });

    it('puts parts together that come at once and in any order, and answers the same when asked again', async () => {
      const contents = threeParts();
      const upload = await store.parts.begin(3);
      const sent = await Promise.all([3, 1, 2].map((number) => sendPart(upload, number, 3, contents[number - 1] as Buffer)));
      expect(await store.sizeOf(upload.key)).toBeNull();
      const stored = await store.parts.finish(upload, 3, sent);
      const bytes = Buffer.concat(contents);
      expect(stored).toMatchObject({ key: upload.key, size: bytes.length, sha256: sha256Of(bytes) });
      expect(stored.pieceCrcs.equals(pieceCrcsOf(bytes))).toBe(true);
      expect((await bytesOf(upload.key)).equals(bytes)).toBe(true);
      expect(await store.parts.finish(upload, 3, sent)).toEqual(stored);
      await store.parts.abandon(upload);
      expect(await store.sizeOf(upload.key)).toBe(bytes.length);
    });

    it('puts parts together once when asked twice at the same time', async () => {
      const upload = await store.parts.begin(1);
      const sent = [await sendPart(upload, 1, 1, Buffer.from('only'))];
      const [first, second] = await Promise.allSettled([store.parts.finish(upload, 1, sent), store.parts.finish(upload, 1, sent)]);
      const blobs = [first, second].flatMap((result) => (result.status === 'fulfilled' ? [result.value.sha256] : []));
      expect(new Set(blobs)).toEqual(new Set([sha256Of(Buffer.from('only'))]));
      expect((await bytesOf(upload.key)).toString()).toBe('only');
    });

    it('takes the part that was sent last', async () => {
      const upload = await store.parts.begin(1);
      await sendPart(upload, 1, 1, Buffer.from('first try'));
      const sent = await sendPart(upload, 1, 1, Buffer.from('second'));
      expect(await store.parts.finish(upload, 1, [sent])).toMatchObject({ size: 6, sha256: sha256Of(Buffer.from('second')) });
    });

    it('refuses to finish without a part, and finishes once it is there', async () => {
      const contents = threeParts();
      const upload = await store.parts.begin(3);
      const sent = [await sendPart(upload, 1, 3, contents[0]), await sendPart(upload, 3, 3, contents[2])];
      const invalid = { code: 'INVALID_PARAMETER_VALUE', message: expect.not.stringContaining('127.0.0.1') };
      await expect(store.parts.finish(upload, 3, sent)).rejects.toMatchObject(invalid);
      await expect(store.parts.finish(upload, 3, [...sent, { number: 2, etag: '"0"' }])).rejects.toMatchObject(invalid);
      expect(await store.sizeOf(upload.key)).toBeNull();
      sent.push(await sendPart(upload, 2, 3, contents[1]));
      expect(await store.parts.finish(upload, 3, sent)).toMatchObject({ sha256: sha256Of(Buffer.concat(contents)) });
    });

    it.runIf(etags)('refuses a part that is named by another ETag', async () => {
      const upload = await store.parts.begin(1);
      await sendPart(upload, 1, 1, Buffer.from('x'));
      const wrong = [{ number: 1, etag: `"${'0'.repeat(32)}"` }];
      await expect(store.parts.finish(upload, 1, wrong)).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
    });

    it.runIf(equalParts)('refuses parts of unequal size, but for the last', async () => {
      const upload = await store.parts.begin(3);
      const sendAndFinish = async () => {
        const sent: UploadedPart[] = [];
        for (const [i, length] of [10, 20, 5].entries()) sent.push(await sendPart(upload, i + 1, 3, Buffer.alloc(length)));
        await store.parts.finish(upload, 3, sent);
      };
      await expect(sendAndFinish()).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
    });

    it('keeps nothing of an upload that is given up; giving it up again is fine', async () => {
      const upload = await store.parts.begin(1);
      const sent = await sendPart(upload, 1, 1, Buffer.from('x'));
      await store.parts.abandon(upload);
      expect(await keys()).not.toContain(upload.key);
      await store.parts.abandon(upload);
      await expect(store.parts.finish(upload, 1, [sent])).rejects.toThrow();
      expect(await store.sizeOf(upload.key)).toBeNull();
    });

    it.runIf(leftovers)('removes uploads in parts that nobody finished, but not open ones and new ones', async () => {
      const [old, open] = [await store.parts.begin(1), await store.parts.begin(1)];
      const sent = [await sendPart(old, 1, 1, Buffer.from('old')), await sendPart(open, 1, 1, Buffer.from('open'))] as const;
      if (ages) await store.removeLeftovers(Date.now() - 60_000, new Set());
      await store.removeLeftovers(Date.now() + 60_000, new Set([open.key]));
      await expect(store.parts.finish(old, 1, [sent[0]])).rejects.toThrow();
      expect(await store.parts.finish(open, 1, [sent[1]])).toMatchObject({ size: 4 });
    });

    it('gives an address to download from, whole or in ranges, as an attachment', async ({ skip }) => {
      if (!store.signedUrl) return skip();
      const key = await put(Buffer.from('0123456789'));
      const url = await store.signedUrl(key, { name: 'my model "ü".pkl', seconds: 60 });
      const whole = await fetch(url);
      expect([whole.status, await whole.text()]).toEqual([200, '0123456789']);
      expect(whole.headers.get('Content-Disposition')).toMatch(
        /^attachment; filename=.*; filename\*=UTF-8''my%20model%20%22%C3%BC%22\.pkl$/,
      );
      const range = await fetch(url, { headers: { Range: 'bytes=2-4' } });
      expect([range.status, await range.text()]).toEqual([206, '234']);
    });
  });
}

async function listOf(store: BlobStore): Promise<ListedBlob[]> {
  const blobs: ListedBlob[] = [];
  for await (const blob of store.list()) blobs.push(blob);
  return blobs;
}

const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

function pieceCrcsOf(bytes: Buffer): Buffer {
  const crcs = Buffer.alloc(Math.ceil(bytes.length / MIB) * 4);
  for (let at = 0; at < bytes.length; at += MIB) crcs.writeUInt32BE(crc32(bytes.subarray(at, at + MIB)), (at / MIB) * 4);
  return crcs;
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield Buffer.from(bytes.subarray(at, at + 65_536));
}

blobStoreSuite('local', () => open(`file://${folder}`), { ...expectations, equalParts: true });

Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_EC2_METADATA_DISABLED: 'true' });
const openS3 = (endpoint: string, prefix: string) => open(`s3://models/${prefix}`, { S3_ENDPOINT: endpoint });
blobStoreSuite('S3', async () => openS3((await started(startMoto())).url, 'some/prefix'), {
  ...expectations,
  // moto dates all of them 2010.
  ages: false,
});

// The account that every azurite has.
const AZURITE_ACCOUNT =
  'AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
let azurite: Promise<Emulator> | undefined;
const openAzure = async (container: string, account = AZURITE_ACCOUNT) => {
  azurite ??= started(startAzurite());
  const endpoint = `${(await azurite).url}/devstoreaccount1`;
  const connection = (account: string) => `DefaultEndpointsProtocol=http;${account};BlobEndpoint=${endpoint}`;
  await BlobServiceClient.fromConnectionString(connection(AZURITE_ACCOUNT))
    .createContainer('models')
    .catch(() => {});
  const url = `wasbs://${container}@devstoreaccount1.blob.core.windows.net/some/prefix`;
  return open(url, { AZURE_STORAGE_CONNECTION_STRING: connection(account) });
};
blobStoreSuite('Azure', async () => openAzure('models'), {
  ...expectations,
  etags: false,
  leftovers: false,
});

blobStoreSuite('Google Cloud Storage', async () => {
  const account = path.join(folder, 'account.json');
  const emulator = await started(startGcsEmulator());
  const { url } = await started(startGcsServer(emulator.url, account));
  Object.assign(process.env, { STORAGE_EMULATOR_HOST: url, GOOGLE_APPLICATION_CREDENTIALS: account });
  await new Storage({ projectId: 'test' }).createBucket('models');
  return open('gs://models/some/prefix');
});

describe('opening a store', { timeout: 60_000 }, () => {
  let endpoint: string;
  let tls: { cert: string; key: string };
  let secure: string;
  beforeAll(async () => {
    endpoint = (await started(startMoto())).url;
    tls = await makeCertificate(folder);
    secure = (await started(startMoto(tls))).url;
  }, INSTALL_MS);

  it('says in one sentence that nobody answers', async () => {
    await expect(openS3(`http://127.0.0.1:${await freePort()}`, '')).rejects.toThrow(
      /^http:\/\/127\.0\.0\.1:\d+ does not answer as it should \(ECONNREFUSED\)$/,
    );
  });

  it('says that a bucket or container is not there', async () => {
    await expect(openAzure('mistyped')).rejects.toThrow('there is no container mistyped');
    await expect(open('gs://mistyped')).rejects.toThrow('there is no bucket mistyped');
  });

  it('says that credentials are refused', async () => {
    const wrongKey = AZURITE_ACCOUNT.replace('AccountKey=Eby8', 'AccountKey=AAAA');
    await expect(openAzure('models', wrongKey)).rejects.toThrow(
      'the account devstoreaccount1 refuses these credentials for the container models',
    );
    const proxy = await started(startFaultProxy(endpoint));
    proxy.plan = () => ({ status: 403, code: 'InvalidAccessKeyId' });
    await expect(openS3(proxy.url, '')).rejects.toThrow('the store refuses these credentials for the bucket models');
  });

  it('makes the bucket of an S3-compatible store', async () => {
    await expect(open('s3://new-bucket', { S3_ENDPOINT: endpoint })).resolves.toBeDefined();
    await expect(open('s3://new-bucket', { MLFLOW_S3_ENDPOINT_URL: endpoint })).resolves.toBeDefined();
  });

  it('does not trust any certificate, unless told which or that it shall', async () => {
    await expect(openS3(secure, '')).rejects.toThrow(
      /^the certificate of https:.* is not trusted \(\w+\): name its authority with NODE_EXTRA_CA_CERTS$/,
    );
    const missing = { S3_ENDPOINT: secure, AWS_CA_BUNDLE: '/nowhere.pem' };
    await expect(open('s3://models', missing)).rejects.toThrow('AWS_CA_BUNDLE: the file /nowhere.pem cannot be read');
    for (const env of [{ AWS_CA_BUNDLE: tls.cert }, { MLFLOW_S3_IGNORE_TLS: 'true' }]) {
      const store = await open('s3://models', { S3_ENDPOINT: secure, ...env });
      const { key } = await store.write(Readable.from([Buffer.from('sealed')]));
      expect(String(await buffer(await store.read(key)))).toBe('sealed');
    }
  });

  it('keeps prefixes of one bucket apart', async () => {
    const [one, other] = [await openS3(endpoint, 'one'), await openS3(endpoint, 'other')];
    const { key } = await one.write(Readable.from([Buffer.from('x')]));
    expect(await other.sizeOf(key)).toBeNull();
    expect(await listOf(other)).toEqual([]);
  });

  it('sends what MLFLOW_S3_UPLOAD_EXTRA_ARGS says with every upload', async () => {
    const store = await open('s3://models', { S3_ENDPOINT: endpoint, MLFLOW_S3_UPLOAD_EXTRA_ARGS: '{"StorageClass": "STANDARD_IA"}' });
    const { key } = await store.write(Readable.from([Buffer.from('x')]));
    const reply = await fetch((await store.signedUrl?.(key, { name: 'x', seconds: 60 })) ?? '');
    expect(reply.headers.get('x-amz-storage-class')).toBe('STANDARD_IA');
  });

  it('keeps clients away from a store that they cannot reach', async () => {
    const store = await open('s3://models', { S3_ENDPOINT: endpoint, ARTIFACTS_DIRECT_ACCESS: 'false' });
    expect(store.signedUrl).toBeUndefined();
    await expect(store.parts.begin(1)).rejects.toMatchObject({
      code: 'NOT_IMPLEMENTED',
      message: 'Multipart upload is not supported for the current artifact repository',
    });
  });

  it('sends files whole when the credentials cannot sign addresses', async () => {
    const { STORAGE_EMULATOR_HOST, GOOGLE_APPLICATION_CREDENTIALS } = process.env;
    delete process.env.GOOGLE_APPLICATION_CREDENTIALS;
    Object.assign(process.env, { METADATA_SERVER_DETECTION: 'none' });
    const store = await open('gs://models/unsigned');
    Object.assign(process.env, { STORAGE_EMULATOR_HOST, GOOGLE_APPLICATION_CREDENTIALS });
    expect(store.signedUrl).toBeUndefined();
    await expect(store.parts.begin(1)).rejects.toMatchObject({ code: 'NOT_IMPLEMENTED' });
    const { key } = await store.write(Readable.from([Buffer.from('x')]));
    expect(await store.sizeOf(key)).toBe(1);
  });
});
