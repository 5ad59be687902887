import { invalidParameter } from '../errors.ts';

/**
 * A piece of a filter. A `name` is one part of a dotted name, bare or in backticks; a `symbol` stands in double quotes, a `string` in single ones. A
 * `comparator` is one of the characters `<>=~!`, or LIKE and its kin with their NOT; IN and IS are keywords, as in the stock server's parser.
 */
export type Token = {
  kind:
    | 'space'
    | 'name'
    | 'keyword'
    | 'order'
    | 'placeholder'
    | 'comparator'
    | 'operator'
    | 'number'
    | 'hexadecimal'
    | 'string'
    | 'symbol'
    | 'punctuation'
    | 'other';
  text: string;
  /** Offset in the filter. */
  at: number;
};

// From sqlparse/keywords.py, in its order, without what only whole SQL statements have. Of its 900 keywords these mean something in a filter.
const KEYWORDS = 'AND|OR|NOT|IS|NULL|BETWEEN|EXISTS|TRUE|FALSE|NONE|WHERE|LIMIT|SELECT';
const WORD = '[\\p{L}\\p{N}_]';
const FIRST = '[A-Za-zÀ-Üà-ü]';
const PATTERNS: [Token['kind'], string][] = [
  ['other', /(?:--|# ).*?(?:\r\n|\r|\n|$)/.source],
  ['space', /\s+/.source],
  ['operator', /\*/.source],
  ['name', /`(?:``|[^`])*`/.source],
  ['placeholder', `\\?|%(?:\\(${WORD}+\\))?s|(?<!${WORD})[$:?]${WORD}+`],
  ['other', `\\\\${WORD}+`],
  ['keyword', `(?:CASE|IN|VALUES|USING|FROM|AS)(?!${WORD})`],
  ['name', `(?:@|##|#)${FIRST}${WORD}+`],
  ['name', `${FIRST}${WORD}*(?=\\s*\\.(?!\\d)|\\()`],
  ['name', `(?<=\\.)${FIRST}${WORD}*`],
  ['hexadecimal', /-?0x[\dA-F]+/.source],
  // An exponent may have a plus sign here, as Python prints it.
  ['number', /-?\d+(?:\.\d+)?E[+-]?\d+/.source],
  ['number', `-?(?:\\d+\\.\\d*|\\.\\d+)(?!_|${FIRST})`],
  ['number', `-?\\d+(?!_|${FIRST})`],
  ['string', /'(?:''|\\'|[^'])*'/.source],
  ['symbol', /"(?:""|\\"|[^"])*"/.source],
  ['name', /(?<![p{L}p{N}_\])])\[[^\][]+\]/.source],
  ['keyword', `(?:NOT\\s+NULL|ORDER\\s+BY|GROUP\\s+BY)(?!${WORD})`],
  ['order', `(?:ASC|DESC)(?:\\s+NULLS\\s+(?:FIRST|LAST))?(?!${WORD})`],
  ['comparator', `(?:NOT\\s+)?(?:LIKE|ILIKE|RLIKE|REGEXP)(?!${WORD})`],
  ['keyword', `(?:${KEYWORDS})(?![$#]|${WORD})`],
  ['name', `${WORD}(?:[$#]|${WORD})*`],
  ['punctuation', /[;:()[\],.]/.source],
  ['operator', /->>?|#>>?|@>|<@|-/.source],
  ['comparator', /[<>=~!]+/.source],
  ['operator', /[+/@#%^&|-]+/.source],
  ['other', /[\s\S]/.source],
];
/** All in one, which is several times faster than one after the other. Each has a group. */
const TOKEN = new RegExp(PATTERNS.map(([, source]) => `(${source})`).join('|'), 'iuy');
/** A later part of a dotted name may be a keyword, or start with a digit (docs/differences.md). */
const LATER_PART = /[\p{L}\p{N}_$#@]+/uy;
const MAX_TOKENS = 10_000;

/** Cuts a filter into tokens, which together are the whole filter. Throws INVALID_PARAMETER_VALUE for one with too many. */
export function tokenize(filter: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < filter.length; ) {
    if (tokens.length >= MAX_TOKENS) throw invalidParameter(`Error on parsing filter '${filter.slice(0, 100)}...': it has too many parts`);
    const token = dottedPart(filter, at, tokens) ?? nextToken(filter, at);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

/** The dot after a name, or the name after such a dot. */
function dottedPart(filter: string, at: number, tokens: Token[]): Token | null {
  const last = tokens.at(-1);
  if (filter[at] === '.' && (last?.kind === 'name' || last?.kind === 'symbol')) return { kind: 'punctuation', text: '.', at };
  const owner = tokens.at(-2)?.kind;
  if (last?.text !== '.' || (owner !== 'name' && owner !== 'symbol')) return null;
  const text = match(LATER_PART, filter, at);
  return text === '' ? null : { kind: 'name', text, at };
}

function nextToken(filter: string, at: number): Token {
  TOKEN.lastIndex = at;
  const [text = '', ...groups] = TOKEN.exec(filter) ?? [];
  const [kind] = PATTERNS[groups.findIndex((group) => group !== undefined)] ?? [];
  if (kind === undefined) throw new Error(`no token at ${at}`);
  return { kind, text, at };
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}
