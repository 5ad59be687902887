import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

export type Row = {
  name: string;
  version: string;
  /** The words of the statements that held. */
  did: string[];
  result: 'passes' | 'fails' | 'not run';
  /** Why it is not `passes`, in one line. */
  note?: string;
};

const README = join(import.meta.dirname, '..', 'README.md');
const [BEGIN, END] = ['<!-- clients: written by npm run test:clients -->', '<!-- /clients -->'];
const NOTE_LIMIT = 160;

/** The words of a client's `ok <word> <sentence>` lines, each once. Maven colours the first of them. */
export const statementsIn = (output: string): string[] => [
  ...new Set([...stripVTControlCharacters(output).matchAll(/^ok (\S+) /gm)].map((line) => (line[1] ?? '').replaceAll('-', ' '))),
];

/** The rows as a Markdown table, columns of even width. */
export function render(rows: Row[]): string {
  const cells = [
    ['client', 'version', 'what it did', 'result'],
    ...rows.map(({ name, version, did, result, note }) => [
      name,
      version,
      did.join(', '),
      note === undefined ? result : `${result}: ${note.slice(0, NOTE_LIMIT)}`,
    ]),
  ].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = cells;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(line)].join('\n');
}

/** Puts the table between the markers of compat/README.md. */
export async function writeToReadme(rows: Row[]): Promise<void> {
  const text = await readFile(README, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${README} lacks ${BEGIN} … ${END}`);
  await writeFile(README, `${before}${BEGIN}\n\n${render(rows)}\n\n${END}${after}`);
}
