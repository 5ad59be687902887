import { createHash, randomBytes } from 'node:crypto';

export const TOKEN_PREFIX = 'mct_';

/** A new token of 256 random bits, to be shown once, and what is kept of it. */
export function newToken(): { token: string; sha256: Buffer } {
  const token = TOKEN_PREFIX + randomBytes(32).toString('base64url');
  return { token, sha256: sha256Of(token) };
}

export const sha256Of = (text: string): Buffer => createHash('sha256').update(text).digest();
