import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Services } from '../endpoint.ts';
import { invalidParameter, MlflowError } from '../platform/errors.ts';
import { contentDispositionOf, contentTypeOf } from './content-headers.ts';
import { getArtifact } from './store.ts';

/**
 * Answers with the bytes of an artifact: whole, or the part that a Range header asks for. The ETag is the SHA-256 of the bytes.
 * Throws as `getArtifact`; INVALID_PARAMETER_VALUE for a Range that cannot be read (400) or lies beyond the end (416).
 */
export async function sendArtifact({ db, blobs, scope }: Services, path: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const file = await getArtifact(db, scope.id, path);
  const etag = `"${file.sha256}"`;
  const name = path.slice(path.lastIndexOf('/') + 1);
  res.setHeader('ETag', etag);
  res.setHeader('Last-Modified', new Date(file.last_updated_timestamp).toUTCString());
  res.setHeader('Accept-Ranges', 'bytes');
  if (req.headers['if-none-match']?.split(',').some((tag) => tag.trim() === etag || tag.trim() === '*')) {
    res.writeHead(304).end();
    return;
  }
  const range = readRange(req, res, file.size, etag);
  res.setHeader('Content-Type', contentTypeOf(name));
  res.setHeader('Content-Disposition', contentDispositionOf(name));
  // A page or picture with a script in it must not run with the server's origin.
  res.setHeader('Content-Security-Policy', "sandbox; default-src 'none'");
  const length = range ? range.end - range.start + 1 : file.size;
  res.setHeader('Content-Length', length);
  if (range) res.setHeader('Content-Range', `bytes ${range.start}-${range.end}/${file.size}`);
  res.statusCode = range ? 206 : 200;
  if (req.method === 'HEAD' || file.size === 0) {
    res.end();
    return;
  }
  const body = await blobs.read(file.key, range ?? undefined);
  let sent = 0;
  body.on('data', (chunk: Buffer) => {
    sent += chunk.length;
  });
  await pipeline(body, res, { end: false });
  // The connection is broken off then: a client would wait for the rest.
  if (sent !== length) throw new Error(`blob ${file.key} is damaged: ${sent} bytes were read where there should be ${length}`);
  res.end();
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
