import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Services } from '../endpoint.ts';
import { invalidParameter, MlflowError } from '../platform/errors.ts';
import { contentDispositionOf, contentTypeOf } from './content-headers.ts';
import { giveBack, takeBuffers } from './piece-buffers.ts';
import { readChecked } from './read-checked.ts';
import { type ArtifactFile, getArtifact } from './store.ts';

export type Download = { req: IncomingMessage; res: ServerResponse; log: Logger };

/** Answers with the bytes of an artifact. Throws as `getArtifact` and `sendFile`. */
export async function sendArtifact(services: Services, path: string, download: Download): Promise<void> {
  const file = await getArtifact(services.db, services.scope.id, path);
  services.consumers.downloaded(services, path);
  await sendFile(services, file, path.slice(path.lastIndexOf('/') + 1), download);
}

/**
 * Answers with a file: whole, or the part that a Range header asks for. The ETag is the SHA-256 of the bytes, which are checked on their way (see
 * `readChecked`). Throws INVALID_PARAMETER_VALUE for a Range that cannot be read (400) or lies beyond the end (416), DATA_LOSS for damaged bytes.
 */
export async function sendFile({ db, blobs }: Services, file: ArtifactFile, name: string, { req, res, log }: Download): Promise<void> {
  const etag = `"${file.sha256}"`;
  if (req.headers['if-none-match']?.split(',').some((tag) => tag.trim() === etag || tag.trim() === '*')) {
    res.writeHead(304, { ETag: etag }).end();
    return;
  }
  const range = readRange(req, res, file.size, etag);
  const { start, end } = range ?? { start: 0, end: file.size - 1 };
  const buffers = takeBuffers(file.size);
  const pieces = readChecked({ db, blobs, log }, file, { start, end, buffers });
  const hasBody = req.method !== 'HEAD' && file.size > 0;
  // Read before anything is answered: damage in the first piece is still a clean error.
  const first = hasBody ? await pieces.next() : null;
  res.setHeader('ETag', etag);
  res.setHeader('Repr-Digest', `sha-256=:${Buffer.from(file.sha256, 'hex').toString('base64')}:`);
  res.setHeader('Last-Modified', new Date(file.last_updated_timestamp).toUTCString());
  res.setHeader('Accept-Ranges', 'bytes');
  res.setHeader('Content-Type', contentTypeOf(name));
  res.setHeader('Content-Disposition', contentDispositionOf(name));
  // A page or picture with a script in it must not run with the server's origin.
  res.setHeader('Content-Security-Policy', "sandbox; default-src 'none'");
  res.setHeader('Content-Length', end - start + 1);
  if (range) res.setHeader('Content-Range', `bytes ${start}-${end}/${file.size}`);
  res.statusCode = range ? 206 : 200;
  if (!first || first.done) {
    giveBack(buffers);
    res.end();
    return;
  }
  try {
    await sendPieces(res, first.value, pieces, end - start + 1);
  } catch (error) {
    // A client would wait for the rest.
    res.destroy();
    throw error;
  } finally {
    // It stands before its end when the first piece was all.
    await pieces.return(undefined);
  }
  giveBack(buffers);
}

/** Sends the pieces, `length` bytes in all; while one is on its way the next is read. Rejects when the client goes. */
async function sendPieces(res: ServerResponse, first: Buffer, rest: AsyncGenerator<Buffer>, length: number): Promise<void> {
  if (first.length === length) return sent(res, (done) => res.end(first, done));
  let sending = sent(res, (done) => res.write(first, done));
  try {
    for await (const piece of rest) {
      await sending;
      sending = sent(res, (done) => res.write(piece, done));
    }
  } finally {
    await sending;
  }
  await sent(res, (done) => res.end(done));
}

/** Resolves when what `send` hands to the connection has left. Rejects when the connection goes before. */
function sent(res: ServerResponse, send: (done: (error?: Error | null) => void) => void): Promise<void> {
  const promise = new Promise<void>((resolve, reject) => {
    const gone = () => reject(Object.assign(new Error('the client closed the connection'), { code: 'ERR_STREAM_PREMATURE_CLOSE' }));
    if (res.destroyed || res.socket?.destroyed) return gone();
    res.once('close', gone);
    send((error) => {
      res.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });
  // It is awaited later, when the next piece was read.
  promise.catch(() => {});
  return promise;
}

function readRange(req: IncomingMessage, res: ServerResponse, size: number, etag: string): { start: number; end: number } | null {
  const header = req.headers.range;
  const condition = req.headers['if-range'];
  if (header === undefined || (condition !== undefined && condition !== etag)) return null;
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header);
  if (!match || (match[1] === '' && match[2] === '')) {
    // Several ranges in one reply are optional (RFC 9110, 14.2): the whole file is a valid answer.
    if (/^bytes=[\d\s,-]+$/.test(header) && header.includes(',')) return null;
    throw badRange(header);
  }
  // Last before first is no range at all (RFC 9110, 14.1.2).
  if (match[1] !== '' && match[2] !== '' && Number(match[1]) > Number(match[2])) throw badRange(header);
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (start > end) {
    res.setHeader('Content-Range', `bytes */${size}`);
    throw new MlflowError('INVALID_PARAMETER_VALUE', `The Range lies beyond the end of the file, which has ${size} bytes.`, 416);
  }
  return { start, end };
}

const badRange = (header: string) =>
  invalidParameter(`The Range header '${header.slice(0, 100)}' cannot be read; write it as bytes=<first>-<last>.`);
