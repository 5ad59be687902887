import { createHash } from 'node:crypto';

/** JSON with the keys of every object in order (RFC 8785), so that equal values have equal texts, whoever writes them. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? Number(value) : value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
}

/** Hex SHA-256 of a text in UTF-8. */
export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');
