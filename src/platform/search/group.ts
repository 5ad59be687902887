import { type Token, tokenize } from './tokenize.ts';

/** A token, or several that belong together: what sqlparse (sqlparse/engine/grouping.py) calls by these names. */
export type Piece = {
  kind: Token['kind'] | 'parenthesis' | 'function' | 'identifier' | 'operation' | 'comparison' | 'list';
  text: string;
  at: number;
  /** Of a comparison: its left side, comparator and right side. IS NULL has no right side. */
  parts?: [Piece, Piece, Piece | undefined];
};

type Rule = {
  isMiddle: (piece: Piece) => boolean;
  canPrecede: (piece: Piece) => boolean;
  canFollow: (piece: Piece) => boolean;
  /** The group is made without what follows then, instead of not at all. */
  alone?: boolean;
};

const isOneOf =
  (...kinds: Piece['kind'][]) =>
  (piece: Piece) =>
    kinds.includes(piece.kind);
const isKeyword = (piece: Piece | undefined, word: string) => piece?.kind === 'keyword' && piece.text.toUpperCase() === word;
const isOperand = isOneOf('parenthesis', 'function', 'identifier', 'operation', 'number', 'string', 'placeholder');
const isCompared = (piece: Piece) => isOperand(piece) || isKeyword(piece, 'NULL');
const isListed = (piece: Piece) =>
  isOneOf('function', 'identifier', 'comparison', 'list', 'operation', 'number', 'string', 'placeholder', 'keyword')(piece) ||
  piece.text === '*';

const DOTS: Rule = {
  isMiddle: ({ text }) => text === '.',
  canPrecede: isOneOf('name', 'symbol', 'identifier'),
  canFollow: (piece) => isOneOf('name', 'symbol', 'string', 'function')(piece) || piece.text === '*',
  alone: true,
};
const OPERATORS: Rule = { isMiddle: isOneOf('operator'), canPrecede: isOperand, canFollow: isOperand };
const COMPARATORS: Rule = { isMiddle: isOneOf('comparator'), canPrecede: isCompared, canFollow: isCompared };
const ALIASES: Rule = {
  isMiddle: (piece) => isKeyword(piece, 'AS'),
  canPrecede: (piece) => isKeyword(piece, 'NULL') || !isOneOf('keyword', 'order')(piece),
  canFollow: () => true,
};
const COMMAS: Rule = { isMiddle: ({ text }) => text === ',', canPrecede: isListed, canFollow: isListed };

/** The statements of a filter, which semicolons part, each grouped as the stock server's parser groups it. Blank ones are left out. */
export function readStatements(filter: string): Piece[][] {
  const statements: Token[][] = [[]];
  let depth = 0;
  for (const token of tokenize(filter)) {
    const current = statements.at(-1);
    if (depth <= 0 && current?.findLast(({ kind }) => kind !== 'space')?.text === ';' && token.kind !== 'space') statements.push([token]);
    else current?.push(token);
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
  }
  return statements.filter((tokens) => tokens.some(({ kind }) => kind !== 'space')).map((tokens) => group(filter, tokens));
}

function group(filter: string, tokens: Token[]): Piece[] {
  const merge = (kind: Piece['kind'], pieces: Piece[]): Piece => {
    const at = pieces[0]?.at ?? 0;
    const last = pieces.at(-1) ?? { at, text: '' };
    const [left, middle, right] = kind === 'comparison' ? pieces.filter((piece) => piece.kind !== 'space') : [];
    return {
      kind,
      at,
      text: filter.slice(at, last.at + last.text.length),
      ...(left && middle && right && { parts: [left, middle, right] }),
    };
  };
  let pieces = joinParentheses(tokens, merge);
  pieces = joinPairs(pieces, isOneOf('name', 'placeholder'), isOneOf('parenthesis'), (pair) => merge('function', pair));
  pieces = joinAround(pieces, DOTS, (found) => merge('identifier', found));
  pieces = pieces.map((piece) => (piece.kind === 'name' || piece.kind === 'symbol' ? { ...piece, kind: 'identifier' } : piece));
  pieces = joinPairs(pieces, isOneOf('identifier', 'number', 'hexadecimal'), isOneOf('order'), (pair) => merge('identifier', pair));
  pieces = joinAround(pieces, OPERATORS, (found) => merge('operation', found));
  pieces = joinAround(pieces, COMPARATORS, (found) => merge('comparison', found));
  pieces = joinAround(pieces, ALIASES, (found) => merge('identifier', found));
  const named = isOneOf('parenthesis', 'function', 'identifier', 'operation', 'comparison', 'number', 'hexadecimal');
  pieces = joinPairs(pieces, named, isOneOf('identifier'), (pair) => merge('identifier', pair));
  pieces = joinAround(pieces, COMMAS, (found) => merge('list', found));
  return joinKeywords(pieces.filter(({ kind }) => kind !== 'space'));
}

/** A parenthesis that is never closed, or never opened, stays a token. */
function joinParentheses(tokens: Piece[], merge: (kind: Piece['kind'], pieces: Piece[]) => Piece): Piece[] {
  const pieces: Piece[] = [];
  const opened: number[] = [];
  for (const token of tokens) {
    if (token.text === '(') opened.push(pieces.length);
    pieces.push(token);
    const start = token.text === ')' ? opened.pop() : undefined;
    if (start !== undefined) pieces.push(merge('parenthesis', pieces.splice(start)));
  }
  return pieces;
}

/** Joins each piece with the one after it; the pair is no first piece of another. */
function joinPairs(
  pieces: Piece[],
  isFirst: (piece: Piece) => boolean,
  isSecond: (piece: Piece) => boolean,
  merge: (pair: Piece[]) => Piece,
): Piece[] {
  const joined: Piece[] = [];
  for (let at = 0; at < pieces.length; at++) {
    const piece = pieces[at] as Piece;
    const next = nextOf(pieces, at);
    const second = pieces[next];
    if (isFirst(piece) && second && isSecond(second)) {
      joined.push(merge([piece, second]));
      at = next;
    } else joined.push(piece);
  }
  return joined;
}

/** As sqlparse's _group: what has been joined to the left is looked at as its last piece, so that `a = b = c` is one. */
function joinAround(pieces: Piece[], { isMiddle, canPrecede, canFollow, alone }: Rule, merge: (pieces: Piece[]) => Piece): Piece[] {
  const joined: Piece[] = [];
  let before: Piece | undefined;
  let place = -1;
  for (let at = 0; at < pieces.length; at++) {
    const piece = pieces[at] as Piece;
    const next = nextOf(pieces, at);
    const after = pieces[next];
    const joins = after !== undefined && canFollow(after);
    if (before && isMiddle(piece) && canPrecede(before) && (joins || alone)) {
      const last = joins ? next : at;
      const found = merge([...joined.splice(place), ...pieces.slice(at, last + 1)]);
      joined.push(found);
      before = joins ? after : found;
      at = last;
    } else {
      joined.push(piece);
      if (piece.kind === 'space') continue;
      before = piece;
      place = joined.length - 1;
    }
  }
  return joined;
}

function nextOf(pieces: Piece[], at: number): number {
  return pieces[at + 1]?.kind === 'space' ? at + 2 : at + 1;
}

/** Comparisons with IN, NOT IN and IS NULL, which sqlparse does not make (mlflow/utils/search_utils.py, _join_in_comparison_tokens). */
function joinKeywords(pieces: Piece[]): Piece[] {
  const joined: Piece[] = [];
  for (let at = 0; at < pieces.length; ) {
    const [first, second, third, fourth] = pieces.slice(at, at + 4) as [Piece, Piece?, Piece?, Piece?];
    if (!second || !third) return [...joined, ...pieces.slice(at)];
    const comparison = first.kind === 'identifier' ? keywordComparison(first, second, third, fourth) : null;
    if (comparison) joined.push(comparison.piece);
    else joined.push(...pieces.slice(at, at + (first.kind === 'identifier' ? 4 : 1)));
    at += comparison?.length ?? (first.kind === 'identifier' ? 4 : 1);
  }
  return joined;
}

function keywordComparison(first: Piece, second: Piece, third: Piece, fourth: Piece | undefined): { piece: Piece; length: number } | null {
  const comparison = (word: string, right?: Piece): Piece => ({
    kind: 'comparison',
    // The stock server forgets the spaces between them.
    text: first.text + word + (right?.text ?? ''),
    at: first.at,
    parts: [first, { ...second, kind: 'comparator', text: word }, right],
  });
  if (isKeyword(second, 'IN') && third.kind === 'parenthesis') return { piece: comparison(second.text, third), length: 3 };
  if (isKeyword(second, 'IS') && isKeyword(third, 'NULL')) return { piece: comparison('IS NULL'), length: 3 };
  if (isKeyword(second, 'IS') && isKeyword(third, 'NOT NULL')) return { piece: comparison('IS NOT NULL'), length: 3 };
  if (isKeyword(second, 'NOT') && isKeyword(third, 'IN') && fourth?.kind === 'parenthesis') {
    return { piece: comparison('NOT IN', fourth), length: 4 };
  }
  return null;
}
