import { invalidParameter } from '../errors.ts';

/**
 * A piece of a filter. An `identifier` is a dotted name whose parts may stand in backticks or double quotes (`tags.\`a b\``); words such as AND are
 * identifiers too. A text in single quotes is a `string`, one in double quotes an `identifier`, as for the stock server's parser.
 */
export type Token = {
  kind: 'identifier' | 'string' | 'number' | 'operator' | 'punctuation';
  text: string /** Offset in the filter. */;
  at: number;
};

/** One part of a dotted name. */
export const PART = '(?:[\\p{L}_][\\w$#@\\p{L}]*|`[^`]*`|"[^"]*")';
const PATTERNS: [Token['kind'], RegExp][] = [
  ['number', /-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])/uy],
  ['identifier', new RegExp(`${PART}(?:\\.(?:${PART}|[\\w$#@]+))*`, 'uy')],
  ['string', /'(?:''|\\'|[^'])*'/uy],
  ['operator', /==|!=|<>|<=|>=|=|<|>/uy],
  ['punctuation', /[(),;]/uy],
];
const SPACE = /\s+/uy;
const MAX_TOKENS = 10_000;

/** Cuts a filter into tokens. Throws INVALID_PARAMETER_VALUE for a character that starts none. */
export function tokenize(filter: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < filter.length) {
    const space = match(SPACE, filter, at);
    if (space) {
      at += space.length;
      continue;
    }
    const found = PATTERNS.map(([kind, pattern]) => ({ kind, text: match(pattern, filter, at) })).find(({ text }) => text !== '');
    if (!found || tokens.length >= MAX_TOKENS) throw invalidParameter(`Invalid clause(s) in filter string: ${filter.slice(at, at + 100)}`);
    tokens.push({ ...found, at });
    at += found.text.length;
  }
  return tokens;
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}
