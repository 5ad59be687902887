import { invalidParameter } from '../errors.ts';
import { pythonRepr } from '../python.ts';
import { type Token, tokenize } from './tokenize.ts';

/** The right side of a comparison as it was written; `list` holds the strings of `('a', 'b')`. */
export type FilterValue =
  | { kind: 'string' | 'identifier' | 'number'; text: string }
  | { kind: 'list'; text: string; items: string[] }
  | { kind: 'none'; text: '' };

/** One `identifier comparator value` of a filter. The comparator is in upper case with single spaces: `NOT IN`. */
export type FilterClause = { identifier: string; comparator: string; value: FilterValue };

/**
 * Splits a filter of MLflow's grammar into its AND-ed clauses. As the stock server's parser (sqlparse): AND in any case, a stray or missing AND is
 * fine, string literals are taken word for word between their quotes. What a noun's keys, comparators and values may be, its own file decides.
 * Throws INVALID_PARAMETER_VALUE with MLflow's sentences; `quoteInvalid` is how runs/search prints the offending tokens.
 */
export function parseFilter(filter: string | undefined, { quoteInvalid = false } = {}): FilterClause[] {
  if (!filter) return [];
  const tokens = tokenize(filter);
  if (tokens.length === 0) throw invalidParameter(`Invalid filter '${filter}'. Could not be parsed.`);
  const end = tokens.findIndex((token) => token.text === ';');
  if (end >= 0 && end < tokens.length - 1) {
    throw invalidParameter(`Search filter contained multiple expression ${pythonRepr(filter)}. Provide AND-ed expression list.`);
  }
  const clauses: FilterClause[] = [];
  const invalid: string[] = [];
  for (let at = 0; at < tokens.length; ) {
    const token = tokens[at] as Token;
    if (isWord(token, 'AND')) {
      at += 1;
      continue;
    }
    const comparator = readComparator(tokens, at + 1);
    if (!comparator || token.kind === 'operator' || token.kind === 'punctuation') {
      const grouped = token.text === '(' ? readGroup(tokens, at) : { text: token.text, next: at + 1 };
      invalid.push(grouped.text);
      at = grouped.next;
      continue;
    }
    if (token.kind !== 'identifier') throw invalidParameter(`Invalid comparison clause. Expected 'Identifier' found '${token.text}'`);
    const { value, next } = readValue(tokens, comparator.next, comparator.text);
    clauses.push({ identifier: token.text, comparator: comparator.text, value });
    at = next;
  }
  if (invalid.length > 0) {
    throw invalidParameter(`Invalid clause(s) in filter string: ${invalid.map((text) => (quoteInvalid ? `'${text}'` : text)).join(', ')}`);
  }
  return clauses;
}

const isWord = (token: Token | undefined, word: string) => token?.kind === 'identifier' && token.text.toUpperCase() === word;

function readComparator(tokens: Token[], at: number): { text: string; next: number } | null {
  const token = tokens[at];
  if (token?.kind === 'operator') return { text: token.text, next: at + 1 };
  for (const words of [
    ['IS', 'NOT', 'NULL'],
    ['IS', 'NULL'],
    ['NOT', 'LIKE'],
    ['NOT', 'ILIKE'],
    ['NOT', 'IN'],
    ['LIKE'],
    ['ILIKE'],
    ['RLIKE'],
    ['IN'],
  ]) {
    if (words.every((word, i) => isWord(tokens[at + i], word))) return { text: words.join(' '), next: at + words.length };
  }
  return null;
}

function readValue(tokens: Token[], at: number, comparator: string): { value: FilterValue; next: number } {
  if (comparator === 'IS NULL' || comparator === 'IS NOT NULL') return { value: { kind: 'none', text: '' }, next: at };
  const token = tokens[at];
  if (!token || isWord(token, 'AND')) throw invalidParameter('Invalid comparison clause. Expected 3 tokens found 2');
  if (token.text === '(') {
    const { text, next } = readGroup(tokens, at);
    return { value: { kind: 'list', text, items: readItems(tokens.slice(at + 1, next - 1), text) }, next };
  }
  if (token.kind === 'operator' || token.kind === 'punctuation') {
    throw invalidParameter(`Invalid comparison clause. Expected value token found '${token.text}'`);
  }
  return { value: { kind: token.kind, text: token.text }, next: at + 1 };
}

function readGroup(tokens: Token[], at: number): { text: string; next: number } {
  let depth = 0;
  let next = at;
  do {
    if (tokens[next]?.text === '(') depth += 1;
    if (tokens[next]?.text === ')') depth -= 1;
    next += 1;
  } while (depth > 0 && next < tokens.length);
  const text = tokens.slice(at, next).reduce((joined, { text, spaced }, i) => joined + (spaced && i > 0 ? ' ' : '') + text, '');
  return { text, next };
}

/** The items of a Python tuple of strings: a trailing comma is fine, neighbours without a comma are one string. */
function readItems(tokens: Token[], text: string): string[] {
  if (tokens.length === 0)
    throw invalidParameter('While parsing a list in the query, expected a non-empty list of string values, but got empty list');
  const items: string[] = [];
  let joins = false;
  for (const token of tokens) {
    if (token.text === ',') {
      joins = false;
    } else if (isQuoted(token.text)) {
      const item = token.text.slice(1, -1);
      if (joins) items.push((items.pop() ?? '') + item);
      else items.push(item);
      joins = true;
    } else {
      throw invalidParameter(
        `While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in list: ${text}`,
      );
    }
  }
  return items;
}

const isQuoted = (text: string) =>
  text.length >= 2 && ((text.startsWith("'") && text.endsWith("'")) || (text.startsWith('"') && text.endsWith('"')));

/** The text between a value's quotes. Throws MLflow's sentence when it has none. */
export function unquote(text: string): string {
  if (isQuoted(text)) return text.slice(1, -1);
  throw invalidParameter(
    `Parameter value is either not quoted or unidentified quote types used for string value ${text}. Use either single or double quotes.`,
  );
}

/** A key without the backticks or quotes it was written in. */
export function trimKey(key: string): string {
  const bare = isQuoted(key) ? key.slice(1, -1) : key;
  return bare.length >= 2 && bare.startsWith('`') && bare.endsWith('`') ? bare.slice(1, -1) : bare;
}
