import { groups } from './groups.ts';
import { randomFilters } from './random-filters.ts';
import { randomWalk } from './random-walk.ts';
import { type Outcome, report, runGroups, shortestFailure } from './runner.ts';

// Compares two servers that run already:
// node --import tsx compat/differential/main.ts <stock URL> <our URL> [URL of a stock server with --enable-workspaces] [group ... | --walk <seed> [steps] | --filters <seed> [count]]
const [stock, ours, ...wanted] = process.argv.slice(2);
const stockWithWorkspaces = wanted[0]?.startsWith('http') ? wanted.shift() : undefined;
if (!stock || !ours) throw new Error('Give the address of a stock server and of ours, and the groups wanted if not all.');
const [how, seed, count = '150'] = wanted;
const outcomes =
  how === '--walk'
    ? await runGroups([{ group: 'walk', cases: [randomWalk(Number(seed), Number(count))] }], stock, ours)
    : how === '--filters'
      ? await runGroups([{ group: 'filters', cases: randomFilters(Number(seed), Number(count)) }], stock, ours)
      : await runWanted(stock, ours);
console.log(how === '--walk' ? shortestFailure(outcomes) || `${outcomes.length} steps agree` : report(outcomes));
process.exitCode = outcomes.some(({ problem }) => problem !== null) ? 1 : 0;

/** A group that needs workspaces is left out when no such server is given. */
async function runWanted(stockUrl: string, oursUrl: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const one of groups.filter(({ group }) => wanted.length === 0 || wanted.includes(group))) {
    const other = one.workspaces ? stockWithWorkspaces : stockUrl;
    if (other) outcomes.push(...(await runGroups([one], other, oursUrl)));
  }
  return outcomes;
}
