import { groups } from './groups.ts';
import { report, runGroups } from './runner.ts';

// Compares two servers that run already: node --import tsx compat/differential/main.ts <stock URL> <our URL> [group ...]
const [stock, ours, ...wanted] = process.argv.slice(2);
if (!stock || !ours) throw new Error('Give the address of a stock server and of ours, and the groups wanted if not all.');
const outcomes = await runGroups(wanted.length > 0 ? groups.filter(({ group }) => wanted.includes(group)) : groups, stock, ours);
console.log(report(outcomes));
process.exitCode = outcomes.some(({ problem }) => problem !== null) ? 1 : 0;
