import { expect, it } from 'vitest';
import { runCrashCycles } from './crash-cycles.ts';

it('no acknowledged write is lost and no file is half visible when the server or PostgreSQL is killed', { timeout: 120_000 }, async () => {
  const lines: string[] = [];
  const { acknowledged, problems } = await runCrashCycles({ cycles: 3, seed: 1, log: (line) => lines.push(line) });
  expect(problems, lines.join('\n')).toEqual([]);
  expect(acknowledged).toBeGreaterThan(0);
});
