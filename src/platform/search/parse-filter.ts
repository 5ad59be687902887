import { invalidParameter } from '../errors.ts';
import { pythonRepr } from '../python.ts';
import { type Token, tokenize } from './tokenize.ts';

/**
 * The right side of a comparison as it was written. `items` are the strings of a list such as `('a', 'b')`;
 * they are read when asked for, and throw MLflow's sentence then, because a noun that takes no lists says so first.
 */
export type FilterValue =
  | { kind: 'string' | 'identifier' | 'number'; text: string }
  | { kind: 'list'; text: string; readonly items: string[] }
  | { kind: 'none'; text: '' };

/** One `identifier comparator value` of a filter. The comparator is in upper case with single spaces: `NOT IN`. */
export type FilterClause = { identifier: string; comparator: string; value: FilterValue };

/**
 * Splits a filter of MLflow's grammar into its AND-ed clauses. As the stock server's parser (sqlparse): AND in any case, a stray or missing AND is
 * fine, string literals are taken word for word between their quotes. What a noun's keys, comparators and values may be, its own file decides.
 * Throws INVALID_PARAMETER_VALUE with MLflow's sentences; `quoteInvalid` is how runs/search prints the offending tokens, and `quoteFilter` that
 * logged-models/search prints the whole filter instead.
 */
export function parseFilter(filter: string | undefined, { quoteInvalid = false, quoteFilter = false } = {}): FilterClause[] {
  if (!filter) return [];
  const tokens = tokenize(filter);
  const quoted = `Invalid filter string: ${pythonRepr(filter)}.`;
  if (tokens.length === 0)
    throw invalidParameter(
      quoteFilter ? `${quoted} Expected a single SQL expression.` : `Invalid filter '${filter}'. Could not be parsed.`,
    );
  const end = tokens.findIndex((token) => token.text === ';');
  if (end >= 0 && end < tokens.length - 1) {
    throw invalidParameter(
      quoteFilter
        ? `${quoted} Expected a single SQL expression.`
        : `Search filter contained multiple expression ${pythonRepr(filter)}. Provide AND-ed expression list.`,
    );
  }
  const textOf = (from: number, to: number) => {
    const last = tokens[to - 1];
    return last ? filter.slice(tokens[from]?.at, last.at + last.text.length) : '';
  };
  const clauses: { clause: FilterClause; from: number }[] = [];
  const invalid: string[] = [];
  let listed: number | null = null;
  for (let at = 0; at < tokens.length; ) {
    const token = tokens[at] as Token;
    if (isWord(token, 'AND')) {
      at += 1;
    } else if (token.text === ',' && clauses.length > 0) {
      // The stock server's parser takes comparisons joined by commas for one list.
      listed ??= clauses.pop()?.from ?? at;
      at += 1;
    } else {
      const found = readClause(tokens, at, textOf);
      if (typeof found === 'number') invalid.push(...tokens.slice(at, found).map(({ text }) => text));
      else if ('group' in found) invalid.push(found.group);
      else if (listed === null) clauses.push({ clause: found.clause, from: at });
      at = typeof found === 'number' ? found : found.next;
      if (listed !== null && tokens[at]?.text !== ',') {
        invalid.push(textOf(listed, at));
        listed = null;
      }
    }
  }
  if (invalid.length > 0 && quoteFilter) {
    throw invalidParameter(`${quoted} Expected a list of comparisons separated by 'AND' (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01').`);
  }
  if (invalid.length > 0) {
    throw invalidParameter(`Invalid clause(s) in filter string: ${invalid.map((text) => (quoteInvalid ? `'${text}'` : text)).join(', ')}`);
  }
  return clauses.map(({ clause }) => clause);
}

type TextOf = (from: number, to: number) => string;

/** The clause that starts here; or a group in parentheses, which is none; or where the tokens end that are none. */
function readClause(
  tokens: Token[],
  at: number,
  textOf: TextOf,
): { clause: FilterClause; next: number } | { group: string; next: number } | number {
  const token = tokens[at] as Token;
  if (token.text === '(') {
    const next = endOfGroup(tokens, at);
    return { group: textOf(at, next), next };
  }
  const comparator = readComparator(tokens, at + 1);
  if (!comparator || token.kind === 'operator' || token.kind === 'punctuation') return at + 1;
  const value = readValue(tokens, comparator.next, comparator.text, textOf);
  if (!value) return tokens[comparator.next]?.kind === 'string' ? comparator.next + 1 : comparator.next;
  if (token.kind !== 'identifier') throw invalidParameter(`Invalid comparison clause. Expected 'Identifier' found '${token.text}'`);
  return { clause: { identifier: token.text, comparator: comparator.text, value: value.value }, next: value.next };
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

/** Null when no value follows that the comparator could take: then nothing of it is a comparison. */
function readValue(tokens: Token[], at: number, comparator: string, textOf: TextOf): { value: FilterValue; next: number } | null {
  if (comparator === 'IS NULL' || comparator === 'IS NOT NULL') return { value: { kind: 'none', text: '' }, next: at };
  const token = tokens[at];
  if (!token || isWord(token, 'AND') || token.kind === 'operator') return null;
  if (token.text === '(') {
    const next = endOfGroup(tokens, at);
    const text = textOf(at, next);
    const within = tokens.slice(at + 1, next - 1);
    const value: FilterValue = {
      kind: 'list',
      text,
      get items() {
        return readItems(within, text);
      },
    };
    return { value, next };
  }
  if (token.kind === 'punctuation' || comparator.endsWith('IN')) return null;
  return { value: { kind: token.kind, text: token.text }, next: at + 1 };
}

/** Where the parenthesis that opens here is closed, exclusive. */
function endOfGroup(tokens: Token[], at: number): number {
  let depth = 0;
  let next = at;
  do {
    if (tokens[next]?.text === '(') depth += 1;
    if (tokens[next]?.text === ')') depth -= 1;
    next += 1;
  } while (depth > 0 && next < tokens.length);
  return next;
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
