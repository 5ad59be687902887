import { invalidParameter } from '../errors.ts';
import { pythonRepr } from '../python.ts';
import { type Piece, readStatements } from './group.ts';
import { readList } from './python-list.ts';

/**
 * The right side of a comparison as it was written; `other` is what no search can compare with, such as `a-b`. `items` are the strings of a list such
 * as `('a', 'b')`; they are read when asked for, and throw MLflow's sentence then, because a noun that takes no lists says so first.
 */
export type FilterValue =
  | { kind: 'string' | 'identifier' | 'number' | 'other'; text: string }
  | { kind: 'list'; text: string; readonly items: string[] }
  | { kind: 'none'; text: '' };

/** One `identifier comparator value` of a filter. The comparator is in upper case with single spaces: `NOT IN`. */
export type FilterClause = { identifier: string; comparator: string; value: FilterValue };

/**
 * Reads a filter of MLflow's grammar: its AND-ed clauses, each given to `read` in their order. The pieces are those of the stock server's parser
 * (sqlparse), so that both take the same for a clause: AND in any case, a stray or missing AND is fine, string literals are taken word for word between
 * their quotes. What a noun's keys, comparators and values may be, its `read` decides. Throws INVALID_PARAMETER_VALUE with MLflow's sentences;
 * `quoteInvalid` is how runs/search prints what is no clause, and `quoteFilter` that logged-models/search prints the whole filter instead.
 */
export function parseFilter<Term>(
  filter: string | undefined,
  read: (clause: FilterClause) => Term,
  { quoteInvalid = false, quoteFilter = false } = {},
): Term[] {
  if (!filter) return [];
  const [pieces, ...more] = readStatements(filter);
  if (quoteFilter) return readLoggedModelFilter(filter, more.length === 0 ? pieces : undefined, read);
  if (!pieces) throw invalidParameter(`Invalid filter '${filter}'. Could not be parsed.`);
  if (more.length > 0) {
    throw invalidParameter(`Search filter contained multiple expression ${pythonRepr(filter)}. Provide AND-ed expression list.`);
  }
  const invalid = pieces.filter((piece) => !isClause(piece) && !isAnd(piece)).map(({ text }) => (quoteInvalid ? `'${text}'` : text));
  if (invalid.length > 0) throw invalidParameter(`Invalid clause(s) in filter string: ${invalid.join(', ')}`);
  return pieces.filter(isClause).map(({ parts: [left, comparator, right] }) => {
    if (left.kind !== 'identifier') throw invalidParameter(`Invalid comparison clause. Expected 'Identifier' found '${left.text}'`);
    return read(toClause(left, comparator, right));
  });
}

type Clause = Piece & { parts: NonNullable<Piece['parts']> };

const isClause = (piece: Piece): piece is Clause => piece.kind === 'comparison' && piece.parts !== undefined;
const isAnd = ({ kind, text }: Piece) => kind === 'keyword' && text.toUpperCase() === 'AND';

/** As mlflow/utils/search_logged_model_utils.py: the first mistake from the left is told. */
function readLoggedModelFilter<Term>(filter: string, pieces: Piece[] | undefined, read: (clause: FilterClause) => Term): Term[] {
  const quoted = `Invalid filter string: ${pythonRepr(filter)}.`;
  if (!pieces) throw invalidParameter(`${quoted} Expected a single SQL expression.`);
  return pieces.flatMap((piece) => {
    if (isAnd(piece)) return [];
    if (!isClause(piece)) {
      throw invalidParameter(
        `${quoted} Expected a list of comparisons separated by 'AND' (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01').`,
      );
    }
    const [left, comparator, right] = piece.parts;
    if (!right) throw invalidParameter(`Invalid comparison: ${piece.text}. Expected a comparison with 3 tokens.`);
    return [read(toClause(left, comparator, right))];
  });
}

const toClause = (left: Piece, comparator: Piece, right: Piece | undefined): FilterClause => ({
  identifier: left.text,
  comparator: comparator.text.toUpperCase().replace(/\s+/g, ' '),
  value: toValue(right),
});

function toValue(piece: Piece | undefined): FilterValue {
  if (!piece) return { kind: 'none', text: '' };
  const { kind, text } = piece;
  if (kind === 'string' || kind === 'identifier' || kind === 'number') return { kind, text };
  if (kind !== 'parenthesis') return { kind: 'other', text };
  return {
    kind: 'list',
    text,
    get items() {
      return readList(text);
    },
  };
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
