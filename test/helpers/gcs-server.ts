import { createHash, generateKeyPairSync, randomUUID, verify } from 'node:crypto';
import fs from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

const LEAST_PART = 5 * 1024 * 1024;

type Upload = { object: string; parts: Map<number, { etag: string; bytes: Buffer }>; initiated: Date };

/**
 * What the emulator of Google Cloud Storage lacks: uploads in parts (XML API) and V4-signed URLs, written by hand after Google's documents
 * (cloud.google.com/storage/docs/xml-api/post-object-multipart, …/authentication/canonical-requests). All else is passed on to the emulator, also
 * the objects. `accountFile` is made: a service account whose signatures it accepts.
 */
export async function startGcsServer(emulator: string, accountFile: string): Promise<{ url: string; stop(): void }> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const account = {
    type: 'service_account',
    project_id: 'test',
    client_email: 'test@test.iam.gserviceaccount.com',
    private_key: privateKey,
  };
  await fs.writeFile(accountFile, JSON.stringify(account));
  const uploads = new Map<string, Upload>();

  const server = http.createServer((req, res) => {
    const url = new URL(req.url ?? '/', `http://${req.headers.host}`);
    const answer = (status: number, body: string | Buffer = '', headers: Record<string, string> = {}) =>
      res.writeHead(status, headers).end(body);
    const refuse = (status: number, code: string) => answer(status, `<Error><Code>${code}</Code></Error>`);
    const handle = async () => {
      const query = url.searchParams;
      const isXml = query.has('uploads') || query.has('uploadId') || query.has('X-Goog-Signature');
      if (!isXml) return passOn(emulator, req, res);
      const [bucket = '', ...rest] = decodeURIComponent(url.pathname).slice(1).split('/');
      const object = rest.join('/');
      const id = query.get('uploadId') ?? '';
      const upload = uploads.get(id);
      if (query.has('X-Goog-Signature') && !isSigned(req.method ?? '', url, publicKey)) return refuse(403, 'SignatureDoesNotMatch');
      if (req.method === 'GET' && query.has('uploads')) return answer(200, listOf(uploads, query.get('prefix') ?? ''));
      if (req.method === 'POST' && query.has('uploads')) {
        const made = randomUUID();
        uploads.set(made, { object, parts: new Map(), initiated: new Date() });
        return answer(200, `<InitiateMultipartUploadResult><UploadId>${made}</UploadId></InitiateMultipartUploadResult>`);
      }
      if (req.method === 'GET') {
        const reply = await fetch(`${emulator}/download/storage/v1/b/${bucket}/o/${encodeURIComponent(object)}?alt=media`, {
          headers: { ...(req.headers.range && { Range: req.headers.range }) },
        });
        const headers = { 'Content-Disposition': query.get('response-content-disposition') ?? '' };
        return answer(reply.status, Buffer.from(await reply.arrayBuffer()), headers);
      }
      if (!upload || upload.object !== object) return refuse(404, 'NoSuchUpload');
      if (req.method === 'DELETE') {
        uploads.delete(id);
        return answer(204);
      }
      const body = await buffer(req);
      if (req.method === 'PUT') {
        const etag = `"${createHash('md5').update(body).digest('hex')}"`;
        upload.parts.set(Number(query.get('partNumber')), { etag, bytes: body });
        return answer(200, '', { ETag: etag });
      }
      const named = [...String(body).matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>([^<]*)<\/ETag>/g)];
      const parts = named.map(([, number, etag]) => ({ ...upload.parts.get(Number(number)), named: etag }));
      if (parts.some(({ etag, named }) => etag === undefined || etag !== named)) return refuse(400, 'InvalidPart');
      const bytes = parts.map((part) => part.bytes ?? Buffer.alloc(0));
      if (bytes.slice(0, -1).some(({ length }) => length < LEAST_PART)) return refuse(400, 'EntityTooSmall');
      const target = `${emulator}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(object)}`;
      const stored = await fetch(target, { method: 'POST', body: new Uint8Array(Buffer.concat(bytes)) });
      if (!stored.ok) return refuse(500, 'InternalError');
      uploads.delete(id);
      return answer(200, '<CompleteMultipartUploadResult/>');
    };
    handle().catch((error: Error) => answer(500, error.message));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}

function passOn(emulator: string, req: http.IncomingMessage, res: http.ServerResponse): void {
  const onward = http.request(new URL(req.url ?? '/', emulator), { method: req.method, headers: req.headers }, (reply) => {
    res.writeHead(reply.statusCode ?? 500, reply.headers);
    reply.pipe(res);
  });
  onward.on('error', () => res.destroy());
  res.on('close', () => onward.destroy());
  req.pipe(onward);
}

function listOf(uploads: Map<string, Upload>, prefix: string): string {
  const items = [...uploads]
    .filter(([, { object }]) => object.startsWith(prefix))
    .map(
      ([id, { object, initiated }]) =>
        `<Upload><Key>${object}</Key><UploadId>${id}</UploadId><Initiated>${initiated.toISOString()}</Initiated></Upload>`,
    );
  return `<ListMultipartUploadsResult>${items.join('')}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`;
}

/** Whether the V4 signature in the query is right and has not expired. Of the headers only `host` is signed, by the SDK without a port: Google's has none. */
function isSigned(method: string, url: URL, publicKey: string): boolean {
  const query = url.searchParams;
  const date = query.get('X-Goog-Date') ?? '';
  const signature = Buffer.from(query.get('X-Goog-Signature') ?? '', 'hex');
  const scope = (query.get('X-Goog-Credential') ?? '').split('/').slice(1).join('/');
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const canonicalQuery = [...query]
    .filter(([name]) => name !== 'X-Goog-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const canonical = [method, url.pathname, canonicalQuery, `host:${url.hostname}\n`, 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const toSign = ['GOOG4-RSA-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const since = Date.parse(date.replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/, '$1-$2-$3T$4:$5:$6Z'));
  const expires = since + Number(query.get('X-Goog-Expires')) * 1000;
  return expires > Date.now() && verify('sha256', Buffer.from(toSign), publicKey, signature);
}
