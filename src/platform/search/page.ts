import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import { z } from 'zod';
import { type Db, runBuilt, sqlBuilder } from '../db/database.ts';
import { invalidParameter } from '../errors.ts';
import type { Int64 } from '../json.ts';

/** An expression that rows are sorted by. It is never null, and the last one of a search makes every row's place unique. */
export type Sort = { sql: string; bindings?: readonly (string | number)[]; descending: boolean };

const SORT_VALUE = z.union([z.string(), z.number()]);
const Token = z.object({ q: z.string(), after: z.array(SORT_VALUE) });

/**
 * Runs one page of a search: sorts, starts after the row that `pageToken` names and gives at most `limit` rows. The next page starts by the values
 * of this one's last row (keyset), so page 1000 costs what page 1 does and rows that come and go in between do not shift the others.
 * `fingerprint` is the search's own filter and order: a token of another search is INVALID_PARAMETER_VALUE. `prepared` as for `runBuilt`.
 */
export async function fetchPage<Row extends object>(
  db: Db,
  query: Knex.QueryBuilder,
  page: { sorts: Sort[]; limit: number; pageToken: string | undefined; fingerprint: unknown; prepared?: boolean },
): Promise<{ rows: Row[]; nextPageToken: string | null }> {
  const q = createHash('sha256').update(JSON.stringify(page.fingerprint)).digest('base64url').slice(0, 16);
  page.sorts.forEach(({ sql, bindings = [], descending }, i) => {
    query.select(sqlBuilder.raw(`${sql} as sort_${i}`, bindings));
    query.orderByRaw(`${sql} ${descending ? 'desc' : 'asc'}`, bindings);
  });
  if (page.pageToken) startAfter(query, page.sorts, readToken(page.pageToken, q, page.sorts.length));
  // A plan for all values takes a bound limit for a tenth of the rows.
  const limited = query.limit(page.limit + 1, { skipBinding: true });
  const rows = await runBuilt<Row & Record<string, string | Int64>>(db, limited, page);
  const last = rows.length > page.limit ? rows[page.limit - 1] : undefined;
  const after = last && page.sorts.map((_, i) => toSortValue(last[`sort_${i}`]));
  return { rows: rows.slice(0, page.limit), nextPageToken: after ? Buffer.from(JSON.stringify({ q, after })).toString('base64url') : null };
}

/** Postgres reads the text of an integer that JSON cannot hold. */
const toSortValue = (value: string | Int64 | undefined) => (typeof value === 'bigint' ? String(value) : value);

/** (a, b) after (x, y): a beyond x, or a = x and b beyond y; the condition on the first alone lets an index find the start. */
function startAfter(query: Knex.QueryBuilder, sorts: Sort[], after: (string | number)[]): void {
  const beyond = ({ descending }: Sort) => (descending ? '<' : '>');
  const [first] = sorts;
  if (first && sorts.length > 1) query.whereRaw(`${first.sql} ${beyond(first)}= ?`, [...(first.bindings ?? []), after[0] ?? '']);
  query.where((any) => {
    for (const [i, sort] of sorts.entries()) {
      any.orWhere((all) => {
        for (const [j, equal] of sorts.slice(0, i).entries()) all.whereRaw(`${equal.sql} = ?`, [...(equal.bindings ?? []), after[j] ?? '']);
        all.whereRaw(`${sort.sql} ${beyond(sort)} ?`, [...(sort.bindings ?? []), after[i] ?? '']);
      });
    }
  });
}

function readToken(text: string, q: string, length: number): (string | number)[] {
  if (!/^[\w+/=-]+$/.test(text)) throw invalidParameter('Invalid page token, could not base64-decode');
  let decoded: unknown;
  try {
    decoded = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    throw invalidParameter(
      'Invalid page token, could not base64-decode: it is not one this server gave out. Start the search again without page_token.',
    );
  }
  const token = Token.safeParse(decoded);
  if (!token.success || token.data.q !== q || token.data.after.length !== length) {
    throw invalidParameter(
      'Invalid page token: it belongs to another search. Use it with the filter and order_by it was made for, or start again without it.',
    );
  }
  return token.data.after;
}
