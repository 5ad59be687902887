import { createHash, randomBytes } from 'node:crypto';

const HEADER_BYTES = 64 + 1 + 8 + 1;

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Bytes that say of themselves whether they are whole: SHA-256 and length (hex) of what follows, then that. */
export function selfDescribing(payload: Buffer): Buffer {
  const header = `${sha256(payload)} ${payload.length.toString(16).padStart(8, '0')}\n`;
  return Buffer.concat([Buffer.from(header), payload]);
}

/** As `selfDescribing`, of random bytes. */
export const randomContent = (size: number): Buffer => selfDescribing(randomBytes(size));

/** The SHA-256 that names a content in the ledger. */
export const digestOf = (content: Buffer): string => content.toString('latin1', 0, 64);

/** True when no byte is missing, added or changed. */
export function isWhole(content: Buffer): boolean {
  const length = Number.parseInt(content.toString('latin1', 65, 73), 16);
  return content.length === HEADER_BYTES + length && sha256(content.subarray(HEADER_BYTES)) === digestOf(content);
}
