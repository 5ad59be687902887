import { search } from '@aws-lambda-powertools/jmespath';
import { stringify } from 'yaml';
import { ConfigError } from '../config.ts';

const FORMATS = { json: toJson, yaml: toYaml, table: toTable, tsv: toTsv };

/**
 * How a command prints its result: `query` is a JMESPath expression that chooses what of it, `format` one of json, yaml, table and tsv. Throws ConfigError
 * for what is neither, before anything is done; the function it gives also for a query that does not suit the result.
 */
export function readOutput(format = 'json', query?: string): (result: unknown) => string {
  if (!Object.hasOwn(FORMATS, format))
    throw new ConfigError(`-o: must be ${Object.keys(FORMATS).join(', ')} (it is ${JSON.stringify(format)}).`);
  const print = FORMATS[format as keyof typeof FORMATS];
  if (query === undefined) return (result) => print(result, false);
  try {
    search(query, null);
  } catch (error) {
    if (!WRONG_VALUE.includes((error as Error).name)) throw wrongQuery(error);
  }
  return (result) => {
    try {
      return print(search(query, result as Parameters<typeof search>[1]) ?? null, true);
    } catch (error) {
      throw wrongQuery(error);
    }
  };
}

// What the same query may not say of another value.
const WRONG_VALUE = ['JMESPathTypeError', 'JMESPathError', 'TypeError'];

const wrongQuery = (error: unknown) => new ConfigError(`--query: ${(error as Error).message.replace(/\s+/g, ' ').replace(/\.?$/, '.')}`);

function toJson(result: unknown): string {
  return `${JSON.stringify(result, null, 2)}\n`;
}

function toYaml(result: unknown): string {
  return stringify(result);
}

const rowsOf = (result: unknown): unknown[] => (Array.isArray(result) ? result : [result]);
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** As az: a line a row, a tab between values; of a list within a row its length, of an object nothing. A tab or line break in a text is a space. */
function toTsv(result: unknown): string {
  const cell = (value: unknown) => (Array.isArray(value) ? String(value.length) : scalar(value).replace(/[\t\r\n]+/g, ' '));
  const lines = rowsOf(result).map((row) => (Array.isArray(row) ? row : isRecord(row) ? Object.values(row) : [row]).map(cell).join('\t'));
  return lines.map((line) => `${line}\n`).join('');
}

const scalar = (value: unknown): string => (value === null || value === undefined || typeof value === 'object' ? '' : String(value));

/** As az: columns for what is one value; the id is left out unless a query asks for it, since it says nothing the rest does not. */
function toTable(result: unknown, isQueried: boolean): string {
  const rows = rowsOf(result).map((row) =>
    isRecord(row) ? row : Array.isArray(row) ? Object.fromEntries(row.map((value, i) => [`Column${i + 1}`, value])) : { Result: row },
  );
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
    (key) => (isQueried || key !== 'id') && rows.every((row) => typeof row[key] !== 'object' || row[key] === null),
  );
  if (keys.length === 0) return '';
  const shown = (value: unknown) => scalar(value).replace(/\s+/g, ' ');
  const table = [keys.map(title), ...rows.map((row) => keys.map((key) => shown(row[key])))];
  const widths = keys.map((_, i) => Math.max(...table.map((line) => line[i]?.length ?? 0)));
  const line = (cells: string[]) =>
    `${cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()}\n`;
  return [table[0] ?? [], widths.map((width) => '-'.repeat(width)), ...table.slice(1)].map(line).join('');
}

/** `latest_version` as `LatestVersion`. */
const title = (key: string) => key.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
