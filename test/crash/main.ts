import { parseArgs } from 'node:util';
import { runCrashCycles } from './crash-cycles.ts';

const { values } = parseArgs({ options: { cycles: { type: 'string', default: '200' }, seed: { type: 'string' } } });
const cycles = Number(values.cycles);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const log = (line: string) => process.stdout.write(`${line}\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
log(`${cycles} cycles, seed ${seed}`);
const began = Date.now();
const { acknowledged, slowestStartMs, problems } = await runCrashCycles({ cycles, seed, log });
for (const problem of problems) log(problem);
log(
  `${cycles} cycles in ${Math.round((Date.now() - began) / 1000)} s: ${acknowledged} acknowledged writes, ${problems.length} lost or half there, slowest start ${slowestStartMs} ms`,
);
process.exit(problems.length > 0 ? 1 : 0);
