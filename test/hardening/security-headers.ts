import { expect } from 'vitest';

/** Expects the headers that every answer has (hardening row F7). */
export function expectSecurityHeaders(headers: Headers): void {
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('content-security-policy')).toMatch(/default-src 'none'/);
  expect(headers.get('referrer-policy')).toBe('no-referrer');
}
