import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { MlflowError } from '../platform/errors.ts';

/** `publicUrl`: the server's address as clients know it, without a trailing slash; undefined: as the request says it. */
export type LinkSettings = { publicUrl: string | undefined; downloadSeconds: number };

/** The server's address as the caller knows it. `certain` is false behind a proxy that does not tell it: signed addresses may lead nowhere then. */
export type Links = { base: string; certain: boolean; downloadSeconds: number };

/** The address a request was sent to: PUBLIC_URL, else what its proxy says (X-Forwarded-Proto, -Host), else its Host header. */
export function linksFor({ publicUrl, downloadSeconds }: LinkSettings, { headers, httpVersion }: IncomingMessage): Links {
  if (publicUrl !== undefined) return { base: publicUrl, certain: true, downloadSeconds };
  const first = (name: string) =>
    String(headers[name] ?? '')
      .split(',', 1)[0]
      ?.trim();
  const forwardedHost = first('x-forwarded-host');
  const scheme = first('x-forwarded-proto') === 'https' ? 'https' : 'http';
  // nginx speaks HTTP/1.0 to what is behind it, and names that as the Host, unless it is told otherwise.
  const isProxied = httpVersion === '1.0' || ['x-forwarded-for', 'forwarded', 'via'].some((name) => headers[name] !== undefined);
  return { base: `${scheme}://${forwardedHost || headers.host}`, certain: !isProxied || Boolean(forwardedHost), downloadSeconds };
}

/** What a signed URL carries in its query. `expires` is epoch ms. */
export type Signed = { expires: number; signature: string };

/** An address of this server that works for `seconds`; `path` begins with `/api/` and is percent-encoded. */
export function signUrl(secret: Buffer, { base }: Links, path: string, seconds: number): string {
  const expires = Date.now() + seconds * 1000;
  return `${base}${path}?expires=${expires}&signature=${signatureOf(secret, path, expires)}`;
}

/** Throws PERMISSION_DENIED unless this server signed `path`, and not too long ago. */
export function checkSignature(secret: Buffer, path: string, { expires, signature }: Signed): void {
  const expected = Buffer.from(signatureOf(secret, path, expires));
  const given = Buffer.from(signature);
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new MlflowError('PERMISSION_DENIED', 'The signature of this address is wrong: use the address as the server gave it.');
  if (expires < Date.now()) throw new MlflowError('PERMISSION_DENIED', 'This address has expired: ask for a new one.');
}

const signatureOf = (secret: Buffer, path: string, expires: number) =>
  createHmac('sha256', secret).update(`${path}\n${expires}`).digest('base64url');
