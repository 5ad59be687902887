import { randomUUID } from 'node:crypto';

/** An integer of 64 bits: a bigint where a number would not hold it exactly. */
export type Int64 = number | bigint;

/** The integer that a text of decimal digits is. */
export function exactInteger(digits: string): Int64 {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

// By itself, so not part of a fraction: metrics are full of those. One of more digits fits nowhere, and is left to be a double.
const LONG_INTEGER = '(?<=[\\[:,\\s])-?\\d{16,19}(?![\\d.eE])';
// Quick, and true for a few more: every body is asked.
const HINT = /[[:,\s]-?\d{16}/;

// What stands for a bigint in JSON while it is a text. Nobody outside can know it.
const MARK = `${randomUUID()}:`;
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, 'g');

/** As JSON.parse, but integers of up to 19 digits are exact: those that no number holds are bigints. Throws SyntaxError. */
export function parseExactJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!HINT.test(text)) return value;
  const marked = markLongIntegers(text);
  if (marked === text) return value;
  return JSON.parse(marked, (_, item: unknown) =>
    typeof item === 'string' && item.startsWith(MARK) ? exactInteger(item.slice(MARK.length)) : item,
  );
}

function markLongIntegers(text: string): string {
  const next = new RegExp(`"|${LONG_INTEGER}`, 'g');
  const parts: string[] = [];
  let done = 0;
  for (let found = next.exec(text); found; found = next.exec(text)) {
    if (found[0] === '"') {
      next.lastIndex = endOfString(text, found.index);
    } else {
      parts.push(text.slice(done, found.index), `"${MARK}${found[0]}"`);
      done = next.lastIndex;
    }
  }
  return parts.join('') + text.slice(done);
}

/** The index after the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
}

/** As JSON.stringify; bigints are written as the integers they are. */
export function stringifyExactJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    const marked = JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `${MARK}${item}` : item));
    return marked.replaceAll(MARKED, '$1');
  }
}
