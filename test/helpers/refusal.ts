import { expect } from 'vitest';
import type { TestServer } from './server.ts';

const KEYS = ['error_code', 'error_class', 'message', 'sqlstate'];
// SQL, stacks, files of the server, names of its parts.
const INSIDES =
  /\b(select|insert|update|delete)\b.+\b(from|into|set|where)\b|\bat \S+ \(|node:|node_modules|\/src\/|\.ts:|postgres|relation "|column "|constraint|ZodError|undefined|\[object/i;

export type Answer = { status: number; body: Record<string, unknown> };

/** Expects an answer in MLflow's error shape, with a status of 400 to 499, that tells nothing of the server's insides. */
export function expectRefusal({ status, body }: Answer, what = ''): void {
  expect(status, `${what} ${JSON.stringify(body)}`).toBeGreaterThanOrEqual(400);
  expect(status, `${what} ${JSON.stringify(body)}`).toBeLessThan(500);
  expect(Object.keys(body).filter((key) => !KEYS.includes(key))).toEqual([]);
  expect(body.error_code, what).toMatch(/^[A-Z_]+$/);
  expect(body.message, what).toMatch(/\S/);
  expect(body.message, what).not.toMatch(INSIDES);
}

/** The number of rows of every table. */
export async function rowCounts({ db }: TestServer): Promise<Record<string, number>> {
  const { rows: tables } = await db.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`,
  );
  const counts = tables.map(({ name }) => `(select count(*) from ${name}) as ${name}`);
  const { rows } = await db.query<Record<string, number>>(`select ${counts.join(', ')}`);
  return rows[0] ?? {};
}
