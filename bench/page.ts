import { readFile, writeFile } from 'node:fs/promises';
import { barsOfArtifacts } from './artifacts.ts';
import { type Bar, pictureOf } from './picture.ts';
import { format } from './report.ts';
import type { Results } from './results.ts';
import { type Section, sectionsOf } from './sections.ts';
import { barsOfThroughput } from './throughput-report.ts';

const TITLE = 'Times as fast as the stock mlflow server (16 connections; artifacts 4)';

const beginOf = (id: string) => `<!-- bench:${id}: written by npm run bench -->`;
const endOf = (id: string) => `<!-- /bench:${id} -->`;

/** A page of nothing but what a run measured. */
export const plainPageOf = (results: Results): string => [...blocksOf(results).values()].join('\n\n');

/** An SVG of the throughput and the artifacts of a run. Undefined when it measured neither. */
export function pictureOfResults({ throughput, artifacts }: Results): string | undefined {
  const bars: Bar[] = [...barsOfThroughput(throughput), ...barsOfArtifacts(artifacts)];
  return bars.length === 0 ? undefined : pictureOf(TITLE, bars);
}

/**
 * Puts what a run measured between its marks in the Markdown `file`, and the picture beside it, called the same. What it did not measure stays as it is.
 * Throws when the page has no place for something.
 */
export async function writePage(file: string, results: Results): Promise<void> {
  let text = await readFile(file, 'utf8');
  for (const [id, block] of blocksOf(results)) {
    const [before, rest] = text.split(beginOf(id));
    const after = rest?.split(endOf(id))[1];
    if (before === undefined || after === undefined) throw new Error(`${file} lacks ${beginOf(id)} … ${endOf(id)}`);
    text = `${before}${beginOf(id)}\n\n${block}\n\n${endOf(id)}${after}`;
  }
  await writeFile(file, text);
  const picture = pictureOfResults(results);
  if (picture) await writeFile(file.replace(/\.md$/, '.svg'), picture);
}

function blocksOf(results: Results): Map<string, string> {
  const { date, commit, mlflow, postgres, node, processor, cpus, memoryGiB, loadAverage } = results;
  const machine = `${cpus} cores (${processor}), ${memoryGiB} GiB, load average before ${loadAverage.map(format).join(' ')}. ${mlflow}, PostgreSQL ${postgres}, Node ${node}.`;
  const run = `Run of ${date}, commit ${commit}.`;
  return new Map([
    ['machine', `${run} ${machine}`],
    ...sectionsOf(results).map((section): [string, string] => [section.id, `${run} ${section.heading}.\n\n${markdownOf(section)}`]),
  ]);
}

function markdownOf({ columns, rows, notes }: Section): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = line(columns.map((name, column) => (column === 0 || name === 'server' ? '---' : '---:')));
  const table = [line(columns), rule, ...rows.map(line)].join('\n');
  return notes.length === 0 ? table : `${table}\n\n${notes.map((note) => `- ${note}`).join('\n')}`;
}
