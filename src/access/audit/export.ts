import { type ChainedRow, EVENT_FIELDS } from './event.ts';

/** What an export has of an event: what its hash is over, and its place in the chain. */
const FIELDS = [...EVENT_FIELDS, 'sequence', 'hash'] as const;

/** Spreadsheets take a cell that begins so for a formula; CSV shows it with a quote before it. */
const FORMULA = /^[=+\-@\t\r]/;

function csvCell(value: string | number | null): string {
  if (value === null || typeof value === 'number') return String(value ?? '');
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The two ways to write an export: what stands before all events, and the line of one. */
export const EXPORTS = {
  ndjson: {
    type: 'application/x-ndjson',
    head: '',
    line: (row: ChainedRow) => `${JSON.stringify(Object.fromEntries(FIELDS.map((name) => [name, row[name]])))}\n`,
  },
  csv: {
    type: 'text/csv; charset=utf-8',
    head: `${FIELDS.join(',')}\r\n`,
    line: (row: ChainedRow) => `${FIELDS.map((name) => csvCell(row[name])).join(',')}\r\n`,
  },
};
