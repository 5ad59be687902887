import { invalidParameter } from '../errors.ts';
import { pythonRepr } from '../python.ts';

const STRING = /'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"/uy;
const LITERAL = /[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])|(?:None|True|False)(?!\w)/uy;
const SPACE = /\s*/uy;
const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', v: '\v', a: '\x07', '\n': '' };

/**
 * The strings of a Python tuple such as `('a', "b")`, as ast.literal_eval reads it: a comma at the end is fine, neighbours without a comma are one
 * string, escapes are read. Throws MLflow's sentences for an empty list, for one with other things than strings, and for what is no list.
 */
export function readList(text: string): string[] {
  const items: { value: string; isString: boolean }[] = [];
  const inner = text.slice(1, -1);
  let at = skipSpace(inner, 0);
  while (at < inner.length) {
    const item = readItem(inner, at);
    if (!item) throw illFormed();
    items.push(item);
    at = skipSpace(inner, item.end);
    if (at < inner.length && inner[at] !== ',') throw illFormed();
    at = skipSpace(inner, at + 1);
  }
  if (items.length === 0) {
    throw invalidParameter('While parsing a list in the query, expected a non-empty list of string values, but got empty list');
  }
  if (items.some(({ isString }) => !isString)) {
    const shown = items.map(({ value, isString }) => (isString ? pythonRepr(value) : value));
    throw invalidParameter(
      `While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in list: (${shown.join(', ')}${shown.length === 1 ? ',' : ''})`,
    );
  }
  return items.map(({ value }) => value);
}

const illFormed = () =>
  invalidParameter('While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.');

function readItem(text: string, start: number): { value: string; isString: boolean; end: number } | null {
  const literal = match(LITERAL, text, start);
  if (literal !== '') return { value: literal, isString: false, end: start + literal.length };
  let value = '';
  let end = start;
  for (let at = start; ; ) {
    const quoted = match(STRING, text, at);
    if (quoted === '') return end > start ? { value, isString: true, end } : null;
    value += readEscapes(quoted.slice(1, -1));
    end = at + quoted.length;
    at = skipSpace(text, end);
  }
}

/** Python's escapes of a string; a backslash before any other character stays. */
function readEscapes(text: string): string {
  const escaped = /\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|([\s\S]))/gu;
  return text.replace(escaped, (whole, octal?: string, byte?: string, code?: string, char = '') => {
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    if (byte !== undefined || code !== undefined) return String.fromCodePoint(Number.parseInt(byte ?? code ?? '', 16));
    return Object.hasOwn(ESCAPES, char) ? (ESCAPES[char] ?? '') : `\\'"`.includes(char) ? char : whole;
  });
}

const skipSpace = (text: string, at: number) => at + match(SPACE, text, at).length;

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}
